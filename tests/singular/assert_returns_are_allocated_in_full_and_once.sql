-- The allocations of a return add up to its units, and no purchase gives back more
-- units than it sold.

with

allocations as (

    select
        return_fingerprint,
        purchase_fingerprint,
        allocated_quantity

    from {{ ref('int_returns_allocated') }}

),

lines as (

    select
        line_fingerprint,
        line_type,
        source_file,
        source_row,
        quantity

    from {{ ref('int_lines_classified') }}

    where line_type in ('purchase', 'return')

),

allocated as (

    select
        return_fingerprint as line_fingerprint,
        allocated_quantity
    from allocations

    union all

    select
        purchase_fingerprint as line_fingerprint,
        allocated_quantity
    from allocations
    where purchase_fingerprint is not null

),

totals as (

    select
        line_fingerprint,
        sum(allocated_quantity) as allocated_quantity

    from allocated

    group by line_fingerprint

)

select
    lines.source_file,
    lines.source_row,
    lines.line_type,
    lines.quantity,
    totals.allocated_quantity

from lines

left outer join totals
    on lines.line_fingerprint = totals.line_fingerprint

where
    (
        lines.line_type = 'return'
        and coalesce(totals.allocated_quantity, 0) != -lines.quantity
    )
    or (
        lines.line_type = 'purchase'
        and coalesce(totals.allocated_quantity, 0) > lines.quantity
    )
