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
    returns.source_file,
    returns.source_row,
    returns.line_type,
    returns.quantity,
    totals.allocated_quantity

from {{ ref('int_lines_classified') }} as returns

left outer join totals
    on returns.line_fingerprint = totals.line_fingerprint

where
    returns.line_type = 'return'
    and coalesce(totals.allocated_quantity, 0) != -returns.quantity

union all

select
    purchases.source_file,
    purchases.source_row,
    purchases.line_type,
    purchases.quantity,
    totals.allocated_quantity

from {{ ref('int_lines_classified') }} as purchases

inner join totals
    on purchases.line_fingerprint = totals.line_fingerprint

where
    purchases.line_type = 'purchase'
    and totals.allocated_quantity > purchases.quantity
