-- One row per segment x pair of products that may be a rule: in how many baskets both
-- are, and each of them; in all baskets together where the segment is null. Only pairs
-- of frequent products are counted, which keeps the join small whatever the number of
-- lines. Both orders of a pair are one row.

-- Substitutes: bought together at most this share of the times that chance would have
-- it, where chance would have it at least so many times, and in this share of the
-- baskets that make a pair frequent, so that a large shop has no more of them.
{%- set largest_lift = 0.5 %}
{%- set smallest_expectation = 10 %}
{%- set smallest_share = '0.05 * ' ~ var('basket_smallest_support') %}

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

products as (

    select *

    from {{ ref('int_basket_products_counted') }}

),

-- Small numbers group and join faster than codes.
frequent as (

    select
        stock_code,
        cast(row_number() over (order by stock_code) as int) as product_number

    from products

    where
        is_frequent
        or is_frequent_in_first_half
        or is_frequent_at_origin

    group by stock_code

),

counts as (

    select
        frequent.product_number,
        products.*

    from products

    inner join frequent
        on products.stock_code = frequent.stock_code

),

scopes as (

    select
        cluster_id,
        all_basket_count,
        first_half_all_basket_count,
        origin_all_basket_count,
        sum(case when is_frequent then 1 else 0 end) as frequent_count,
        sum(case when is_frequent_in_first_half then 1 else 0 end)
            as first_half_frequent_count

    from counts

    group by
        cluster_id,
        all_basket_count,
        first_half_all_basket_count,
        origin_all_basket_count

),

marked as (

    select
        items.basket_number,
        segments.cluster_id,
        frequent.product_number,
        -- A bit for each of: counts, counts in the first half, counts at the origin.
        case when items.is_counted then 1 else 0 end
        + case when items.is_counted and items.is_first_half then 2 else 0 end
        + case when items.is_counted_at_origin then 4 else 0 end as marks

    from items

    inner join frequent
        on items.stock_code = frequent.stock_code

    left outer join segments
        on items.customer_id = segments.customer_id

),

-- Also of products that are frequent in a segment only: its rules are held against all.
-- A pair has the marks that both products have. There are a hundred times as many rows
-- to count as pairs, so they are counted by their marks, and added up after.
marked_pairs as (

    select
        marked.cluster_id,
        marked.product_number as left_number,
        partners.product_number as right_number,
        marked.marks & partners.marks as marks,
        count(*) as basket_count

    from marked

    inner join marked as partners
        on
            marked.basket_number = partners.basket_number
            and marked.product_number < partners.product_number

    group by
        marked.cluster_id,
        marked.product_number,
        partners.product_number,
        marked.marks & partners.marks

),

pairs_by_segment as (

    select
        cluster_id,
        left_number,
        right_number,
        sum(case when marks & 1 = 1 then basket_count else 0 end) as basket_count,
        sum(case when marks & 2 = 2 then basket_count else 0 end)
            as first_half_basket_count,
        sum(case when marks & 4 = 4 then basket_count else 0 end)
            as origin_basket_count

    from marked_pairs

    group by
        cluster_id,
        left_number,
        right_number

),

pairs_in_all as (

    select
        left_number,
        right_number,
        cast(sum(basket_count) as bigint) as basket_count,
        cast(sum(first_half_basket_count) as bigint) as first_half_basket_count,
        cast(sum(origin_basket_count) as bigint) as origin_basket_count

    from pairs_by_segment

    group by
        left_number,
        right_number

),

pairs as (

    select
        cast(null as bigint) as cluster_id,
        left_number,
        right_number,
        basket_count,
        first_half_basket_count,
        origin_basket_count

    from pairs_in_all

    union all

    select
        cluster_id,
        left_number,
        right_number,
        basket_count,
        0 as first_half_basket_count,
        0 as origin_basket_count

    from pairs_by_segment

    where cluster_id is not null

),

bought_together as (

    select pairs.*

    from pairs

    inner join scopes
        on pairs.cluster_id is not distinct from scopes.cluster_id

    where
        (
            {{ is_frequent('pairs.basket_count', 'scopes.all_basket_count') }}
        )
        or (
            pairs.cluster_id is null
            and {{ is_frequent(
                'pairs.first_half_basket_count', 'scopes.first_half_all_basket_count'
            ) }}
        )
        or (
            pairs.cluster_id is null
            and {{ is_frequent(
                'pairs.origin_basket_count', 'scopes.origin_all_basket_count'
            ) }}
        )

),

