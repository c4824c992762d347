-- Every scored customer has a forecast and nobody else; months of a segment add up to
-- its customers; and for each target one method is used, or none where nobody has
-- bought.

with

rfm as (

    select
        customer_id,
        unscored_reason

    from {{ ref('fct_customer_rfm') }}

    where is_current

),

forecasts as (

    select
        customer_id,
        cluster_id,
        expected_orders,
        expected_amount,
        unforecast_reason

    from {{ ref('rpt_customer_forecast') }}

),

months as (

    select
        cluster_id,
        sum(expected_amount) as expected_amount,
        count(*) as month_count

    from {{ ref('rpt_segment_forecast') }}

    group by cluster_id

),

methods as (

    select
        target,
        sum(case when is_chosen then 1 else 0 end) as chosen_count

    from {{ ref('rpt_forecast_methods') }}

    group by target

),

of_customers as (

    select
        cluster_id,
        sum(expected_amount) as expected_amount

    from forecasts

    where
        cluster_id is not null
        and expected_amount is not null

    group by cluster_id

),

forecast_counts as (

    select count(expected_amount) as customer_count

    from forecasts

),

problems as (

    select concat('customer ', forecasts.customer_id) as problem

    from forecasts

    left outer join rfm
        on forecasts.customer_id = rfm.customer_id

    where
        (rfm.unscored_reason is null and forecasts.expected_amount is null)
        or (rfm.unscored_reason is not null and forecasts.expected_amount is not null)
        or (forecasts.expected_amount is null) != (forecasts.expected_orders is null)
        or (forecasts.expected_amount is null) != (
            forecasts.unforecast_reason is not null
        )

    union all

    -- Each month is rounded to four digits.
    select concat('segment ', cast(of_customers.cluster_id as string)) as problem

    from of_customers

    left outer join months
        on of_customers.cluster_id = months.cluster_id

    where
        months.cluster_id is null
        or abs(months.expected_amount - of_customers.expected_amount)
        > 0.0001 * months.month_count

    union all

    select concat('target ', methods.target) as problem

    from methods

    cross join forecast_counts

    where
        methods.chosen_count
        != case when forecast_counts.customer_count > 0 then 1 else 0 end

)

select * from problems
