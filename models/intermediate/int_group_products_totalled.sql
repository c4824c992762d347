-- One row per change group x product that it bought: a customer, or a guest's invoice.
-- What products, and what customers like, are added up from; a fraction of the lines.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_order_products_totalled')) }}",
    tags=['change_groups'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_order_products_totalled')) }}

),

order_products as (

    select order_products.*

    from {{ ref('int_order_products_totalled') }} as order_products

    inner join groups_to_do
        on order_products.change_group = groups_to_do.change_group

),

-- Under purchase_basis textbook fees count, and are no purchases of a product.
final as (

    select
        -- keys
        change_group,
        customer_id,
        stock_code,

        -- attributes
        min(group_fingerprint) as group_fingerprint,

        -- measures
        cast(sum(case when is_purchase then 1 else 0 end) as bigint) as order_count,
        cast(sum(case when is_purchase then quantity else 0 end) as bigint)
            as purchased_quantity,
        cast(sum(case when is_purchase then returned_quantity else 0 end) as bigint)
            as returned_quantity,
        cast(
            sum(case when is_purchase then line_amount else 0 end) as decimal(18, 4)
        ) as gross_amount,
        cast(
            sum(case when is_purchase then returned_amount else 0 end)
            as decimal(18, 4)
        ) as returned_amount,
        cast(
            sum(case when is_purchase then net_amount else 0 end) as decimal(18, 4)
        ) as net_amount,

        -- times
        min(case when is_purchase then first_line_at end) as first_sold_at,
        max(case when is_purchase then last_line_at end) as last_sold_at,
        min(first_counted_at) as first_counted_at

    from order_products

    group by
        change_group,
        customer_id,
        stock_code

)

select * from final
