-- What counts of the products is what counts of the lines, units and money.

with

products as (

    select
        coalesce(sum(counted_quantity), 0) as counted_quantity,
        coalesce(sum(counted_amount), 0) as counted_amount

    from {{ ref('rpt_product_sales') }}

),

lines as (

    select
        coalesce(sum(counted_quantity), 0) as counted_quantity,
        coalesce(sum(counted_amount), 0) as counted_amount

    from {{ ref('int_invoice_parts_totalled') }}

)

select
    products.counted_quantity,
    lines.counted_quantity as line_quantity,
    products.counted_amount,
    lines.counted_amount as line_amount

from products

cross join lines

where
    products.counted_quantity != lines.counted_quantity
    or products.counted_amount != lines.counted_amount
