-- One row per segment x rule, antecedent -> consequent: which products go together, in
-- all baskets where the segment is null, and how sure that is. Answers: what do we
-- offer beside this product, and which products take the place of each other?

{%- set significance = 0.05 %}

with

rules as (

    select *

    from {{ ref('ml_product_rules') }}

    where
        (
            is_frequent
            and basket_count
            >= {{ var('basket_smallest_confidence') }} * antecedent_basket_count
        )
        or (is_bought_apart and q_value < {{ significance }})

),

segments as (

    select
        cluster_id,
        segment_name

    from {{ ref('dim_segments') }}

),

named as (

    select
        rules.*,
        segments.segment_name

    from rules

    left outer join segments
        on rules.cluster_id = segments.cluster_id

),

-- Counts are whole numbers, so these are exact but for one division each.
measured as (

    select
        *,
        cast(basket_count as double) / all_basket_count as support,
        cast(basket_count as double) / antecedent_basket_count as confidence,
        cast(basket_count as double) * all_basket_count
        / (cast(antecedent_basket_count as double) * consequent_basket_count) as lift,
        (
            cast(basket_count as double) * all_basket_count
            - cast(antecedent_basket_count as double) * consequent_basket_count
        ) as excess,
        cast(basket_count as double) * (all_basket_count - antecedent_basket_count)
            as excess_if_never_apart,
        cast(antecedent_basket_count as double)
        * (consequent_basket_count - basket_count) as excess_if_always_apart

    from named

),

final as (

    select
        -- keys
        concat(
            coalesce(cast(cluster_id as string), 'all'),
            ': ',
            antecedent,
            ' -> ',
            consequent
        ) as rule_id,
        cluster_id,
        antecedent,
        consequent,

        -- attributes
        segment_name,
        antecedent_name,
        consequent_name,
        case
            when is_bought_apart and q_value < {{ significance }} then 'substitute'
            when not is_bought_apart and lift > 1 and q_value < {{ significance }}
                then 'complement'
        end as kind,

        -- measures
        antecedent_count,
        consequent_count,
        basket_count,
        antecedent_basket_count,
        consequent_basket_count,
        all_basket_count,
        support,
        confidence,
        lift,
        excess / (cast(all_basket_count as double) * all_basket_count) as leverage,
        (1 - cast(consequent_basket_count as double) / all_basket_count)
        / nullif(
            cast(antecedent_basket_count - basket_count as double)
            / antecedent_basket_count,
            0
        ) as conviction,
        coalesce(
            excess / nullif(greatest(excess_if_never_apart, excess_if_always_apart), 0),
            0
        ) as zhang_metric,
        case when cluster_id is not null then lift - lift_in_all end as lift_difference,
        expected_basket_count,
        fisher_p_value,
        p_value,
        q_value,

        -- flags
        is_replicated,
        is_variant

    from measured

)

select * from final
