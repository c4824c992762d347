-- One row per origin that has passed x customer with a history at it: what they bought
-- in the days of the horizon, less what they have sent back since.

with

histories as (

    select
        origin_date,
        customer_id

    from {{ ref('int_forecast_histories') }}

),

origins as (

    select
        origin_date,
        horizon_end_date

    from {{ ref('int_forecast_origins') }}

    where not is_current

),

orders as (

    select
        customer_id,
        counted_amount,
        ordered_at

    from {{ ref('int_orders_counted') }}

),

bought as (

    select
        origins.origin_date,
        orders.customer_id,
        count(*) as order_count,
        sum(orders.counted_amount) as counted_amount

    from orders

    inner join origins
        on
            orders.ordered_at >= origins.origin_date
            and orders.ordered_at < origins.horizon_end_date

    group by
        origins.origin_date,
        orders.customer_id

),

final as (

    select
        -- keys
        histories.origin_date,
        histories.customer_id,

        -- measures
        coalesce(bought.order_count, 0) as next_order_count,
        cast(coalesce(bought.counted_amount, 0) as decimal(18, 4)) as next_amount

    from histories

    inner join origins
        on histories.origin_date = origins.origin_date

    left outer join bought
        on
            histories.origin_date = bought.origin_date
            and histories.customer_id = bought.customer_id

)

select * from final
