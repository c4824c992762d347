-- Every total that must agree with another layer's found it, and does. The check that a
-- layer is there at all is why this is more than a range on the difference.

select
    measure,
    layer,
    agrees_with,
    total,
    difference

from {{ ref('rpt_control_totals') }}

where
    agrees_with is not null
    and coalesce(difference, 1) != 0
