-- Cells of a cohort's own period in which not all of its customers were active, and
-- cells in which more were active than it has or than placed orders.

select
    cohort_date,
    periods_since,
    cohort_size,
    active_customers,
    order_count,
    retention_rate

from {{ ref('rpt_cohort_retention') }}

where
    (
        periods_since = 0
        and (active_customers != cohort_size or retention_rate != 1)
    )
    or active_customers > cohort_size
    or active_customers > order_count
    or abs(retention_rate * cohort_size - active_customers) > 1e-6
    or retention_low > retention_rate + 1e-9
    or retention_high < retention_rate - 1e-9
