-- One row per origin x method x metric: how near each forecast came to what followed.
-- Answers: how far off is the forecast, and was that so every time?

with

scores as (

    select
        cast(origin_date as date) as origin_date,
        method,
        metric,
        value,
        reason,
        is_degenerate

    from {{ ref('ml_forecast_scores') }}

    where group_number is null

),

origins as (

    select
        origin_date,
        horizon_end_date,
        is_scored

    from {{ ref('int_forecast_origins') }}

),

metrics as (

    select
        metric,
        target,
        meaning,
        decides

    from {{ ref('forecast_metrics') }}

),

methods as (

    select
        target,
        method,
        is_chosen

    from {{ ref('rpt_forecast_methods') }}

),

final as (

    select
        -- keys
        scores.origin_date,
        scores.method,
        scores.metric,

        -- attributes
        metrics.target,
        metrics.meaning,
        scores.reason,

        -- measures
        scores.value,

        -- flags
        origins.is_scored,
        coalesce(metrics.decides, false) as decides,
        coalesce(scores.is_degenerate, false) as is_degenerate,
        coalesce(methods.is_chosen, false) as is_chosen,

        -- times
        origins.horizon_end_date

    from scores

    inner join origins
        on scores.origin_date = origins.origin_date

    left outer join metrics
        on scores.metric = metrics.metric

    left outer join methods
        on
            scores.method = methods.method
            and metrics.target = methods.target

)

select * from final
