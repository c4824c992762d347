-- What do first orders look like, compared with later ones? Typical orders of known
-- customers, in four steps. At the start of the data some first orders are of old
-- customers.

with

orders as (

    select
        case
            when order_number = 1 then '1 first'
            when order_number = 2 then '2 second'
            when order_number <= 5 then '3 third to fifth'
            else '4 sixth and later'
        end as order_step,
        gross_amount,
        product_count,
        item_count,
        returned_item_count > 0 as has_return,
        is_fully_returned

    from {{ ref('fct_orders') }}

    where not is_guest

)

select
    order_step,
    count(*) as order_count,
    median(gross_amount) as median_gross_amount,
    median(product_count) as median_product_count,
    median(item_count) as median_item_count,
    avg(case when has_return then 1.0 else 0.0 end) as with_return_share,
    avg(case when is_fully_returned then 1.0 else 0.0 end) as fully_returned_share

from orders

group by order_step

order by order_step
