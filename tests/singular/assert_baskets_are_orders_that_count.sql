-- Every basket is an order that counts, and every order that counts and has a product
-- in it is a basket, too large or not.

with

baskets as (

    select
        invoice_number,
        customer_id

    from {{ ref('int_baskets_itemised') }}

    where product_count > 0

    group by
        invoice_number,
        customer_id

),

orders as (

    select
        invoice_number,
        customer_id

    from {{ ref('int_orders_counted') }}

),

with_products as (

    select
        invoice_number,
        customer_id

    from {{ ref('fct_invoice_lines') }}

    where
        is_product
        and counted_quantity > 0

    group by
        invoice_number,
        customer_id

)

select
    baskets.invoice_number,
    orders.invoice_number as order_invoice_number

from orders

full outer join baskets
    on
        orders.invoice_number = baskets.invoice_number
        and orders.customer_id = baskets.customer_id

left outer join with_products
    on
        orders.invoice_number = with_products.invoice_number
        and orders.customer_id = with_products.customer_id

where
    orders.invoice_number is null
    or (
        baskets.invoice_number is null
        and with_products.invoice_number is not null
    )
