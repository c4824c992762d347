-- One row per day of recommending x customer x source x product: the ten best products
-- of each source that the customer has not just bought and that are still on sale.

{%- set largest_rank = 10 %}
-- So many popular products are gone through for ten that were not just bought.
{%- set popular_rank = 60 %}
-- A product that nobody has bought for so many days is off sale, or out of season.
{%- set on_sale_days = 90 %}

with

owned as (

    select *

    from {{ ref('int_customer_products_counted') }}

),

items as (

    select
        basket_number,
        customer_id,
        origin_date,
        is_counted,
        is_counted_at_origin

    from {{ ref('int_baskets_itemised') }}

),

segments as (

    select
        customer_id,
        snapshot_date,
        rfm_segment

    from {{ ref('int_customers_snapshotted') }}

    where
        rfm_segment is not null
        and (
            is_current
            or is_origin
        )

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

product_counts as (

    select
        made_on_date,
        stock_code,
        sum(basket_count) as basket_count,
        max(last_ordered_at) >= cast(
            {{ dbt.dateadd('day', -on_sale_days, 'made_on_date') }} as timestamp
        ) as is_on_sale

    from owned

    group by
        made_on_date,
        stock_code

),

-- Ties of a customer's products are broken by one small number, which sorts faster.
products as (

    select
        *,
        row_number() over (
            partition by made_on_date
            order by basket_count desc, stock_code asc
        ) as product_number

    from product_counts

),

customer_baskets as (

    select
        as_of.as_of_date as made_on_date,
        items.customer_id,
        count(distinct items.basket_number) as basket_count

    from items

    cross join as_of

    where items.is_counted

    group by
        as_of.as_of_date,
        items.customer_id

    union all

    select
        origin_date as made_on_date,
        customer_id,
        count(distinct basket_number) as basket_count

    from items

    where is_counted_at_origin

    group by
        origin_date,
        customer_id

),

customers as (

    select
        customer_baskets.made_on_date,
        customer_baskets.customer_id,
        customer_baskets.basket_count,
        segments.rfm_segment

    from customer_baskets

    left outer join segments
        on
            customer_baskets.customer_id = segments.customer_id
            and customer_baskets.made_on_date = segments.snapshot_date

),

-- All baskets together, and those of each RFM segment.
groups_of_customers as (

    select
        made_on_date,
        cast(null as string) as rfm_segment,
        sum(basket_count) as basket_count

    from customers

    group by made_on_date

    union all

    select
        made_on_date,
        rfm_segment,
        sum(basket_count) as basket_count

    from customers

    where rfm_segment is not null

    group by
        made_on_date,
        rfm_segment

),

group_products as (

    select
        made_on_date,
        cast(null as string) as rfm_segment,
        stock_code,
        basket_count

    from products

    where is_on_sale

    union all

    select
        owned.made_on_date,
        customers.rfm_segment,
        owned.stock_code,
        sum(owned.basket_count) as basket_count

    from owned

    inner join customers
        on
            owned.made_on_date = customers.made_on_date
            and owned.customer_id = customers.customer_id

    inner join products
        on
            owned.made_on_date = products.made_on_date
            and owned.stock_code = products.stock_code

    where
        customers.rfm_segment is not null
        and products.is_on_sale

    group by
        owned.made_on_date,
        customers.rfm_segment,
        owned.stock_code

),

ranked_in_group as (

    select
        group_products.made_on_date,
        group_products.rfm_segment,
        group_products.stock_code,
        cast(group_products.basket_count as double) / groups_of_customers.basket_count
            as score,
        row_number() over (
            partition by group_products.made_on_date, group_products.rfm_segment
            order by group_products.basket_count desc, group_products.stock_code asc
        ) as popularity_rank

    from group_products

    inner join groups_of_customers
        on
            group_products.made_on_date = groups_of_customers.made_on_date
            and group_products.rfm_segment
            is not distinct from groups_of_customers.rfm_segment

),

popular as (

    select *

    from ranked_in_group

    where popularity_rank <= {{ popular_rank }}

),

just_bought as (

    select
        made_on_date,
        customer_id,
        stock_code

    from owned

    where is_just_bought

),

-- Everybody is in the group of all.
memberships as (

    select
        made_on_date,
        customer_id,
        cast(null as string) as rfm_segment

    from customers

    union all

    select
        made_on_date,
        customer_id,
        rfm_segment

    from customers

    where rfm_segment is not null

),

-- Of as many popular products as they have just bought and ten more, ten are left.
popular_just_bought as (

    select
        memberships.made_on_date,
        memberships.customer_id,
        memberships.rfm_segment,
        count(*) as product_count

    from memberships

    inner join just_bought
        on
            memberships.made_on_date = just_bought.made_on_date
            and memberships.customer_id = just_bought.customer_id

    inner join popular
        on
            memberships.made_on_date = popular.made_on_date
            and memberships.rfm_segment is not distinct from popular.rfm_segment
            and just_bought.stock_code = popular.stock_code

    group by
        memberships.made_on_date,
        memberships.customer_id,
        memberships.rfm_segment

),

popular_for_customers as (

    select
        memberships.made_on_date,
        memberships.customer_id,
        case
            when popular.rfm_segment is null then 'popular' else 'popular_in_segment'
        end as drawn_from,
        popular.stock_code,
        cast(null as string) as antecedent,
        popular.score,
        row_number() over (
            partition by
                memberships.made_on_date,
                memberships.customer_id,
                popular.rfm_segment
            order by popular.popularity_rank
        ) as source_rank

    from memberships

    left outer join popular_just_bought
        on
            memberships.made_on_date = popular_just_bought.made_on_date
            and memberships.customer_id = popular_just_bought.customer_id
            and memberships.rfm_segment
            is not distinct from popular_just_bought.rfm_segment

    inner join popular
        on
            memberships.made_on_date = popular.made_on_date
            and memberships.rfm_segment is not distinct from popular.rfm_segment
            and popular.popularity_rank
            <= {{ largest_rank }} + coalesce(popular_just_bought.product_count, 0)

    left outer join just_bought
        on
            memberships.made_on_date = just_bought.made_on_date
            and memberships.customer_id = just_bought.customer_id
            and popular.stock_code = just_bought.stock_code

    where just_bought.stock_code is null

),

own_for_customers as (

    select
        owned.made_on_date,
        owned.customer_id,
        'own' as drawn_from,
        owned.stock_code,
        cast(null as string) as antecedent,
        cast(owned.basket_count as double) / customers.basket_count as score,
        row_number() over (
            partition by owned.made_on_date, owned.customer_id
            order by
                owned.basket_count desc,
                products.product_number asc
        ) as source_rank

    from owned

    inner join customers
        on
            owned.made_on_date = customers.made_on_date
            and owned.customer_id = customers.customer_id

    inner join products
        on
            owned.made_on_date = products.made_on_date
            and owned.stock_code = products.stock_code

    where
        not owned.is_just_bought
        and products.is_on_sale

),

origins as (

    select max(origin_date) as origin_date

    from items

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

-- The surest rule has the smallest number, among those of a product and among all.
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

suggested as (

    select *

    from own_for_customers

    union all

    select *

    from rules_for_customers

    union all

    select *

    from popular_for_customers

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

    from suggested

    where source_rank <= {{ largest_rank }}

)

select * from final
