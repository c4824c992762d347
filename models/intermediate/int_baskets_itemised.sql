-- One row per basket x product: what customers put together, as it is now and as it was
-- known at the origin from which recommendations are tried. A basket is an invoice of a
-- known customer; what was sent back counts under purchase_basis as everywhere. Baskets
-- of too many products are flagged: they say what a reseller stocks, not what belongs
-- together.

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

-- An invoice of a known customer is a basket if it has a product, returned or not.
baskets as (

    select
        invoice_number,
        customer_id,
        first_purchase_line_at as ordered_at,
        row_number() over (order by invoice_number, customer_id) as basket_number

    from {{ ref('int_invoices_totalled') }}

    where
        purchase_line_count > 0
        and not is_guest

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

-- The second half of the time is kept to see whether a rule of the first holds in it.
dates as (

    select
        origins.origin_date,
        cast(
            {{ dbt.dateadd(
                'day',
                'cast(floor('
                ~ dbt.datediff('as_of.first_line_date', 'as_of.as_of_date', 'day')
                ~ ' / 2) as int)',
                'as_of.first_line_date'
            ) }} as date
        ) as halfway_date

    from {{ ref('int_as_of_date') }} as as_of

    cross join origins

),

-- What was sent back since the origin was not known to be so then.
sent_back_since as (

    select
        allocations.purchase_fingerprint,
        sum(allocations.allocated_quantity) as quantity

    from allocations

    inner join dates
        on allocations.returned_at >= dates.origin_date

    group by allocations.purchase_fingerprint

),

quantities as (

    select
        baskets.basket_number,
        baskets.ordered_at,
        lines.customer_id,
        lines.stock_code,
        lines.counted_quantity as quantity,
        case
            when lines.invoiced_at >= dates.origin_date then 0
            when lines.counted_quantity < lines.quantity
                then lines.counted_quantity + coalesce(sent_back_since.quantity, 0)
            else lines.counted_quantity
        end as origin_quantity,
        lines.is_product_repeated

    from lines

    inner join baskets
        on
            lines.invoice_number = baskets.invoice_number
            and lines.customer_id = baskets.customer_id

    cross join dates

    left outer join sent_back_since
        on lines.line_fingerprint = sent_back_since.purchase_fingerprint

),

items as (

    select
        basket_number,
        customer_id,
        stock_code,
        ordered_at,
        quantity,
        origin_quantity

    from quantities

    where not is_product_repeated

    union all

    select
        basket_number,
        customer_id,
        stock_code,
        ordered_at,
        cast(sum(quantity) as bigint) as quantity,
        cast(sum(origin_quantity) as bigint) as origin_quantity

    from quantities

    where is_product_repeated

    group by
        basket_number,
        customer_id,
        stock_code,
        ordered_at

),

counted_items as (

    select
        basket_number,
        sum(case when quantity > 0 then 1 else 0 end) as product_count,
        sum(case when origin_quantity > 0 then 1 else 0 end) as origin_product_count

    from items

    group by basket_number

),

sizes as (

    select
        basket_number,
        cast(product_count as bigint) as product_count,
        -- Each class holds sizes of up to 15 % more than its smallest. No size lies on
        -- the edge of one, so that it matters nowhere how logarithms are rounded.
        cast(floor(7 * ln(greatest(product_count, 1))) as bigint) as size_class,
        product_count <= {{ var('basket_largest_size') }} as is_small,
        origin_product_count <= {{ var('basket_largest_size') }} as is_small_at_origin

    from counted_items

),

final as (

    select
        -- keys
        items.basket_number,
        items.stock_code,
        items.customer_id,

        -- measures
        sizes.product_count,
        sizes.size_class,

        -- flags
        items.ordered_at < dates.halfway_date as is_first_half,
        items.quantity > 0
        and sizes.is_small as is_counted,
        items.origin_quantity > 0
        and sizes.is_small_at_origin as is_counted_at_origin,

        -- times
        dates.origin_date,
        items.ordered_at

    from items

    inner join sizes
        on items.basket_number = sizes.basket_number

    cross join dates

    where
        items.quantity > 0
        or items.origin_quantity > 0

)

select * from final
