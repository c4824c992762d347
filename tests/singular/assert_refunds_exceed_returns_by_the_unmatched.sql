-- The two views of returns close: by the day of the return, months hold every return
-- line; less what found no purchase, they are what was taken off purchases.

with

months as (

    select
        coalesce(sum(refunded_amount), 0) as refunded_amount,
        coalesce(sum(unmatched_refund_amount), 0) as unmatched_refund_amount,
        coalesce(sum(returned_amount), 0) as returned_amount

    from {{ ref('rpt_sales_monthly') }}

),

lines as (

    select coalesce(sum(-line_amount), 0) as refunded_amount

    from {{ ref('fct_invoice_lines') }}

    where line_type = 'return'

),

allocations as (

    select coalesce(sum(allocated_amount), 0) as returned_amount

    from {{ ref('fct_return_allocations') }}

    where purchase_line_id is not null

)

select
    months.refunded_amount,
    months.unmatched_refund_amount,
    months.returned_amount,
    lines.refunded_amount as line_refunded_amount,
    allocations.returned_amount as allocated_amount

from months

cross join lines

cross join allocations

where
    months.refunded_amount != lines.refunded_amount
    or months.returned_amount != allocations.returned_amount
    or months.refunded_amount - months.unmatched_refund_amount
    != months.returned_amount
