-- A customer has as many baskets as orders that count and have a product in them, too
-- large or not.

with

numbers as (

    select distinct
        basket_number,
        customer_id

    from {{ ref('int_baskets_itemised') }}

    where product_count > 0

),

baskets as (

    select
        customer_id,
        count(*) as basket_count

    from numbers

    group by customer_id

),

with_products as (

    select distinct
        invoice_number,
        customer_id

    from {{ ref('fct_invoice_lines') }}

    where
        is_product
        and counted_quantity > 0

),

orders as (

    select
        orders.customer_id,
        count(*) as order_count

    from {{ ref('int_orders_counted') }} as orders

    inner join with_products
        on
            orders.invoice_number = with_products.invoice_number
            and orders.customer_id = with_products.customer_id

    group by orders.customer_id

)

select
    orders.customer_id,
    orders.order_count,
    baskets.basket_count

from orders

full outer join baskets
    on orders.customer_id = baskets.customer_id

where
    orders.order_count is distinct from baskets.basket_count
