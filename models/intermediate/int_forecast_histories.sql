-- One row per origin x customer with a purchase: what was known of their purchases at
-- the start of that day, returns included. What they did afterwards is apart, in
-- int_forecast_outcomes, so that no forecast can see it.

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
        customer_id,
        counted_amount,
        gross_amount,
        known_from,
        known_until,
        ordered_at

    from {{ ref('int_orders_versioned') }}

),

known as (

    select
        origins.origin_date,
        origins.horizon_days,
        origins.history_days,
        orders.customer_id,
        orders.counted_amount,
        orders.gross_amount,
        cast(orders.ordered_at as date) as order_date,
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

firsts as (

    select
        origin_date,
        customer_id,
        min(order_date) as first_order_date

    from known

    group by
        origin_date,
        customer_id

),

measured as (

    select
        known.origin_date,
        known.horizon_days,
        known.history_days,
        known.customer_id,
        count(*) as order_count,
        count(distinct known.order_date) as purchase_day_count,
        sum(known.counted_amount) as amount,
        sum(known.gross_amount) as gross_amount,
        sum(
            case
                when known.order_date > firsts.first_order_date
                    then known.counted_amount
                else 0
            end
        ) as repeat_amount,
        min(known.days_ago) as last_days_ago,
        max(known.days_ago) as first_days_ago,
        sum(
            case when known.days_ago <= known.horizon_days then 1 else 0 end
        ) as last_window_order_count,
        sum(
            case
                when known.days_ago <= known.horizon_days then known.counted_amount
                else 0
            end
        ) as last_window_amount,
        sum(
            case
                when
                    known.days_ago > known.horizon_days
                    and known.days_ago <= 2 * known.horizon_days
                    then 1
                else 0
            end
        ) as previous_window_order_count,
        sum(
            case
                when
                    known.days_ago > known.horizon_days
                    and known.days_ago <= 2 * known.horizon_days
                    then known.counted_amount
                else 0
            end
        ) as previous_window_amount,
        -- From the same day a year ago on, as many days as the horizon has.
        sum(
            case
                when
                    known.days_ago <= 365
                    and known.days_ago > 365 - known.horizon_days
                    then 1
                else 0
            end
        ) as year_ago_order_count,
        sum(
            case
                when
                    known.days_ago <= 365
                    and known.days_ago > 365 - known.horizon_days
                    then known.counted_amount
                else 0
            end
        ) as year_ago_amount

    from known

    inner join firsts
        on
            known.origin_date = firsts.origin_date
            and known.customer_id = firsts.customer_id

    group by
        known.origin_date,
        known.horizon_days,
        known.history_days,
        known.customer_id

),

final as (

    select
        -- keys
        origin_date,
        customer_id,

        -- measures
        -- Back-tests of a large shop learn from the first ones of this order, which is
        -- the same in every build and has nothing to do with how somebody buys.
        row_number() over (
            partition by origin_date
            order by md5(customer_id), customer_id
        ) as sample_number,
        order_count,
        purchase_day_count,
        purchase_day_count - 1 as repeat_frequency,
        first_days_ago - last_days_ago as recency_at_last_purchase_days,
        first_days_ago as customer_age_days,
        last_days_ago as recency_days,
        cast(amount as decimal(18, 4)) as amount,
        cast(repeat_amount as decimal(18, 4)) as repeat_amount,
        cast(last_window_order_count as bigint) as last_window_order_count,
        cast(last_window_amount as decimal(18, 4)) as last_window_amount,
        cast(previous_window_order_count as bigint) as previous_window_order_count,
        cast(previous_window_amount as decimal(18, 4)) as previous_window_amount,
        -- Null where the data do not reach back so far.
        case
            when history_days >= 365 then cast(year_ago_order_count as bigint)
        end as year_ago_order_count,
        case
            when history_days >= 365 then cast(year_ago_amount as decimal(18, 4))
        end as year_ago_amount,
        case
            when gross_amount > 0
                then
                    1
                    - cast(amount as double) / cast(gross_amount as double)
            else cast(0 as double)
        end as returned_share

    from measured

    where amount > 0

)

select * from final
