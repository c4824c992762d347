-- One row per day of recommending x customer x product: the ten products that the
-- surest rules lead to from what the customer has bought, that are still on sale and
-- were not bought just now.

{%- set largest_rank = 10 %}

with

owned as (

    select *

    from {{ ref('int_customer_products_counted') }}

),

products as (

    select *

    from {{ ref('int_products_recommendable') }}

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

pairs as (

    select
        left_stock_code,
        right_stock_code,
        basket_count,
        left_basket_count,
        right_basket_count,
        all_basket_count,
        origin_basket_count,
        origin_left_basket_count,
        origin_right_basket_count,
        origin_all_basket_count,
        is_frequent,
        is_frequent_at_origin

    from {{ ref('int_product_pairs_counted') }}

    where cluster_id is null

),

just_bought as (

    select
        made_on_date,
        customer_id,
        stock_code

    from owned

    where is_just_bought

),

origins as (

    select max(owned.made_on_date) as origin_date

    from owned

    cross join as_of

    where owned.made_on_date < as_of.as_of_date

),

counted_pairs as (

    select
        as_of.as_of_date as made_on_date,
        pairs.left_stock_code,
        pairs.right_stock_code,
        pairs.basket_count,
        pairs.left_basket_count,
        pairs.right_basket_count,
        pairs.all_basket_count

    from pairs

    cross join as_of

    where pairs.is_frequent

    union all

    select
        origins.origin_date as made_on_date,
        pairs.left_stock_code,
        pairs.right_stock_code,
        pairs.origin_basket_count as basket_count,
        pairs.origin_left_basket_count as left_basket_count,
        pairs.origin_right_basket_count as right_basket_count,
        pairs.origin_all_basket_count as all_basket_count

    from pairs

    cross join origins

    where pairs.is_frequent_at_origin

),

directed_rules as (

    select
        made_on_date,
        left_stock_code as antecedent,
        right_stock_code as consequent,
        cast(basket_count as double) / left_basket_count as confidence

    from counted_pairs

    where
        basket_count * all_basket_count > left_basket_count * right_basket_count
        and basket_count
        >= {{ var('basket_smallest_confidence') }} * left_basket_count

    union all

    select
        made_on_date,
        right_stock_code as antecedent,
        left_stock_code as consequent,
        cast(basket_count as double) / right_basket_count as confidence

    from counted_pairs

    where
        basket_count * all_basket_count > left_basket_count * right_basket_count
        and basket_count
        >= {{ var('basket_smallest_confidence') }} * right_basket_count

),

rules as (

    select
        directed_rules.made_on_date,
        directed_rules.antecedent,
        directed_rules.consequent,
        directed_rules.confidence,
        row_number() over (
            partition by directed_rules.made_on_date
            order by
                directed_rules.confidence desc,
                directed_rules.consequent asc,
                directed_rules.antecedent asc
        ) as rule_number

    from directed_rules

    inner join products
        on
            directed_rules.made_on_date = products.made_on_date
            and directed_rules.consequent = products.stock_code

    where products.is_on_sale

),

followed as (

    select
        owned.made_on_date,
        owned.customer_id,
        rules.consequent,
        min(rules.rule_number) as rule_number

    from owned

    inner join rules
        on
            owned.made_on_date = rules.made_on_date
            and owned.stock_code = rules.antecedent

    group by
        owned.made_on_date,
        owned.customer_id,
        rules.consequent

),

ranked_rules as (

    select
        followed.made_on_date,
        followed.customer_id,
        followed.rule_number,
        row_number() over (
            partition by followed.made_on_date, followed.customer_id
            order by followed.rule_number
        ) as source_rank

    from followed

    left outer join just_bought
        on
            followed.made_on_date = just_bought.made_on_date
            and followed.customer_id = just_bought.customer_id
            and followed.consequent = just_bought.stock_code

    where just_bought.stock_code is null

),

rules_for_customers as (

    select
        ranked_rules.made_on_date,
        ranked_rules.customer_id,
        'rule' as drawn_from,
        rules.consequent as stock_code,
        rules.antecedent,
        rules.confidence as score,
        ranked_rules.source_rank

    from ranked_rules

    inner join rules
        on
            ranked_rules.made_on_date = rules.made_on_date
            and ranked_rules.rule_number = rules.rule_number

    where ranked_rules.source_rank <= {{ largest_rank }}

),

final as (

    select
        -- keys
        made_on_date,
        customer_id,
        drawn_from,
        stock_code,

        -- attributes
        antecedent,

        -- measures
        score,
        source_rank

    from rules_for_customers

    where source_rank <= {{ largest_rank }}

)

select * from final
