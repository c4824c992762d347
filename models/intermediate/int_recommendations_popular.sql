-- One row per day of recommending x customer x source x product: the ten most popular
-- products, among everybody and in the customer's RFM segment, that are still on sale
-- and were not bought just now.

{%- set largest_rank = 10 %}
-- So many popular products are gone through for ten that were not just bought.
{%- set popular_rank = 60 %}

with

owned as (

    select *

    from {{ ref('int_customer_products_counted') }}

),

products as (

    select *

    from {{ ref('int_products_recommendable') }}

),

customers as (

    select *

    from {{ ref('int_customers_recommended') }}

),

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

    from popular_for_customers

    where source_rank <= {{ largest_rank }}

)

select * from final
