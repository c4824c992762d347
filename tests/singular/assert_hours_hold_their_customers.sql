-- Hours of the day whose customers, added up over the weekdays, are fewer than came in
-- that hour of any day; and shares of the week's hours that do not add up to 1.

with

hours as (

    select
        hour_of_day,
        count(*) as weekday_count,
        sum(customer_count) as customer_count

    from {{ ref('rpt_sales_by_weekday_hour') }}

    group by hour_of_day

),

orders as (

    select
        hour(ordered_at) as hour_of_day,
        count(distinct customer_id) as customer_count

    from {{ ref('int_invoices_totalled') }}

    where is_counted

    group by hour(ordered_at)

),

shares as (

    select
        sum(order_share) as order_share,
        sum(amount_share) as amount_share

    from {{ ref('rpt_sales_by_weekday_hour') }}

)

select
    hours.hour_of_day,
    hours.customer_count,
    orders.customer_count as customer_count_of_orders,
    shares.order_share,
    shares.amount_share

from hours

cross join shares

left outer join orders
    on hours.hour_of_day = orders.hour_of_day

where
    hours.weekday_count <> 7
    or hours.customer_count < coalesce(orders.customer_count, 0)
    or abs(shares.order_share - 1) > 1e-9
    or abs(shares.amount_share - 1) > 1e-9
