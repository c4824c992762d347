-- One row per invoice x customer with a purchase or with a line that counts as one: the
-- lines added up once, for orders and every sales mart. Guests are here too, without an
-- id.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_change_groups_settled'), 'has_purchase') }}",
    tags=['change_groups'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_change_groups_settled'), 'has_purchase') }}

),

lines as (

    select
        groups_to_do.group_fingerprint,
        netted.invoice_number,
        netted.customer_id,
        netted.country_name,
        netted.line_type = 'purchase' as is_purchase,
        netted.is_product_repeated,
        case when netted.is_product_repeated then netted.stock_code end
            as repeated_stock_code,
        netted.quantity,
        netted.line_amount,
        netted.returned_quantity,
        netted.returned_amount,
        netted.net_amount,
        netted.counted_quantity,
        netted.counted_amount,
        netted.invoiced_at

    from {{ ref('int_lines_netted') }} as netted

    inner join groups_to_do
        on netted.change_group = groups_to_do.change_group

    where
        netted.line_type = 'purchase'
        or netted.is_counted

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
        sum(case when is_purchase then 1 else 0 end) as purchase_line_count,
        sum(case when is_purchase and not is_product_repeated then 1 else 0 end)
        + count(distinct case when is_purchase then repeated_stock_code end)
            as product_count,
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

    from lines

    group by
        invoice_number,
        customer_id

),

final as (

    select
        -- keys
        coalesce(customer_id, invoice_number) as change_group,
        invoice_number,
        customer_id,

        -- attributes
        group_fingerprint,
        country_name,

        -- measures
        cast(gross_amount as decimal(18, 4)) as gross_amount,
        cast(returned_amount as decimal(18, 4)) as returned_amount,
        cast(net_amount as decimal(18, 4)) as net_amount,
        cast(counted_quantity as bigint) as counted_quantity,
        -- An invoice of which nothing was kept is no order, even where a refund that
        -- was smaller than the price leaves an amount.
        cast(
            case when is_counted then counted_amount else 0 end as decimal(18, 4)
        ) as counted_amount,
        cast(purchase_line_count as bigint) as purchase_line_count,
        cast(product_count as bigint) as product_count,
        cast(item_count as bigint) as item_count,
        cast(returned_item_count as bigint) as returned_item_count,

        -- flags
        is_counted,
        is_counted
        and not is_guest
        and row_number() over (
            partition by customer_id, is_counted
            order by ordered_at, invoice_number
        ) = 1 as is_first_order,
        is_guest,

        -- times
        ordered_at,
        first_purchase_line_at

    from totalled

)

select * from final
