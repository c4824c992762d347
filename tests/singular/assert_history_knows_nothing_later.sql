-- No row of the history knows a purchase of its own day or later.

select
    customer_id,
    snapshot_date,
    first_purchase_at,
    last_purchase_at

from {{ ref('fct_customer_rfm') }}

where
    last_purchase_at >= snapshot_date
    or first_purchase_at > last_purchase_at
