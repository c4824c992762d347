-- Who has stopped buying, of those who used to buy a lot? Customers in the upper fifth
-- by amount, with three orders or more, who have been away for three times as long as
-- they used to be between two orders.

select
    rfm.customer_id,
    customers.country_name,
    rfm.monetary_value,
    rfm.frequency,
    round(rfm.days_between_orders, 1) as days_between_orders,
    rfm.recency_days,
    cast(rfm.last_purchase_at as date) as last_purchase_date,
    customers.favourite_products

from {{ ref('fct_customer_rfm') }} as rfm

inner join {{ ref('dim_customers') }} as customers
    on rfm.customer_id = customers.customer_id

where
    rfm.is_current
    and rfm.m_score = 5
    and rfm.frequency >= 3
    -- Who orders every few days is not lost within two months.
    and rfm.recency_days > 60
    and rfm.recency_days > 3 * rfm.days_between_orders

order by
    rfm.monetary_value desc,
    rfm.customer_id asc

limit 50
