-- One row per invoice x customer x product that was bought, or of which a line counts
-- as a purchase: what invoices, products and customers are added up from. Counting
-- distinct products or orders line by line would cost three times as much.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_change_groups_settled')) }}",
    tags=['change_groups'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_change_groups_settled')) }}

),

lines as (

    select
        groups_to_do.group_fingerprint,
        netted.invoice_number,
        netted.customer_id,
        netted.stock_code,
        netted.country_name,
        netted.line_type = 'purchase' as is_purchase,
        netted.quantity,
        netted.line_amount,
        netted.returned_quantity,
        netted.returned_amount,
        netted.net_amount,
        netted.counted_quantity,
        netted.counted_amount,
        netted.is_counted,
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
        stock_code,
        is_purchase,
        min(group_fingerprint) as group_fingerprint,
        min(country_name) as country_name,
        count(*) as line_count,
        sum(quantity) as quantity,
        sum(line_amount) as line_amount,
        sum(returned_quantity) as returned_quantity,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(counted_quantity) as counted_quantity,
        sum(counted_amount) as counted_amount,
        min(case when is_counted then invoiced_at end) as first_counted_at,
        min(case when counted_quantity > 0 then invoiced_at end) as first_kept_at,
        min(invoiced_at) as first_line_at,
        max(invoiced_at) as last_line_at

    from lines

    group by
        invoice_number,
        customer_id,
        stock_code,
        is_purchase

),

final as (

    select
        -- keys
        coalesce(customer_id, invoice_number) as change_group,
        invoice_number,
        customer_id,
        stock_code,

        -- attributes
        group_fingerprint,
        country_name,

        -- measures
        line_count,
        cast(quantity as bigint) as quantity,
        cast(line_amount as decimal(18, 4)) as line_amount,
        cast(returned_quantity as bigint) as returned_quantity,
        cast(returned_amount as decimal(18, 4)) as returned_amount,
        cast(net_amount as decimal(18, 4)) as net_amount,
        cast(counted_quantity as bigint) as counted_quantity,
        cast(counted_amount as decimal(18, 4)) as counted_amount,

        -- flags
        is_purchase,

        -- times
        first_counted_at,
        first_kept_at,
        first_line_at,
        last_line_at

    from totalled

)

select * from final
