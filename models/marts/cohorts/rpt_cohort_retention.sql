-- One row per cohort x period since the first purchase, month by month or by the var
-- cohort_period: who bought again in that very period, and what they bought. Answers:
-- do customers come back, and what have they brought in so far?
--
-- What is not known yet has no row. What customers bought is in the period in which
-- they bought it: a later return lowers the net amount of that period.

with

cells as (

    select
        cohort_date,
        periods_since,
        cohort_period,
        period_date,
        is_complete,
        is_left_censored

    from {{ ref('int_cohorts_observed') }}

),

customers as (

    select
        customer_id,
        period_date,
        cohort_date,
        order_count,
        gross_amount,
        net_amount

    from {{ ref('int_customers_cohorted') }}

),

cohorts as (

    select
        cohort_date,
        count(distinct customer_id) as cohort_size

    from customers

    group by cohort_date

),

activities as (

    select
        cohort_date,
        period_date,
        count(*) as active_customers,
        sum(order_count) as order_count,
        sum(gross_amount) as gross_amount,
        sum(net_amount) as net_amount

    from customers

    group by
        cohort_date,
        period_date

),

filled as (

    select
        cells.*,
        cohorts.cohort_size,
        coalesce(activities.active_customers, 0) as active_customers,
        coalesce(activities.order_count, 0) as order_count,
        coalesce(activities.gross_amount, 0) as gross_amount,
        coalesce(activities.net_amount, 0) as net_amount

    from cells

    inner join cohorts
        on cells.cohort_date = cohorts.cohort_date

    left outer join activities
        on
            cells.cohort_date = activities.cohort_date
            and cells.period_date = activities.period_date

),

cumulated as (

    select
        *,
        sum(order_count) over (
            partition by cohort_date
            order by periods_since
            rows between unbounded preceding and current row
        ) as cumulative_order_count,
        sum(gross_amount) over (
            partition by cohort_date
            order by periods_since
            rows between unbounded preceding and current row
        ) as cumulative_gross_amount,
        sum(net_amount) over (
            partition by cohort_date
            order by periods_since
            rows between unbounded preceding and current row
        ) as cumulative_net_amount

    from filled

),

final as (

    select
        -- keys
        cohort_date,
        periods_since,

        -- attributes
        cohort_period,
        case when cohort_period = 'month' then cohort_date end as cohort_month,
        case when cohort_period = 'month' then periods_since end as months_since,
        period_date,

        -- measures
        cohort_size,
        active_customers,
        cast(active_customers as double) / cohort_size as retention_rate,
        {{ wilson_bound('active_customers', 'cohort_size', '-') }} as retention_low,
        {{ wilson_bound('active_customers', 'cohort_size', '+') }} as retention_high,
        cast(order_count as bigint) as order_count,
        cast(gross_amount as decimal(18, 4)) as gross_amount,
        cast(gross_amount - net_amount as decimal(18, 4)) as returned_amount,
        cast(net_amount as decimal(18, 4)) as net_amount,
        {{ as_money('cast(net_amount as double) / nullif(order_count, 0)') }}
            as average_order_value,
        cast(cumulative_order_count as bigint) as cumulative_order_count,
        cast(cumulative_gross_amount as decimal(18, 4)) as cumulative_gross_amount,
        cast(cumulative_net_amount as decimal(18, 4)) as cumulative_net_amount,
        cast(
            cast(cumulative_net_amount as double) / cohort_size as decimal(18, 4)
        ) as cumulative_net_amount_per_customer,

        -- flags
        is_complete,
        is_left_censored

    from cumulated

)

select * from final
