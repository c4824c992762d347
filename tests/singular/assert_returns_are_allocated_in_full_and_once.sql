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

-- Of purchases only those that gave anything back are looked for, which are few.
select
    return_lines.source_file,
    return_lines.source_row,
    return_lines.line_type,
    return_lines.quantity,
    totals.allocated_quantity

from {{ ref('int_lines_classified') }} as return_lines

left outer join totals
    on return_lines.line_fingerprint = totals.line_fingerprint

where
    return_lines.line_type = 'return'
    and coalesce(totals.allocated_quantity, 0) != -return_lines.quantity

union all

select
    purchase_lines.source_file,
    purchase_lines.source_row,
    purchase_lines.line_type,
    purchase_lines.quantity,
    totals.allocated_quantity

from {{ ref('int_lines_classified') }} as purchase_lines

inner join totals
    on purchase_lines.line_fingerprint = totals.line_fingerprint

where
    purchase_lines.line_type = 'purchase'
    and totals.allocated_quantity > purchase_lines.quantity
