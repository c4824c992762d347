-- One row per invoice x customer with a purchase or with a line that counts as one, for
-- orders and every sales mart. Guests are here too, without an id.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_invoice_parts_totalled'), 'is_sold') }}",
    tags=['change_groups'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_invoice_parts_totalled'), 'is_sold') }}

),

parts as (

    select
        parts.*,
        parts.line_type = 'purchase' as is_purchase

    from {{ ref('int_invoice_parts_totalled') }} as parts

    inner join groups_to_do
        on parts.change_group = groups_to_do.change_group

    where parts.is_sold

),

-- A product on several lines of an invoice is one. Few invoices have any.
repeated_products as (

    select
        invoice_number,
        customer_id,
        count(distinct stock_code) as product_count

    from {{ ref('int_lines_netted') }}

    where
        line_type = 'purchase'
        and is_product_repeated
        and {{ of_groups_to_do() }}

    group by
        invoice_number,
        customer_id

),

totalled as (

    select
        invoice_number,
        customer_id,
        customer_id is null as is_guest,
        min(group_fingerprint) as group_fingerprint,
        coalesce(
            min(case when is_purchase then country_name end), min(country_name)
        ) as country_name,
        sum(case when is_purchase then line_count else 0 end) as purchase_line_count,
        sum(case when is_purchase then single_line_count else 0 end)
            as single_product_count,
        sum(case when is_purchase then quantity else 0 end) as item_count,
        sum(case when is_purchase then returned_quantity else 0 end)
            as returned_item_count,
        sum(case when is_purchase then line_amount else 0 end) as gross_amount,
        sum(case when is_purchase then returned_amount else 0 end) as returned_amount,
        sum(case when is_purchase then net_amount else 0 end) as net_amount,
        sum(counted_quantity) as counted_quantity,
        sum(counted_amount) as counted_amount,
        sum(counted_quantity) > 0 as is_counted,
        -- What was sent back dates no purchase; where nothing was kept, the first line.
        coalesce(
            min(case when counted_quantity > 0 then invoiced_at end), min(invoiced_at)
        ) as ordered_at,
        min(case when is_purchase then invoiced_at end) as first_purchase_line_at

    from parts

    group by
        invoice_number,
        customer_id

),

final as (

    select
        -- keys
        coalesce(totalled.customer_id, totalled.invoice_number) as change_group,
        totalled.invoice_number,
        totalled.customer_id,

        -- attributes
        totalled.group_fingerprint,
        totalled.country_name,

        -- measures
        cast(totalled.gross_amount as decimal(18, 4)) as gross_amount,
        cast(totalled.returned_amount as decimal(18, 4)) as returned_amount,
        cast(totalled.net_amount as decimal(18, 4)) as net_amount,
        cast(totalled.counted_quantity as bigint) as counted_quantity,
        -- An invoice of which nothing was kept is no order, even where a refund that
        -- was smaller than the price leaves an amount.
        cast(
            case when totalled.is_counted then totalled.counted_amount else 0 end
            as decimal(18, 4)
        ) as counted_amount,
        cast(totalled.purchase_line_count as bigint) as purchase_line_count,
        cast(
            totalled.single_product_count
            + coalesce(repeated_products.product_count, 0) as bigint
        ) as product_count,
        cast(totalled.item_count as bigint) as item_count,
        cast(totalled.returned_item_count as bigint) as returned_item_count,

        -- flags
        totalled.is_counted,
        totalled.is_counted
        and not totalled.is_guest
        and row_number() over (
            partition by totalled.customer_id, totalled.is_counted
            order by totalled.ordered_at, totalled.invoice_number
        ) = 1 as is_first_order,
        totalled.is_guest,

        -- times
        totalled.ordered_at,
        totalled.first_purchase_line_at

    from totalled

    left outer join repeated_products
        on
            totalled.invoice_number = repeated_products.invoice_number
            and totalled.customer_id is not distinct from repeated_products.customer_id

)

select * from final
