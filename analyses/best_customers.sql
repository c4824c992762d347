-- Who are our best customers, and what do we do with them?

select
    customers.customer_id,
    customers.country_name,
    customers.net_amount,
    customers.order_count,
    customers.favourite_products,
    segments.segment_name,
    segments.recommended_action

from {{ ref('dim_customers') }} as customers

inner join {{ ref('dim_customer_segments') }} as segments
    on customers.customer_id = segments.customer_id

order by
    customers.net_amount desc,
    customers.customer_id asc

limit 20
