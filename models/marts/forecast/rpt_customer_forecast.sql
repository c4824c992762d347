-- One row per known customer: what they are expected to order and spend in the coming
-- days, within what interval, and what the next twelve months are worth. Answers: who
-- will bring next quarter's revenue?

with

forecasts as (

    select
        customer_id,
        expected_orders,
        expected_amount,
        amount_low,
        amount_high,
        probability_active,
        customer_lifetime_value,
        activity_method

    from {{ ref('ml_customer_forecasts') }}

),

customers as (

    select customer_id

    from {{ ref('dim_customers') }}

),

segments as (

    select
        customer_id,
        cluster_id,
        segment_name,
        unclustered_reason

    from {{ ref('dim_customer_segments') }}

),

origins as (

    select
        origin_date,
        horizon_days,
        horizon_end_date

    from {{ ref('int_forecast_origins') }}

    where is_current

),

methods as (

    select
        max(case when target = 'orders' then method end) as orders_method,
        max(case when target = 'amount' then method end) as amount_method

    from {{ ref('rpt_forecast_methods') }}

    where is_chosen

),

final as (

    select
        -- keys
        customers.customer_id,
        segments.cluster_id,

        -- attributes
        segments.segment_name,
        case
            when forecasts.customer_id is not null then methods.amount_method
        end as method,
        case
            when forecasts.customer_id is not null then methods.orders_method
        end as orders_method,
        forecasts.activity_method,
        case
            when forecasts.customer_id is null
                then coalesce(segments.unclustered_reason, 'no_purchase_kept')
        end as unforecast_reason,

        -- measures
        origins.horizon_days,
        forecasts.expected_orders,
        cast(forecasts.expected_amount as decimal(18, 4)) as expected_amount,
        cast(forecasts.amount_low as decimal(18, 4)) as amount_low,
        cast(forecasts.amount_high as decimal(18, 4)) as amount_high,
        forecasts.probability_active,
        cast(forecasts.customer_lifetime_value as decimal(18, 4))
            as customer_lifetime_value,

        -- times
        origins.origin_date as forecast_date,
        origins.horizon_end_date

    from customers

    cross join origins

    cross join methods

    left outer join segments
        on customers.customer_id = segments.customer_id

    left outer join forecasts
        on customers.customer_id = forecasts.customer_id

)

select * from final
