-- The allocations of a return add up to its units, and no purchase gives back more
-- units than it sold.

with

allocations as (

    select
        return_line_id,
        purchase_line_id,
        allocated_quantity

    from {{ ref('fct_return_allocations') }}

),

lines as (

    select
        invoice_line_id,
        line_type,
        quantity

    from {{ ref('fct_invoice_lines') }}

    where line_type in ('purchase', 'return')

),

allocated as (

    select
        return_line_id as invoice_line_id,
        allocated_quantity
    from allocations

    union all

    select
        purchase_line_id as invoice_line_id,
        allocated_quantity
    from allocations
    where purchase_line_id is not null

),

totals as (

    select
        invoice_line_id,
        sum(allocated_quantity) as allocated_quantity

    from allocated

    group by invoice_line_id

)

select
    lines.invoice_line_id,
    lines.line_type,
    lines.quantity,
    totals.allocated_quantity

from lines

left outer join totals
    on lines.invoice_line_id = totals.invoice_line_id

where
    (
        lines.line_type = 'return'
        and coalesce(totals.allocated_quantity, 0) != -lines.quantity
    )
    or (
        lines.line_type = 'purchase'
        and coalesce(totals.allocated_quantity, 0) > lines.quantity
    )
