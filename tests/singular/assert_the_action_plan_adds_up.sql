-- The plan does its sums: baselines are the forecast of the clustered customers, scaled
-- to the quarter; the expected uplift lies between low and high; profit is what is left
-- of it; and the needed multiple of what is planned is the target.

with

plan as (

    select *

    from {{ ref('rpt_action_plan') }}

),

forecasts as (

    select
        customer_id,
        horizon_days,
        expected_amount

    from {{ ref('rpt_customer_forecast') }}

),

segments as (

    select customer_id

    from {{ ref('fct_customer_segments') }}

    where
        is_current
        and cluster_id is not null

),

forecast_total as (

    select
        coalesce(
            sum(
                cast(forecasts.expected_amount as double)
                * {{ plan_days() }} / forecasts.horizon_days
            ),
            0
        ) as amount

    from segments

    inner join forecasts
        on segments.customer_id = forecasts.customer_id

),

plan_total as (

    select
        count(*) as segment_count,
        cast(sum(baseline_amount) as double) as baseline_amount,
        cast(max(shop_baseline_amount) as double) as shop_baseline_amount,
        cast(
            sum(case when is_in_plan then expected_uplift_amount else 0 end) as double
        ) as planned_uplift_amount

    from plan

)

select
    'baseline' as problem,
    plan_total.baseline_amount as found,
    forecast_total.amount as expected

from plan_total

cross join forecast_total

where
    plan_total.segment_count > 0
    and (
        abs(plan_total.baseline_amount - forecast_total.amount)
        > 0.001 + 0.000000001 * abs(forecast_total.amount)
        or plan_total.shop_baseline_amount != plan_total.baseline_amount
    )

union all

select
    'uplift' as problem,
    cast(expected_uplift_amount as double) as found,
    cast(uplift_high as double) as expected

from plan

where
    uplift_low > expected_uplift_amount
    or expected_uplift_amount > uplift_high
    or (no_plan_reason is null) != (expected_uplift_amount is not null)
    or (is_in_plan and not is_worthwhile)

union all

select
    'profit' as problem,
    cast(expected_profit as double) as found,
    {{ var('plan_margin') }} * cast(expected_uplift_amount as double)
    - {{ var('plan_contact_cost') }} * contacted_count as expected

from plan

where
    abs(
        cast(expected_profit as double)
        - {{ var('plan_margin') }} * cast(expected_uplift_amount as double)
        + {{ var('plan_contact_cost') }} * contacted_count
    ) > 0.001 + 0.000000001 * cast(contact_cost as double)

union all

select
    'target' as problem,
    plan.needed_multiple * cast(plan.planned_uplift_amount as double) as found,
    cast(plan.target_amount as double) as expected

from plan

cross join plan_total

where
    abs(
        plan.needed_multiple * cast(plan.planned_uplift_amount as double)
        - cast(plan.target_amount as double)
    ) > 0.001
    or (
        not plan.is_target_reached
        and plan.planned_uplift_amount > 0
        and plan.needed_multiple is null
    )
    or abs(
        cast(plan.planned_uplift_amount as double) - plan_total.planned_uplift_amount
    ) > 0.001
