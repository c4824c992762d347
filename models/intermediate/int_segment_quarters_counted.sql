-- One row per segment of the current model: what those who were in it at the month ends
-- of the last year did in the quarter that followed, of themselves. What a campaign
-- adds is measured against that.

with

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

snapshots as (

    select
        customer_id,
        snapshot_date,
        frequency

    from {{ ref('fct_customer_rfm') }}

    where is_month_end

),

segments as (

    select
        customer_id,
        snapshot_date,
        cluster_id

    from {{ ref('fct_customer_segments') }}

    where cluster_id is not null

),

orders as (

    select
        customer_id,
        counted_amount,
        ordered_at

    from {{ ref('int_orders_counted') }}

),

snapshot_dates as (

    select distinct snapshot_date

    from snapshots

),

-- Quarters that are over; of one year at most, so that every season counts once.
windows as (

    select
        snapshot_dates.snapshot_date as window_date,
        cast(
            {{ dbt.dateadd('day', plan_days(), 'snapshot_dates.snapshot_date') }}
            as date
        ) as window_end_date

    from snapshot_dates

    cross join as_of

    where
        {{ dbt.dateadd('day', plan_days(), 'snapshot_dates.snapshot_date') }}
        <= as_of.as_of_date
        and snapshot_dates.snapshot_date
        >= {{ dbt.dateadd('day', -365 - plan_days(), 'as_of.as_of_date') }}

),

bought as (

    select
        orders.customer_id,
        windows.window_date,
        count(*) as order_count,
        sum(orders.counted_amount) as amount

    from orders

    inner join windows
        on
            orders.ordered_at >= windows.window_date
            and orders.ordered_at < windows.window_end_date

    group by
        orders.customer_id,
        windows.window_date

),

members as (

    select
        segments.cluster_id,
        windows.window_date,
        snapshots.frequency = 1 as is_one_time,
        bought.order_count is not null as has_bought,
        cast(coalesce(bought.amount, 0) as decimal(18, 4)) as amount

    from windows

    inner join segments
        on windows.window_date = segments.snapshot_date

    inner join snapshots
        on
            segments.snapshot_date = snapshots.snapshot_date
            and segments.customer_id = snapshots.customer_id

    left outer join bought
        on
            segments.snapshot_date = bought.window_date
            and segments.customer_id = bought.customer_id

),

counted as (

    select
        cluster_id,
        count(distinct window_date) as window_count,
        count(*) as customer_count,
        sum(case when has_bought then 1 else 0 end) as buyer_count,
        sum(case when is_one_time then 1 else 0 end) as one_time_count,
        sum(case when is_one_time and has_bought then 1 else 0 end)
            as one_time_buyer_count,
        cast(sum(amount) as double) as amount,
        cast(sum(case when is_one_time then amount else 0 end) as double)
            as one_time_amount,
        -- Squares of decimals add up to the same in any order.
        cast(sum(
            cast(amount as decimal(19, 4)) * cast(amount as decimal(19, 4))
        ) as double) as squared_amount

    from members

    group by cluster_id

),

final as (

    select
        -- keys
        cluster_id,

        -- measures
        window_count,
        customer_count,
        cast(buyer_count as double) / customer_count as buyer_share,
        amount / nullif(buyer_count, 0) as amount_per_buyer,
        cast(one_time_buyer_count as double) / nullif(one_time_count, 0)
            as one_time_buyer_share,
        one_time_amount / nullif(one_time_buyer_count, 0) as amount_per_one_time_buyer,
        case
            when customer_count > 1
                then sqrt(greatest(
                    0,
                    (squared_amount - amount * amount / customer_count)
                    / (customer_count - 1)
                ))
        end as amount_deviation

    from counted

)

select * from final
