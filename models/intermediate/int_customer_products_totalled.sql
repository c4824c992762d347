-- One row per known customer x product that they bought, or of which a line counts as a
-- purchase: what customers like, and when they first bought it; half of the lines.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_change_groups_settled'), 'has_known_purchase') }}",
    tags=['change_groups'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_change_groups_settled'), 'has_known_purchase') }}

),

-- Under purchase_basis textbook fees count, and are no purchases of a product.
lines as (

    select
        groups_to_do.group_fingerprint,
        netted.customer_id,
        netted.stock_code,
        netted.line_type = 'purchase' as is_purchase,
        netted.net_amount,
        netted.is_counted,
        netted.invoiced_at

    from {{ ref('int_lines_netted') }} as netted

    inner join groups_to_do
        on netted.change_group = groups_to_do.change_group

    where
        not netted.is_guest
        and (
            netted.line_type = 'purchase'
            or netted.is_counted
        )

),

final as (

    select
        -- keys
        customer_id,
        stock_code,

        -- attributes
        min(group_fingerprint) as group_fingerprint,

        -- measures
        cast(
            sum(case when is_purchase then net_amount else 0 end) as decimal(18, 4)
        ) as net_amount,

        -- times
        min(case when is_purchase then invoiced_at end) as first_purchased_at,
        min(case when is_counted then invoiced_at end) as first_counted_at

    from lines

    group by
        customer_id,
        stock_code

)

select * from final
