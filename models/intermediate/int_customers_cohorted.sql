-- One row per customer x period in which they bought: the cohort they belong to, and
-- what they bought. Orders are added up here once, for every mart of cohorts. The var
-- cohort_period says what a period is.
--
-- An order of which nothing was kept is no visit: it neither puts a customer into a
-- cohort nor makes them active, and its amounts are in no cohort.

with

orders as (

    select
        customer_id,
        counted_amount,
        gross_amount,
        cast(
            {{ dbt.date_trunc(var('cohort_period'), 'ordered_at') }} as date
        ) as period_date

    from {{ ref('int_orders_counted') }}

),

periods as (

    select
        customer_id,
        period_date,
        count(*) as order_count,
        sum(gross_amount) as gross_amount,
        sum(counted_amount) as net_amount

    from orders

    group by
        customer_id,
        period_date

),

final as (

    select
        -- keys
        customer_id,
        period_date,
        min(period_date) over (partition by customer_id) as cohort_date,

        -- measures
        order_count,
        cast(gross_amount as decimal(18, 4)) as gross_amount,
        cast(net_amount as decimal(18, 4)) as net_amount

    from periods

)

select * from final
