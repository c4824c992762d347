-- One row per basket x product: which products count, as it is now and as it was known
-- at the origin from which recommendations are tried. What was sent back counts under
-- purchase_basis as everywhere. Baskets of too many products are flagged: they say what
-- a reseller stocks, not what belongs together. There are as many rows as lines, so
-- whatever is the basket's is left to int_baskets_numbered.

with

lines as (

    select
        line_fingerprint,
        invoice_number,
        customer_id,
        stock_code,
        quantity,
        counted_quantity,
        is_product_repeated,
        invoiced_at

    from {{ ref('int_lines_netted') }}

    where
        is_counted
        and is_product
        and not is_guest

),

baskets as (

    select
        basket_number,
        invoice_number,
        customer_id

    from {{ ref('int_baskets_numbered') }}

),

allocations as (

    select
        purchase_fingerprint,
        allocated_quantity,
        returned_at

    from {{ ref('int_returns_allocated') }}

    where purchase_fingerprint is not null

),

origins as (

    select max(snapshot_date) as origin_date

    from {{ ref('int_snapshot_dates') }}

    where is_origin

),

-- What was sent back since the origin was not known to be so then.
sent_back_since as (

    select
        allocations.purchase_fingerprint,
        sum(allocations.allocated_quantity) as quantity

    from allocations

    inner join origins
        on allocations.returned_at >= origins.origin_date

    group by allocations.purchase_fingerprint

),

kept as (

    select
        baskets.basket_number,
        lines.stock_code,
        lines.is_product_repeated,
        lines.counted_quantity > 0 as is_kept,
        case
            when lines.invoiced_at >= origins.origin_date then false
            when lines.counted_quantity < lines.quantity
                then lines.counted_quantity + coalesce(sent_back_since.quantity, 0) > 0
            else lines.counted_quantity > 0
        end as is_kept_at_origin

    from lines

    inner join baskets
        on
            lines.invoice_number = baskets.invoice_number
            and lines.customer_id = baskets.customer_id

    cross join origins

    left outer join sent_back_since
        on lines.line_fingerprint = sent_back_since.purchase_fingerprint

),

items as (

    select
        basket_number,
        stock_code,
        is_kept,
        is_kept_at_origin

    from kept

    where not is_product_repeated

    union all

    select
        basket_number,
        stock_code,
        max(case when is_kept then 1 else 0 end) = 1 as is_kept,
        max(case when is_kept_at_origin then 1 else 0 end) = 1 as is_kept_at_origin

    from kept

    where is_product_repeated

    group by
        basket_number,
        stock_code

),

sizes as (

    select
        basket_number,
        cast(sum(case when is_kept then 1 else 0 end) as bigint) as product_count,
        sum(case when is_kept_at_origin then 1 else 0 end) as origin_product_count

    from items

    group by basket_number

),

final as (

    select
        -- keys
        items.basket_number,
        items.stock_code,

        -- measures
        sizes.product_count,

        -- flags
        items.is_kept
        and sizes.product_count <= {{ var('basket_largest_size') }} as is_counted,
        items.is_kept_at_origin
        and sizes.origin_product_count <= {{ var('basket_largest_size') }}
            as is_counted_at_origin

    from items

    inner join sizes
        on items.basket_number = sizes.basket_number

    where
        items.is_kept
        or items.is_kept_at_origin

)

select * from final
