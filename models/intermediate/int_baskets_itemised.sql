-- One row per basket x product: what customers put together, as it is now and as it was
-- known at the origin from which recommendations are tried. A view, since writing a
-- basket's customer and times beside each of its products takes half as long again.
{{ config(materialized='view' if target.type == 'duckdb' else 'table') }}

with

items as (

    select *

    from {{ ref('int_basket_items_kept') }}

),

baskets as (

    select *

    from {{ ref('int_baskets_numbered') }}

),

final as (

    select
        -- keys
        items.basket_number,
        items.stock_code,
        baskets.customer_id,

        -- measures
        items.product_count,
        -- Each class holds sizes of up to 15 % more than its smallest. No size lies on
        -- the edge of one, so that it matters nowhere how logarithms are rounded.
        cast(floor(7 * ln(greatest(items.product_count, 1))) as bigint) as size_class,

        -- flags
        baskets.is_first_half,
        items.is_counted,
        items.is_counted_at_origin,

        -- times
        baskets.origin_date,
        baskets.ordered_at

    from items

    inner join baskets
        on items.basket_number = baskets.basket_number

)

select * from final
