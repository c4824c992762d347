-- What share of the revenue comes from guests? Month by month; segments and cohorts
-- know nothing about this part of the shop.

with

orders as (

    select
        cast({{ dbt.date_trunc('month', 'ordered_at') }} as date) as order_month,
        net_amount,
        is_guest

    from {{ ref('fct_orders') }}

)

select
    order_month,
    count(*) as order_count,
    sum(case when is_guest then 1 else 0 end) as guest_order_count,
    sum(net_amount) as net_amount,
    sum(case when is_guest then net_amount else 0 end) as guest_net_amount,
    cast(sum(case when is_guest then net_amount else 0 end) as double)
    / nullif(cast(sum(net_amount) as double), 0) as guest_share

from orders

group by order_month

order by order_month
