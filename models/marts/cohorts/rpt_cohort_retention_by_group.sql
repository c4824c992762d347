-- One row per group x cohort x period since the first purchase, the groups being
-- countries and, beside them, segments: rpt_cohort_retention for parts of the
-- customers. The groups of a kind add up to it. Answers: which customers come back?

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

activities as (

    select
        customer_id,
        period_date,
        cohort_date,
        order_count,
        gross_amount,
        net_amount

    from {{ ref('int_customers_cohorted') }}

),

members as (

    select
        customer_id,
        group_kind,
        group_name

    from {{ ref('int_customers_grouped') }}

),

grouped as (

    select
        members.group_kind,
        members.group_name,
        activities.customer_id,
        activities.cohort_date

    from activities

    inner join members
        on activities.customer_id = members.customer_id

    -- The first row of each customer.
    where activities.period_date = activities.cohort_date

),

cohorts as (

    select
        group_kind,
        group_name,
        cohort_date,
        count(*) as cohort_size

    from grouped

    group by
        group_kind,
        group_name,
        cohort_date

),

group_activities as (

    select
        grouped.group_kind,
        grouped.group_name,
        activities.cohort_date,
        activities.period_date,
        count(*) as active_customers,
        sum(activities.order_count) as order_count,
        sum(activities.gross_amount) as gross_amount,
        sum(activities.net_amount) as net_amount

    from activities

    inner join grouped
        on activities.customer_id = grouped.customer_id

    group by
        grouped.group_kind,
        grouped.group_name,
        activities.cohort_date,
        activities.period_date

),

filled as (

    select
        cells.*,
        cohorts.group_kind,
        cohorts.group_name,
        cohorts.cohort_size,
        coalesce(group_activities.active_customers, 0) as active_customers,
        coalesce(group_activities.order_count, 0) as order_count,
        coalesce(group_activities.gross_amount, 0) as gross_amount,
        coalesce(group_activities.net_amount, 0) as net_amount

    from cells

    inner join cohorts
        on cells.cohort_date = cohorts.cohort_date

    left outer join group_activities
        on
            cohorts.group_kind = group_activities.group_kind
            and cohorts.group_name = group_activities.group_name
            and cells.cohort_date = group_activities.cohort_date
            and cells.period_date = group_activities.period_date

),

cumulated as (

    select
        *,
        sum(order_count) over (
            partition by group_kind, group_name, cohort_date
            order by periods_since
            rows between unbounded preceding and current row
        ) as cumulative_order_count,
        sum(gross_amount) over (
            partition by group_kind, group_name, cohort_date
            order by periods_since
            rows between unbounded preceding and current row
        ) as cumulative_gross_amount,
        sum(net_amount) over (
            partition by group_kind, group_name, cohort_date
            order by periods_since
            rows between unbounded preceding and current row
        ) as cumulative_net_amount

    from filled

),

final as (

    select
        -- keys
        group_kind,
        group_name,
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
