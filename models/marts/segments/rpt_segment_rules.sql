-- One row per rule of the current model: what a person would have to know of a
-- customer to tell their segment, and how often that is right. Answers: who belongs in
-- a segment, in plain words?

with

rules as (

    select *

    from {{ ref('ml_segment_rules') }}

),

segments as (

    select
        cluster_id,
        model_id,
        segment_name

    from {{ ref('dim_segments') }}

),

bounds as (
    {%- for feature, words, digits in [
        ("recency_days", "days since the last purchase", 0),
        ("frequency", "orders", 0),
        ("monetary_value", "amount", 0),
        ("product_count", "different products", 0),
        ("tenure_days", "days since the first purchase", 0),
        ("days_between_orders", "days between orders", 0),
        ("average_order_value", "amount per order", 0),
        ("items_per_order", "items per order", 0),
        ("return_rate", "share sent back", 2),
    ] %}

    {{ "union all" if not loop.first }}

    select
        model_id,
        rule_number,
        {{ loop.index }} as bound_number,
        concat(
            '{{ words }} ',
            case
                when {{ feature }}_above is null then 'at most '
                else concat(
                    'over ',
                    cast(
                        cast({{ feature }}_above as decimal(28, {{ digits }})) as string
                    )
                )
            end,
            case
                when {{ feature }}_above is null then ''
                when {{ feature }}_up_to is null then ''
                else ' and at most '
            end,
            coalesce(
                cast(cast({{ feature }}_up_to as decimal(28, {{ digits }})) as string),
                ''
            )
        ) as bound

    from rules

    where
        {{ feature }}_above is not null
        or {{ feature }}_up_to is not null
    {%- endfor %}

),

worded as (

    select
        model_id,
        rule_number,
        {{ dbt.listagg('bound', "', '", 'order by bound_number') }} as conditions

    from bounds

    group by
        model_id,
        rule_number

),

final as (

    select
        -- keys
        rules.model_id,
        cast(rules.rule_number as bigint) as rule_number,
        segments.cluster_id,

        -- attributes
        segments.segment_name,
        coalesce(worded.conditions, 'everybody') as conditions,

        -- measures
        cast(rules.customer_count as bigint) as customer_count,
        cast(rules.right_count as bigint) as right_count,
        cast(rules.right_count as double) / rules.customer_count as right_share,
        cast(rules.fidelity as double) as fidelity,
        cast(rules.fidelity_out_of_fold as double) as fidelity_out_of_fold,

        -- bounds
    {%- for feature in clusterable_features() %}
    cast(rules.{{ feature }}_above as double) as {{ feature }}_above,
    cast(rules.{{ feature }}_up_to as double) as {{ feature }}_up_to
    {{- "," if not loop.last }}
    {%- endfor %}

    from rules

    inner join segments
        on
            rules.model_id = segments.model_id
            and rules.cluster_id = segments.cluster_id

    left outer join worded
        on
            rules.model_id = worded.model_id
            and rules.rule_number = worded.rule_number

)

select * from final
