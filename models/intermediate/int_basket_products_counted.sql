-- One row per segment x product: in how many baskets it is, of how many; and in all of
-- them together, where the segment is null. The same for the first half of the time and
-- as known at the origin. Says which products are frequent, so that only their pairs
-- need counting.

with

items as (

    select
        basket_number,
        customer_id,
        stock_code,
        is_first_half,
        is_counted,
        is_counted_at_origin

    from {{ ref('int_baskets_itemised') }}

    where
        is_counted
        or is_counted_at_origin

),

segments as (

    select
        customer_id,
        cluster_id

    from {{ ref('dim_customer_segments') }}

),

marked as (

    select
        segments.cluster_id,
        items.basket_number,
        items.stock_code,
        case when items.is_counted then 1 else 0 end as is_in,
        case when items.is_counted and items.is_first_half then 1 else 0 end
            as is_in_first_half,
        case when items.is_counted_at_origin then 1 else 0 end as is_in_at_origin

    from items

    left outer join segments
        on items.customer_id = segments.customer_id

),

counted_products as (

    select
        cluster_id,
        stock_code,
        sum(is_in) as basket_count,
        sum(is_in_first_half) as first_half_basket_count,
        sum(is_in_at_origin) as origin_basket_count

    from marked

    group by
        cluster_id,
        stock_code

),

-- A basket of which one product was sent back since counts in both columns.
baskets as (

    select
        cluster_id,
        basket_number,
        max(is_in) as is_in,
        max(is_in_first_half) as is_in_first_half,
        max(is_in_at_origin) as is_in_at_origin

    from marked

    group by
        cluster_id,
        basket_number

),

counted_baskets as (

    select
        cluster_id,
        sum(is_in) as basket_count,
        sum(is_in_first_half) as first_half_basket_count,
        sum(is_in_at_origin) as origin_basket_count

    from baskets

    group by cluster_id

),

products as (

    select *

    from counted_products

    where cluster_id is not null

    union all

    select
        cast(null as bigint) as cluster_id,
        stock_code,
        sum(basket_count) as basket_count,
        sum(first_half_basket_count) as first_half_basket_count,
        sum(origin_basket_count) as origin_basket_count

    from counted_products

    group by stock_code

),

totals as (

    select *

    from counted_baskets

    where cluster_id is not null

    union all

    select
        cast(null as bigint) as cluster_id,
        sum(basket_count) as basket_count,
        sum(first_half_basket_count) as first_half_basket_count,
        sum(origin_basket_count) as origin_basket_count

    from counted_baskets

),

final as (

    select
        -- keys
        products.cluster_id,
        products.stock_code,

        -- measures
        cast(products.basket_count as bigint) as basket_count,
        cast(products.first_half_basket_count as bigint) as first_half_basket_count,
        cast(products.origin_basket_count as bigint) as origin_basket_count,
        cast(totals.basket_count as bigint) as all_basket_count,
        cast(totals.first_half_basket_count as bigint)
            as first_half_all_basket_count,
        cast(totals.origin_basket_count as bigint) as origin_all_basket_count,

        -- flags
        {{ is_frequent('products.basket_count', 'totals.basket_count') }}
            as is_frequent,
        -- Segments are too small to be cut in time as well.
        products.cluster_id is null
        and {{ is_frequent(
            'products.first_half_basket_count', 'totals.first_half_basket_count'
        ) }} as is_frequent_in_first_half,
        products.cluster_id is null
        and {{ is_frequent(
            'products.origin_basket_count', 'totals.origin_basket_count'
        ) }} as is_frequent_at_origin

    from products

    inner join totals
        on products.cluster_id is not distinct from totals.cluster_id

)

select * from final
