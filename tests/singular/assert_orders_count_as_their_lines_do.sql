-- What the versions of an invoice come to is what its lines come to: the same number by
-- two ways.

with

orders as (

    select
        customer_id,
        invoice_number,
        counted_amount,
        ordered_at

    from {{ ref('int_orders_counted') }}

),

lines as (

    select
        customer_id,
        invoice_number,
        sum(counted_amount) as counted_amount,
        min(case when counted_quantity > 0 then invoiced_at end) as ordered_at

    from {{ ref('int_invoice_parts_totalled') }}

    where
        customer_id is not null
        and is_counted

    group by
        customer_id,
        invoice_number

    having sum(counted_quantity) > 0

)

select
    lines.customer_id,
    lines.invoice_number,
    orders.counted_amount,
    lines.counted_amount as line_amount

from orders

full outer join lines
    on
        orders.customer_id = lines.customer_id
        and orders.invoice_number = lines.invoice_number

where
    orders.customer_id is null
    or lines.customer_id is null
    or orders.counted_amount != lines.counted_amount
    or orders.ordered_at != lines.ordered_at
