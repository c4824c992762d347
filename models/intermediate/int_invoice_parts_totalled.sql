-- One row per invoice x customer x country x line type x instant: the usable lines,
-- added up once for all that invoices, customers and days need of them. There are
-- twenty times as many lines. Guests are here too, without an id.
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
        netted.line_type,
        netted.country_name,
        netted.quantity,
        netted.line_amount,
        netted.returned_quantity,
        netted.returned_amount,
        netted.net_amount,
        netted.counted_quantity,
        netted.counted_amount,
        netted.is_counted,
        netted.is_product_repeated,
        netted.invoiced_at

    from {{ ref('int_lines_netted') }} as netted

    inner join groups_to_do
        on netted.change_group = groups_to_do.change_group

),

totalled as (

    select
        invoice_number,
        customer_id,
        line_type,
        country_name,
        is_counted,
        invoiced_at,
        min(group_fingerprint) as group_fingerprint,
        count(*) as line_count,
        sum(case when is_product_repeated then 0 else 1 end) as single_line_count,
        sum(quantity) as quantity,
        sum(line_amount) as line_amount,
        sum(returned_quantity) as returned_quantity,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(counted_quantity) as counted_quantity,
        sum(counted_amount) as counted_amount

    from lines

    group by
        invoice_number,
        customer_id,
        line_type,
        country_name,
        is_counted,
        invoiced_at

),

final as (

    select
        -- keys
        invoice_number,
        customer_id,
        coalesce(customer_id, invoice_number) as change_group,

        -- attributes
        group_fingerprint,
        line_type,
        country_name,

        -- measures
        line_count,
        cast(single_line_count as bigint) as single_line_count,
        cast(quantity as bigint) as quantity,
        cast(line_amount as decimal(18, 4)) as line_amount,
        cast(returned_quantity as bigint) as returned_quantity,
        cast(returned_amount as decimal(18, 4)) as returned_amount,
        cast(net_amount as decimal(18, 4)) as net_amount,
        cast(counted_quantity as bigint) as counted_quantity,
        cast(counted_amount as decimal(18, 4)) as counted_amount,

        -- flags
        is_counted,
        line_type = 'purchase'
        or is_counted as is_sold,

        -- times
        invoiced_at

    from totalled

)

select * from final
