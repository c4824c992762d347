-- Which countries grow? Net amount of the last 90 days against the 90 days before,
-- beside how the whole shop did: the season moves all countries alike.

with

as_of as (

    select max(snapshot_date) as as_of_date

    from {{ ref('fct_customer_rfm') }}

    where is_current

),

orders as (

    select
        coalesce(orders.country_name, 'Unknown') as country_name,
        orders.net_amount,
        {{ dbt.datediff(
            'orders.ordered_at', 'as_of.as_of_date', 'day'
        ) }} as days_ago

    from {{ ref('fct_orders') }} as orders

    cross join as_of

),

countries as (

    select
        country_name,
        sum(case when days_ago <= 90 then 1 else 0 end) as order_count_now,
        sum(case when days_ago <= 90 then net_amount else 0 end) as net_amount_now,
        sum(case when days_ago > 90 then net_amount else 0 end) as net_amount_before

    from orders

    where days_ago <= 180

    group by country_name

),

shop as (

    select
        cast(sum(net_amount_now) as double)
        / nullif(cast(sum(net_amount_before) as double), 0) - 1 as growth

    from countries

)

select
    countries.country_name,
    countries.order_count_now,
    countries.net_amount_before,
    countries.net_amount_now,
    cast(countries.net_amount_now as double)
    / nullif(cast(countries.net_amount_before as double), 0) - 1 as growth,
    shop.growth as growth_of_the_shop

from countries

cross join shop

-- A country of a handful of orders grows by accident.
where countries.order_count_now >= 10

order by
    growth desc,
    countries.country_name asc
