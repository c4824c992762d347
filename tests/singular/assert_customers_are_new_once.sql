-- A customer is new in one month: the new customers of all months are the customers of
-- the number of orders, of the Lorenz curve and of the rhythms.

with

counts as (

    select
        'rpt_sales_monthly' as view_name,
        coalesce(sum(new_customer_count), 0) as customer_count

    from {{ ref('rpt_sales_monthly') }}

    union all

    select
        'rpt_purchase_frequency' as view_name,
        coalesce(sum(customer_count), 0) as customer_count

    from {{ ref('rpt_purchase_frequency') }}

    union all

    select
        'rpt_revenue_concentration' as view_name,
        coalesce(max(customer_count), 0) as customer_count

    from {{ ref('rpt_revenue_concentration') }}

    union all

    select
        'rpt_customer_rhythms' as view_name,
        count(*) as customer_count

    from {{ ref('rpt_customer_rhythms') }}

),

expected as (

    select count(distinct customer_id) as customer_count

    from {{ ref('int_orders_counted') }}

)

select
    counts.view_name,
    counts.customer_count,
    expected.customer_count as expected_customer_count

from counts

cross join expected

where counts.customer_count != expected.customer_count
