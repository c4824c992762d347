-- Months of sales to which the countries, or the segments, with the guests, do not add
-- up.

with

months as (

    select *

    from {{ ref('rpt_sales_monthly') }}

),

added_up as (

    select
        group_kind,
        sales_month,
        sum(gross_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(counted_amount) as counted_amount,
        sum(order_count) as order_count,
        sum(customer_count) as customer_count,
        sum(new_customer_count) as new_customer_count

    from {{ ref('rpt_sales_monthly_by_group') }}

    group by
        group_kind,
        sales_month

)

select
    added_up.group_kind,
    months.sales_month,
    months.gross_amount,
    added_up.gross_amount as group_gross_amount

from months

full outer join added_up
    on months.sales_month = added_up.sales_month

where
    months.sales_month is null
    or (added_up.sales_month is null and months.gross_amount > 0)
    or months.gross_amount != added_up.gross_amount
    or months.returned_amount != added_up.returned_amount
    or months.net_amount != added_up.net_amount
    or months.counted_amount != added_up.counted_amount
    or months.order_count != added_up.order_count
    or months.customer_count != added_up.customer_count
    or months.new_customer_count != added_up.new_customer_count
