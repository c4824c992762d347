-- One row per day of recommending x customer x product they had bought by then: how
-- often, when last, and whether that is too lately to be told of it again. The days are
-- the as-of date and the origin on which ways of recommending are tried.

-- What was bought in so many days counts as just bought, as does the last basket.
{%- set just_bought_days = 30 %}

with

items as (

    select
        basket_number,
        customer_id,
        stock_code,
        is_counted,
        is_counted_at_origin,
        origin_date,
        ordered_at

    from {{ ref('int_baskets_itemised') }}

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

known as (

    select
        as_of.as_of_date as made_on_date,
        items.customer_id,
        items.stock_code,
        items.ordered_at

    from items

    cross join as_of

    where items.is_counted

    union all

    select
        origin_date as made_on_date,
        customer_id,
        stock_code,
        ordered_at

    from items

    where is_counted_at_origin

),

products as (

    select
        made_on_date,
        customer_id,
        stock_code,
        count(*) as basket_count,
        max(ordered_at) as last_ordered_at

    from known

    group by
        made_on_date,
        customer_id,
        stock_code

),

customers as (

    select
        made_on_date,
        customer_id,
        max(last_ordered_at) as last_ordered_at

    from products

    group by
        made_on_date,
        customer_id

),

final as (

    select
        -- keys
        products.made_on_date,
        products.customer_id,
        products.stock_code,

        -- measures
        products.basket_count,

        -- flags
        products.last_ordered_at = customers.last_ordered_at
        or products.last_ordered_at >= cast(
            {{ dbt.dateadd(
                'day', -just_bought_days, 'products.made_on_date'
            ) }} as timestamp
        ) as is_just_bought,

        -- times
        products.last_ordered_at

    from products

    inner join customers
        on
            products.made_on_date = customers.made_on_date
            and products.customer_id = customers.customer_id

)

select * from final
