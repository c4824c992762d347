-- One row per origin: how far the days of the horizon lie above or below the year's
-- level, as a factor, told from the same days a year before and the year around them.
-- Null where the data do not reach back so far: with one year alone, season and trend
-- cannot be told apart.

with

origins as (

    select
        origin_date,
        horizon_days,
        history_days

    from {{ ref('int_forecast_origins') }}

),

orders as (

    select
        counted_amount,
        known_from,
        known_until,
        ordered_at

    from {{ ref('int_orders_versioned') }}

),

known as (

    select
        origins.origin_date,
        orders.counted_amount,
        cast(
            {{ dbt.datediff('orders.ordered_at', 'origins.origin_date', 'day') }}
            as bigint
        ) as days_ago

    from orders

    inner join origins
        on
            orders.known_from < origins.origin_date
            and (
                orders.known_until is null
                or orders.known_until >= origins.origin_date
            )

),

days as (

    select
        origin_date,
        days_ago,
        count(*) as order_count,
        sum(counted_amount) as counted_amount

    from known

    group by
        origin_date,
        days_ago

),

-- Windows by their first day and the day after their last, in days before the origin.
windows as (

    select
        origin_date,
        horizon_days,
        history_days,
        'coming' as window_name,
        365 as first_days_ago,
        365 - horizon_days as end_days_ago

    from origins

    union all

    select
        origin_date,
        horizon_days,
        history_days,
        'coming_year' as window_name,
        547 - cast(floor(horizon_days / 2) as bigint) as first_days_ago,
        182 - cast(floor(horizon_days / 2) as bigint) as end_days_ago

    from origins

    union all

    select
        origin_date,
        horizon_days,
        history_days,
        'trailing' as window_name,
        365 + horizon_days as first_days_ago,
        365 as end_days_ago

    from origins

    union all

    select
        origin_date,
        horizon_days,
        history_days,
        'trailing_year' as window_name,
        547 + cast(floor(horizon_days / 2) as bigint) as first_days_ago,
        182 + cast(floor(horizon_days / 2) as bigint) as end_days_ago

    from origins

    union all

    select
        origin_date,
        horizon_days,
        history_days,
        'last' as window_name,
        horizon_days as first_days_ago,
        0 as end_days_ago

    from origins

),

-- A window that begins before the data, or ends after the origin, has no figure.
totals as (

    select
        windows.origin_date,
        windows.window_name,
        sum(days.order_count) as order_count,
        cast(sum(days.counted_amount) as double) as amount

    from windows

    inner join days
        on
            windows.origin_date = days.origin_date
            and windows.first_days_ago >= days.days_ago
            and windows.end_days_ago < days.days_ago

    where
        windows.history_days >= windows.first_days_ago
        and windows.end_days_ago >= 0

    group by
        windows.origin_date,
        windows.window_name

),

-- Levels are given as those of a whole year.
levels as (

    select
        origins.origin_date,
        origins.horizon_days,
        max(
            case when totals.window_name = 'coming' then totals.order_count end
        ) as coming_order_count,
        max(
            case when totals.window_name = 'coming' then totals.amount end
        ) as coming_amount,
        max(
            case when totals.window_name = 'coming_year' then totals.order_count end
        ) as coming_year_order_count,
        max(
            case when totals.window_name = 'coming_year' then totals.amount end
        ) as coming_year_amount,
        max(
            case when totals.window_name = 'trailing' then totals.order_count end
        ) as trailing_order_count,
        max(
            case when totals.window_name = 'trailing' then totals.amount end
        ) as trailing_amount,
        max(
            case when totals.window_name = 'trailing_year' then totals.order_count end
        ) as trailing_year_order_count,
        max(
            case when totals.window_name = 'trailing_year' then totals.amount end
        ) as trailing_year_amount,
        max(
            case when totals.window_name = 'last' then totals.order_count end
        ) as last_order_count,
        max(
            case when totals.window_name = 'last' then totals.amount end
        ) as last_amount

    from origins

    left outer join totals
        on origins.origin_date = totals.origin_date

    group by
        origins.origin_date,
        origins.horizon_days

),

final as (

    select
        -- keys
        origin_date,

        -- measures
        cast(coming_order_count as double) * 365
        / nullif(coming_year_order_count * horizon_days, 0) as coming_order_factor,
        coming_amount * 365
        / nullif(coming_year_amount * horizon_days, 0) as coming_amount_factor,
        cast(trailing_order_count as double) * 365
        / nullif(trailing_year_order_count * horizon_days, 0) as trailing_order_factor,
        trailing_amount * 365
        / nullif(trailing_year_amount * horizon_days, 0) as trailing_amount_factor,
        cast(last_order_count as double)
        / nullif(trailing_order_count, 0) as growth_order_factor,
        last_amount / nullif(trailing_amount, 0) as growth_amount_factor

    from levels

)

select * from final
