-- One row per number of periods since the first purchase: the retention of all cohorts
-- that have come that far, each weighing as many customers as it has. Answers: how many
-- customers come back after so many months?
--
-- Cells of a period that is not over are left out. The weighted mean of the cohorts'
-- rates is the share of their customers taken together, so its interval is Wilson's. It
-- tells how well the customers' rate is known; how much cohorts differ is told by the
-- lowest and the highest of them.

with

cells as (

    select
        periods_since,
        cohort_period,
        cohort_size,
        active_customers,
        retention_rate,
        net_amount,
        is_left_censored

    from {{ ref('rpt_cohort_retention') }}

    where is_complete

),

pooled as (

    select
        periods_since,
        cohort_period,
        count(*) as cohort_count,
        sum(cohort_size) as customer_count,
        sum(active_customers) as active_customers,
        min(retention_rate) as lowest_retention_rate,
        max(retention_rate) as highest_retention_rate,
        sum(net_amount) as net_amount,
        sum(case when is_left_censored then 0 else cohort_size end)
            as uncensored_customer_count,
        sum(case when is_left_censored then 0 else active_customers end)
            as uncensored_active_customers

    from cells

    group by
        periods_since,
        cohort_period

),

final as (

    select
        -- keys
        periods_since,

        -- attributes
        cohort_period,
        case when cohort_period = 'month' then periods_since end as months_since,

        -- measures
        cohort_count,
        cast(customer_count as bigint) as customer_count,
        cast(active_customers as bigint) as active_customers,
        cast(active_customers as double) / customer_count as retention_rate,
        {{ wilson_bound('active_customers', 'customer_count', '-') }}
            as retention_low,
        {{ wilson_bound('active_customers', 'customer_count', '+') }}
            as retention_high,
        lowest_retention_rate,
        highest_retention_rate,
        cast(uncensored_active_customers as double)
        / nullif(uncensored_customer_count, 0) as uncensored_retention_rate,
        cast(net_amount as decimal(18, 4)) as net_amount,
        cast(
            cast(net_amount as double) / customer_count as decimal(18, 4)
        ) as net_amount_per_customer

    from pooled

)

select * from final
