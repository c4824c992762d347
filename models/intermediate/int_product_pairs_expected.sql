-- One row per segment x pair of products that may be a rule: how many baskets chance
-- would put both into, given how large baskets are and when they were. A few large
-- baskets hold much of everything, so that any two products meet more often than their
-- shares of all baskets say: twice as often in the reference data. Among baskets of one
-- size they do not.

with

pairs as (

    select
        cluster_id,
        left_stock_code,
        right_stock_code

    from {{ ref('int_product_pairs_counted') }}

),

items as (

    select
        basket_number,
        customer_id,
        stock_code,
        product_count,
        size_class,
        is_first_half

    from {{ ref('int_baskets_itemised') }}

    where is_counted

),

segments as (

    select
        customer_id,
        cluster_id

    from {{ ref('dim_customer_segments') }}

),

baskets as (

    select
        items.basket_number,
        items.product_count,
        items.size_class,
        items.is_first_half,
        segments.cluster_id

    from items

    left outer join segments
        on items.customer_id = segments.customer_id

    group by
        items.basket_number,
        items.product_count,
        items.size_class,
        items.is_first_half,
        segments.cluster_id

),

sizes as (

    select
        cluster_id,
        size_class,
        count(*) as basket_count,
        sum(case when is_first_half then 1 else 0 end) as first_half_basket_count,
        sum(product_count) as product_count

    from baskets

    where cluster_id is not null

    group by
        cluster_id,
        size_class

    union all

    select
        cast(null as bigint) as cluster_id,
        size_class,
        count(*) as basket_count,
        sum(case when is_first_half then 1 else 0 end) as first_half_basket_count,
        sum(product_count) as product_count

    from baskets

    group by size_class

),

-- What stands beside a product has one place less.
chances as (

    select
        cluster_id,
        size_class,
        cast(product_count - basket_count as double) / product_count as room,
        cast(nullif(first_half_basket_count, 0) as double) as first_half_basket_count,
        cast(nullif(basket_count - first_half_basket_count, 0) as double)
            as later_half_basket_count

    from sizes

),

named as (

    select left_stock_code as stock_code

    from pairs

    union distinct

    select right_stock_code as stock_code

    from pairs

),

products_by_segment as (

    select
        segments.cluster_id,
        items.stock_code,
        items.size_class,
        count(*) as basket_count,
        sum(case when items.is_first_half then 1 else 0 end) as first_half_basket_count

    from items

    inner join named
        on items.stock_code = named.stock_code

    left outer join segments
        on items.customer_id = segments.customer_id

    group by
        segments.cluster_id,
        items.stock_code,
        items.size_class

),

products as (

    select
        cluster_id,
        stock_code,
        size_class,
        cast(first_half_basket_count as double) as first_half_basket_count,
        cast(basket_count - first_half_basket_count as double)
            as later_half_basket_count

    from products_by_segment

    where cluster_id is not null

    union all

    select
        cast(null as bigint) as cluster_id,
        stock_code,
        size_class,
        cast(sum(first_half_basket_count) as double) as first_half_basket_count,
        cast(sum(basket_count - first_half_basket_count) as double)
            as later_half_basket_count

    from products_by_segment

    group by
        stock_code,
        size_class

),

paired as (

    select
        pairs.cluster_id,
        pairs.left_stock_code,
        pairs.right_stock_code,
        chances.room * lefts.first_half_basket_count * rights.first_half_basket_count
        / chances.first_half_basket_count as first_half_expected_count,
        least(lefts.first_half_basket_count, rights.first_half_basket_count)
            as first_half_most_count,
        chances.room * lefts.later_half_basket_count * rights.later_half_basket_count
        / chances.later_half_basket_count as later_half_expected_count,
        least(lefts.later_half_basket_count, rights.later_half_basket_count)
            as later_half_most_count

    from pairs

    inner join products as lefts
        on
            pairs.cluster_id is not distinct from lefts.cluster_id
            and pairs.left_stock_code = lefts.stock_code

    inner join products as rights
        on
            pairs.cluster_id is not distinct from rights.cluster_id
            and pairs.right_stock_code = rights.stock_code
            and lefts.size_class = rights.size_class

    inner join chances
        on
            pairs.cluster_id is not distinct from chances.cluster_id
            and lefts.size_class = chances.size_class

),

-- Two runs may add up in another order, so the last digits are cut.
summed as (

    select
        cluster_id,
        left_stock_code,
        right_stock_code,
        round(sum(first_half_expected_count), 9) as first_half_expected_count,
        round(sum(later_half_expected_count), 9) as later_half_expected_count,
        sum(first_half_most_count) as first_half_most_count,
        sum(later_half_most_count) as later_half_most_count

    from paired

    group by
        cluster_id,
        left_stock_code,
        right_stock_code

),

-- A pair that never meets a basket of the same size has no row there.
expected as (

    select
        pairs.cluster_id,
        pairs.left_stock_code,
        pairs.right_stock_code,
        coalesce(summed.first_half_expected_count, 0) as first_half_expected_count,
        coalesce(summed.later_half_expected_count, 0) as later_half_expected_count,
        cast(coalesce(summed.first_half_most_count, 0) as bigint)
            as first_half_most_count,
        cast(coalesce(summed.later_half_most_count, 0) as bigint)
            as later_half_most_count

    from pairs

    left outer join summed
        on
            pairs.cluster_id is not distinct from summed.cluster_id
            and pairs.left_stock_code = summed.left_stock_code
            and pairs.right_stock_code = summed.right_stock_code

),

-- Products that were on sale in different halves had no chance to meet.
final as (

    select
        -- keys
        cluster_id,
        left_stock_code,
        right_stock_code,

        -- measures
        round(first_half_expected_count + later_half_expected_count, 9)
            as expected_count,
        first_half_most_count + later_half_most_count as most_count,
        first_half_expected_count,
        first_half_most_count,
        later_half_expected_count,
        later_half_most_count

    from expected

)

select * from final
