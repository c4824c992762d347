-- What sells in November? Products by how much more of them was sold than if they had
-- their usual share of that month's sales. Without a usual share, a product is new. For
-- another month, change the number below.

with

lines as (

    select
        stock_code,
        net_amount,
        extract(month from invoiced_at) = 11 as is_november

    from {{ ref('fct_invoice_lines') }}

    where line_type = 'purchase'

),

sales as (

    select
        stock_code,
        sum(case when is_november then net_amount else 0 end) as november_amount,
        sum(case when is_november then 0 else net_amount end) as other_amount

    from lines

    group by stock_code

),

shop as (

    select
        nullif(cast(sum(november_amount) as double), 0) as november_amount,
        nullif(cast(sum(other_amount) as double), 0) as other_amount

    from sales

),

shares as (

    select
        sales.stock_code,
        sales.november_amount,
        sales.november_amount / shop.november_amount as november_share,
        sales.other_amount / shop.other_amount as usual_share,
        sales.november_amount
        - shop.november_amount * sales.other_amount / shop.other_amount
            as extra_amount

    from sales

    cross join shop

    where sales.november_amount > 0

)

select
    products.product_name,
    shares.november_amount,
    round(shares.extra_amount, 2) as extra_amount,
    shares.november_share,
    shares.usual_share

from shares

inner join {{ ref('dim_products') }} as products
    on shares.stock_code = products.stock_code

order by
    extra_amount desc,
    products.product_name asc

limit 20
