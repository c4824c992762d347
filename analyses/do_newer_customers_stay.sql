-- Do newer customers stay as the older ones did? Each cohort one, three and six months
-- on, with what a customer has brought in by then. The first cohort holds customers who
-- bought before the data begins, and so comes out better than it is.

select
    cohort_date,
    cohort_size,
    max(case when periods_since = 1 then retention_rate end) as retention_after_1,
    max(case when periods_since = 3 then retention_rate end) as retention_after_3,
    max(case when periods_since = 6 then retention_rate end) as retention_after_6,
    max(case when periods_since = 1 then cumulative_net_amount_per_customer end)
        as amount_after_1,
    max(case when periods_since = 3 then cumulative_net_amount_per_customer end)
        as amount_after_3,
    max(case when periods_since = 6 then cumulative_net_amount_per_customer end)
        as amount_after_6,
    is_left_censored

from {{ ref('rpt_cohort_retention') }}

where is_complete

group by
    cohort_date,
    cohort_size,
    is_left_censored

order by cohort_date
