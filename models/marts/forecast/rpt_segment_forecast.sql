-- One row per segment x calendar month of the horizon: the customers' forecasts added
-- up. Answers: what will each segment bring, month by month?
--
-- A customer's amount is spread evenly over the days. What whole segments bring is as
-- uncertain as the level of the forecast, far more than its customers, who even out:
-- the interval is that of the next ratio of actual to expected totals, given those at
-- the origins, if their logarithms are normal.

with

customers as (

    select
        cluster_id,
        segment_name,
        horizon_days,
        expected_orders,
        expected_amount,
        forecast_date,
        horizon_end_date

    from {{ ref('rpt_customer_forecast') }}

    where
        expected_amount is not null
        and cluster_id is not null

),

scores as (

    select
        origin_date,
        value

    from {{ ref('rpt_forecast_scoreboard') }}

    where
        metric = 'amount_bias'
        and is_scored
        and is_chosen
        and value > -1

),

quantiles as (

    select
        degrees_of_freedom,
        quantile

    from {{ ref('t_quantiles') }}

),

ratios as (

    select
        origin_date,
        -1 * ln(1 + value) as log_ratio

    from scores

),

spreads as (

    select
        count(*) as origin_count,
        avg(log_ratio) as mean_log_ratio,
        stddev_samp(log_ratio) as deviation

    from ratios

),

-- The interval that holds 80 % of the time, as factors of the expected amount.
widths as (

    select
        round(
            exp(
                spreads.mean_log_ratio
                - quantiles.quantile
                * spreads.deviation
                * sqrt(1 + cast(1 as double) / spreads.origin_count)
            ), 9
        ) as low_factor,
        round(
            exp(
                spreads.mean_log_ratio
                + quantiles.quantile
                * spreads.deviation
                * sqrt(1 + cast(1 as double) / spreads.origin_count)
            ), 9
        ) as high_factor

    from spreads

    inner join quantiles
        on spreads.origin_count - 1 = quantiles.degrees_of_freedom

),

series as (

    {{ dbt.generate_series(14) }}

),

segments as (

    select
        cluster_id,
        segment_name,
        horizon_days,
        forecast_date,
        horizon_end_date,
        count(*) as customer_count,
        sum(expected_orders) as expected_orders,
        sum(expected_amount) as expected_amount

    from customers

    group by
        cluster_id,
        segment_name,
        horizon_days,
        forecast_date,
        horizon_end_date

),

months as (

    select
        segments.*,
        cast(
            {{ dbt.dateadd(
                'month',
                'cast(series.generated_number as int) - 1',
                dbt.date_trunc('month', 'segments.forecast_date')
            ) }} as date
        ) as month_date

    from segments

    cross join series

),

cut as (

    select
        *,
        greatest(month_date, forecast_date) as first_date,
        least(
            cast({{ dbt.dateadd('month', 1, 'month_date') }} as date),
            horizon_end_date
        ) as end_date

    from months

    where month_date < horizon_end_date

),

spread_out as (

    select
        *,
        cast(
            {{ dbt.datediff('first_date', 'end_date', 'day') }}
            as bigint
        ) as day_count

    from cut

),

shared as (

    select
        *,
        cast(day_count as double) / horizon_days as horizon_share

    from spread_out

),

final as (

    select
        -- keys
        shared.cluster_id,
        shared.month_date,

        -- attributes
        shared.segment_name,

        -- measures
        shared.day_count,
        shared.customer_count,
        round(shared.expected_orders * shared.horizon_share, 9) as expected_orders,
        cast(
            shared.expected_amount * shared.horizon_share as decimal(18, 4)
        ) as expected_amount,
        -- Where the level was off the same way every time, the interval reaches from
        -- what is expected to where that would put it.
        cast(
            case
                when widths.low_factor > 1 then shared.expected_amount
                else shared.expected_amount * widths.low_factor
            end
            * shared.horizon_share as decimal(18, 4)
        ) as amount_low,
        cast(
            case
                when widths.high_factor < 1 then shared.expected_amount
                else shared.expected_amount * widths.high_factor
            end
            * shared.horizon_share as decimal(18, 4)
        ) as amount_high

    from shared

    left outer join widths
        on true

)

select * from final
