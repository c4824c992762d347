-- Customer by customer, what they bought, sent back and kept is what their orders say:
-- a total of all customers would not tell if two had been swapped.

with

customers as (

    select
        customer_id,
        order_count,
        gross_amount,
        returned_amount,
        net_amount

    from {{ ref('dim_customers') }}

),

orders as (

    select
        customer_id,
        count(*) as order_count,
        sum(gross_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount

    from {{ ref('fct_orders') }}

    where not is_guest

    group by customer_id

)

select
    coalesce(customers.customer_id, orders.customer_id) as customer_id,
    customers.order_count,
    orders.order_count as counted_order_count,
    customers.gross_amount,
    orders.gross_amount as ordered_gross_amount,
    customers.net_amount,
    orders.net_amount as ordered_net_amount

from customers

full outer join orders
    on customers.customer_id = orders.customer_id

where
    customers.customer_id is null
    {%- for measure in [
        "order_count", "gross_amount", "returned_amount", "net_amount"
    ] %}
    or customers.{{ measure }} != coalesce(orders.{{ measure }}, 0)
    {%- endfor %}