bought_apart as (

    select
        counts.cluster_id,
        counts.product_number as left_number,
        partners.product_number as right_number,
        coalesce(pairs.basket_count, 0) as basket_count,
        coalesce(pairs.first_half_basket_count, 0) as first_half_basket_count,
        coalesce(pairs.origin_basket_count, 0) as origin_basket_count

    from counts

    inner join counts as partners
        on
            counts.cluster_id is not distinct from partners.cluster_id
            and counts.product_number < partners.product_number
            and counts.basket_count * partners.basket_count
            >= {{ smallest_expectation }} * counts.all_basket_count
            and cast(counts.basket_count as double) * partners.basket_count
            >= {{ smallest_share }} * counts.all_basket_count * counts.all_basket_count

    left outer join pairs
        on
            counts.cluster_id is not distinct from pairs.cluster_id
            and counts.product_number = pairs.left_number
            and partners.product_number = pairs.right_number

    where
        counts.is_frequent
        and partners.is_frequent
        and coalesce(pairs.basket_count, 0) * counts.all_basket_count
        <= {{ largest_lift }} * counts.basket_count * partners.basket_count

),

candidates as (

    select *

    from bought_together

    union distinct

    select *

    from bought_apart

),

final as (

    select
        -- keys
        candidates.cluster_id,
        lefts.stock_code as left_stock_code,
        rights.stock_code as right_stock_code,

        -- measures
        cast(candidates.basket_count as bigint) as basket_count,
        lefts.basket_count as left_basket_count,
        rights.basket_count as right_basket_count,
        lefts.all_basket_count,
        cast(candidates.first_half_basket_count as bigint) as first_half_basket_count,
        lefts.first_half_basket_count as first_half_left_basket_count,
        rights.first_half_basket_count as first_half_right_basket_count,
        lefts.first_half_all_basket_count,
        cast(candidates.origin_basket_count as bigint) as origin_basket_count,
        lefts.origin_basket_count as origin_left_basket_count,
        rights.origin_basket_count as origin_right_basket_count,
        lefts.origin_all_basket_count,
        cast(scopes.frequent_count as bigint) as frequent_count,
        cast(scopes.first_half_frequent_count as bigint) as first_half_frequent_count,
        cast(coalesce(pairs_in_all.basket_count, 0) as double)
        * shop_lefts.all_basket_count
        / nullif(
            cast(shop_lefts.basket_count as double) * shop_rights.basket_count, 0
        ) as lift_in_all,

        -- flags
        {{ is_frequent('candidates.basket_count', 'lefts.all_basket_count') }}
            as is_frequent,
        candidates.cluster_id is null
        and {{ is_frequent(
            'candidates.first_half_basket_count', 'lefts.first_half_all_basket_count'
        ) }} as is_frequent_in_first_half,
        candidates.cluster_id is null
        and {{ is_frequent(
            'candidates.origin_basket_count', 'lefts.origin_all_basket_count'
        ) }} as is_frequent_at_origin,
        lefts.is_frequent
        and rights.is_frequent
        and lefts.basket_count * rights.basket_count
        >= {{ smallest_expectation }} * lefts.all_basket_count
        and cast(lefts.basket_count as double) * rights.basket_count
        >= {{ smallest_share }} * lefts.all_basket_count * lefts.all_basket_count
        and candidates.basket_count * lefts.all_basket_count
        <= {{ largest_lift }} * lefts.basket_count * rights.basket_count
            as is_bought_apart

    from candidates

    inner join scopes
        on candidates.cluster_id is not distinct from scopes.cluster_id

    inner join counts as lefts
        on
            candidates.cluster_id is not distinct from lefts.cluster_id
            and candidates.left_number = lefts.product_number

    inner join counts as rights
        on
            candidates.cluster_id is not distinct from rights.cluster_id
            and candidates.right_number = rights.product_number

    inner join counts as shop_lefts
        on
            candidates.left_number = shop_lefts.product_number
            and shop_lefts.cluster_id is null

    inner join counts as shop_rights
        on
            candidates.right_number = shop_rights.product_number
            and shop_rights.cluster_id is null

    left outer join pairs_in_all
        on
            candidates.left_number = pairs_in_all.left_number
            and candidates.right_number = pairs_in_all.right_number

)

select * from final
