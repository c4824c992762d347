-- Which product brings people back? Of those who bought it on their first day, the
-- share who ordered again within 90 days, against what is usual for customers who began
-- in the same months: who begins before Christmas is another customer. Products are
-- compared, not tried out, and the best of many are lucky, too: the order is by the
-- lower end of the 95 % interval.

with

as_of as (

    select max(snapshot_date) as as_of_date

    from {{ ref('fct_customer_rfm') }}

    where is_current

),

orders as (

    select
        customer_id,
        cast(ordered_at as date) as order_date,
        cast(min(ordered_at) over (partition by customer_id) as date) as first_date

    from {{ ref('fct_orders') }}

    where not is_guest

),

customers as (

    select
        customer_id,
        first_date,
        min(case when order_date > first_date then order_date end) as second_date

    from orders

    group by
        customer_id,
        first_date

),

-- Customers whose first day is long enough ago for 90 days to have passed.
beginners as (

    select
        customers.customer_id,
        customers.first_date,
        cast({{ dbt.date_trunc('month', 'customers.first_date') }} as date)
            as first_month,
        case
            when {{ dbt.datediff(
                'customers.first_date', 'customers.second_date', 'day'
            ) }} <= 90 then 1
            else 0
        end as has_returned

    from customers

    cross join as_of

    where {{ dbt.datediff(
        'customers.first_date', 'as_of.as_of_date', 'day'
    ) }} > 90

),

usual as (

    select
        first_month,
        avg(cast(has_returned as double)) as return_share

    from beginners

    group by first_month

),

first_products as (

    select distinct
        invoice_lines.stock_code,
        beginners.customer_id,
        beginners.has_returned,
        usual.return_share as usual_share

    from {{ ref('fct_invoice_lines') }} as invoice_lines

    inner join beginners
        on
            invoice_lines.customer_id = beginners.customer_id
            and cast(invoice_lines.invoiced_at as date) = beginners.first_date

    inner join usual
        on beginners.first_month = usual.first_month

    where invoice_lines.line_type = 'purchase'

),

compared as (

    select
        stock_code,
        count(*) as first_buyers,
        sum(has_returned) as returned_buyers,
        round(avg(usual_share), 9) as usual_share

    from first_products

    group by stock_code

    -- Of 50 buyers, one more or less moves the share by two points.
    having count(*) >= 50

)

select
    products.product_name,
    compared.first_buyers,
    compared.returned_buyers,
    cast(compared.returned_buyers as double) / compared.first_buyers as return_share,
    {{ wilson_bound('compared.returned_buyers', 'compared.first_buyers', '-') }}
        as return_share_low,
    compared.usual_share

from compared

inner join {{ ref('dim_products') }} as products
    on compared.stock_code = products.stock_code

order by
    return_share_low - compared.usual_share desc,
    products.product_name asc

limit 20
