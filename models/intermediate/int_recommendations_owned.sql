-- One row per day of recommending x customer x product: the ten products that the
-- customer has bought most often, and not just now, and that are still on sale.

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

customers as (

    select *

    from {{ ref('int_customers_recommended') }}

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

    from own_for_customers

    where source_rank <= {{ largest_rank }}

)

select * from final
