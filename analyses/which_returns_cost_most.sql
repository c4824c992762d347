-- Which returns cost most? Products by the money paid back for them, how much of their
-- sales that is, by how many customers, and how long after the purchase. A single order
-- gone wrong shows as one customer and a large amount.

with

returns as (

    select
        stock_code,
        sum(allocated_amount) as returned_amount,
        sum(allocated_quantity) as returned_quantity,
        count(distinct customer_id) as customer_count,
        sum(cast(allocated_amount as double) * days_to_return)
        / sum(cast(allocated_amount as double)) as days_to_return

    from {{ ref('fct_return_allocations') }}

    where purchase_line_id is not null

    group by stock_code

)

select
    products.product_name,
    returns.returned_amount,
    returns.returned_quantity,
    products.return_rate,
    returns.customer_count,
    round(returns.days_to_return, 1) as days_to_return

from returns

inner join {{ ref('dim_products') }} as products
    on returns.stock_code = products.stock_code

order by
    returns.returned_amount desc,
    products.product_name asc

limit 20
