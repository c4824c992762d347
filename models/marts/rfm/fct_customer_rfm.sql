-- One row per known customer x month end, and as of today: recency, frequency and
-- monetary value as they were known on that day, scores and the RFM segment. A customer
-- with no purchase left keeps a row with the reason, and no score.
{{ config(materialized='view' if target.type == 'duckdb' else 'table') }}

with

customers as (

    select *

    from {{ ref('int_customers_snapshotted') }}

    where
        is_month_end
        or is_current

),

final as (

    select
        -- keys
        customer_id,
        snapshot_date,

        -- attributes
        rfm_code,
        rfm_segment,
        unscored_reason,

        -- measures
        recency_days,
        frequency,
        monetary_value,
        r_score,
        f_score,
        m_score,
        product_count,
        tenure_days,
        days_between_orders,
        average_order_value,
        items_per_order,
        return_rate,

        -- flags
        is_current,
        is_month_end,

        -- times
        first_purchase_at,
        last_purchase_at

    from customers

)

select * from final
