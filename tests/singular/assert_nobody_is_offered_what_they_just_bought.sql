-- No product of a customer's last order, nor of their last 30 days, is recommended to
-- them: looked up in the lines, not in what the recommendations were made of.

with

recommendations as (

    select
        customer_id,
        stock_code,
        made_on_date

    from {{ ref('rpt_product_recommendations') }}

),

lines as (

    select
        customer_id,
        invoice_number,
        stock_code,
        counted_quantity,
        invoiced_at

    from {{ ref('fct_invoice_lines') }}

    where
        is_counted
        and is_product
        and not is_guest

),

-- Products are counted in two steps, which is faster than counting distinct ones.
items as (

    select
        customer_id,
        invoice_number,
        stock_code,
        sum(counted_quantity) as counted_quantity,
        max(case when counted_quantity > 0 then 1 else 0 end) as is_bought,
        min(invoiced_at) as invoiced_at

    from lines

    group by
        customer_id,
        invoice_number,
        stock_code

),

orders as (

    select
        customer_id,
        invoice_number,
        min(invoiced_at) as ordered_at,
        sum(is_bought) as product_count

    from items

    group by
        customer_id,
        invoice_number

    having sum(counted_quantity) > 0

),

last_orders as (

    select
        customer_id,
        max(ordered_at) as ordered_at

    from orders

    where product_count <= {{ var('basket_largest_size') }}

    group by customer_id

)

select
    recommendations.customer_id,
    recommendations.stock_code

from recommendations

inner join items
    on
        recommendations.customer_id = items.customer_id
        and recommendations.stock_code = items.stock_code

inner join orders
    on
        items.customer_id = orders.customer_id
        and items.invoice_number = orders.invoice_number

inner join last_orders
    on recommendations.customer_id = last_orders.customer_id

where
    items.is_bought = 1
    and orders.product_count <= {{ var('basket_largest_size') }}
    and (
        orders.ordered_at = last_orders.ordered_at
        or orders.ordered_at >= cast(
            {{ dbt.dateadd('day', -30, 'recommendations.made_on_date') }} as timestamp
        )
    )
