-- The orders of a customer are numbered 1 to the number of orders, the first one
-- flagged.

select
    customer_id,
    count(*) as order_count,
    max(order_number) as last_order_number

from {{ ref('fct_orders') }}

where not is_guest

group by customer_id

having
    max(order_number) != count(*)
    or min(order_number) != 1
    or sum(case when is_first_order then 1 else 0 end) != 1
