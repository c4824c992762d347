-- Points of the curve that are not the mean of the complete cells, weighted by size,
-- and numbers of periods that lack a point or should have none.

with

curve as (

    select
        periods_since,
        customer_count,
        retention_rate,
        retention_low,
        retention_high,
        lowest_retention_rate,
        highest_retention_rate

    from {{ ref('rpt_cohort_curve') }}

),

means as (

    select
        periods_since,
        sum(cohort_size) as customer_count,
        sum(cohort_size * retention_rate) / sum(cohort_size) as retention_rate

    from {{ ref('rpt_cohort_retention') }}

    where is_complete

    group by periods_since

)

select
    coalesce(curve.periods_since, means.periods_since) as periods_since,
    curve.retention_rate,
    means.retention_rate as weighted_mean

from curve

full outer join means
    on curve.periods_since = means.periods_since

where
    curve.periods_since is null
    or means.periods_since is null
    or curve.customer_count != means.customer_count
    or abs(curve.retention_rate - means.retention_rate) > 1e-9
    or curve.retention_low > curve.retention_rate + 1e-9
    or curve.retention_high < curve.retention_rate - 1e-9
    or curve.lowest_retention_rate > curve.retention_rate + 1e-9
    or curve.highest_retention_rate < curve.retention_rate - 1e-9
