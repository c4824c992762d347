-- One row per day of recommending x product: in how many baskets it is, and whether it
-- is still on sale.

{#- A product that nobody has bought for so many days is off sale, or out of season. #}
{%- set on_sale_days = 90 %}

with

owned as (

    select *

    from {{ ref('int_customer_products_counted') }}

),

product_counts as (

    select
        made_on_date,
        stock_code,
        sum(basket_count) as basket_count,
        max(last_ordered_at) >= cast(
            {{ dbt.dateadd('day', -on_sale_days, 'made_on_date') }} as timestamp
        ) as is_on_sale

    from owned

    group by
        made_on_date,
        stock_code

),

final as (

    select
        -- keys
        made_on_date,
        stock_code,

        -- measures
        basket_count,
        row_number() over (
            partition by made_on_date
            order by basket_count desc, stock_code asc
        ) as product_number,

        -- flags
        is_on_sale

    from product_counts

)

select * from final
