-- Months, countries, weekdays x hours and bands of order values each hold every order
-- that counts once, guests' included; months less guests, and the number of orders,
-- hold those of known customers. The orders are counted from the parts of invoices and,
-- a second time, by int_orders_counted.

with

lines as (

    select
        customer_id,
        sum(counted_amount) as counted_amount

    from {{ ref('int_invoice_parts_totalled') }}

    where is_counted

    group by
        invoice_number,
        customer_id

    having sum(counted_quantity) > 0

),

expected as (

    select
        'all' as whose,
        count(*) as order_count,
        coalesce(sum(counted_amount), 0) as counted_amount

    from lines

    union all

    select
        'known' as whose,
        count(*) as order_count,
        coalesce(sum(counted_amount), 0) as counted_amount

    from {{ ref('int_orders_counted') }}

),

views as (

    {%- for view in [
        "rpt_sales_monthly", "rpt_sales_by_country", "rpt_sales_by_weekday_hour",
        "rpt_order_values",
    ] %}

    select
        '{{ view }}' as view_name,
        'all' as whose,
        coalesce(sum(order_count), 0) as order_count,
        coalesce(sum(counted_amount), 0) as counted_amount

    from {{ ref(view) }}

    union all
    {%- endfor %}

    select
        'rpt_sales_monthly, known' as view_name,
        'known' as whose,
        coalesce(sum(order_count - guest_order_count), 0) as order_count,
        coalesce(sum(counted_amount - guest_amount), 0) as counted_amount

    from {{ ref('rpt_sales_monthly') }}

    union all

    select
        'rpt_purchase_frequency' as view_name,
        'known' as whose,
        coalesce(sum(order_count), 0) as order_count,
        coalesce(sum(counted_amount), 0) as counted_amount

    from {{ ref('rpt_purchase_frequency') }}

)

select
    views.view_name,
    views.order_count,
    expected.order_count as expected_order_count,
    views.counted_amount,
    expected.counted_amount as expected_counted_amount

from views

inner join expected
    on views.whose = expected.whose

where
    views.order_count != expected.order_count
    or views.counted_amount != expected.counted_amount
