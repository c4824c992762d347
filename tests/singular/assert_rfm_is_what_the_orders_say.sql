-- Today's recency, frequency and monetary value are those of the orders that count,
-- customer by customer, and days are counted back from the snapshot on every date.

with

rfm as (

    select
        customer_id,
        snapshot_date,
        recency_days,
        tenure_days,
        frequency,
        monetary_value,
        is_current,
        first_purchase_at,
        last_purchase_at

    from {{ ref('fct_customer_rfm') }}

),

orders as (

    select
        customer_id,
        count(*) as frequency,
        sum(counted_amount) as monetary_value,
        min(ordered_at) as first_purchase_at,
        max(ordered_at) as last_purchase_at

    from {{ ref('int_orders_counted') }}

    group by customer_id

)

select
    rfm.customer_id,
    rfm.snapshot_date,
    rfm.recency_days,
    rfm.frequency,
    orders.frequency as counted_frequency,
    rfm.monetary_value,
    orders.monetary_value as counted_monetary_value,
    rfm.last_purchase_at,
    orders.last_purchase_at as last_ordered_at

from rfm

left outer join orders
    on rfm.customer_id = orders.customer_id

where
    rfm.recency_days
    != {{ dbt.datediff('rfm.last_purchase_at', 'rfm.snapshot_date', 'day') }}
    or rfm.tenure_days
    != {{ dbt.datediff('rfm.first_purchase_at', 'rfm.snapshot_date', 'day') }}
    or (
        rfm.is_current
        and (
            rfm.frequency != coalesce(orders.frequency, 0)
            or rfm.monetary_value != coalesce(orders.monetary_value, 0)
            or rfm.first_purchase_at != orders.first_purchase_at
            or rfm.last_purchase_at != orders.last_purchase_at
        )
    )
