-- One row per known customer x day of purchase after the first: the days since the
-- purchase before, beside the customer's usual gap. Invoices of one day are one visit.

with

orders as (

    select
        customer_id,
        ordered_at

    from {{ ref('int_orders_counted') }}

),

visits as (

    select distinct
        customer_id,
        cast(ordered_at as date) as purchase_date

    from orders

),

preceded as (

    select
        customer_id,
        purchase_date,
        lag(purchase_date) over (
            partition by customer_id
            order by purchase_date
        ) as previous_purchase_date

    from visits

),

gaps as (

    select
        customer_id,
        purchase_date,
        cast(
            {{ dbt.datediff('previous_purchase_date', 'purchase_date', 'day') }}
            as bigint
        ) as gap_days

    from preceded

    where previous_purchase_date is not null

),

rhythms as (

    select
        customer_id,
        count(*) as gap_count,
        cast(median(gap_days) as double) as usual_gap_days

    from gaps

    group by customer_id

),

final as (

    select
        -- keys
        gaps.customer_id,
        gaps.purchase_date,

        -- measures
        gaps.gap_days,
        rhythms.gap_count,
        rhythms.usual_gap_days

    from gaps

    inner join rhythms
        on gaps.customer_id = rhythms.customer_id

)

select * from final
