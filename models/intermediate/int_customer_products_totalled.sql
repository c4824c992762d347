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
        customer_id,
        stock_code,
        line_type = 'purchase' as is_purchase,
        net_amount,
        is_counted,
        invoiced_at

    from {{ ref('int_lines_netted') }}

    where
        not is_guest
        and (
            line_type = 'purchase'
            or is_counted
        )
        and {{ of_groups_to_do() }}

),

totalled as (

    select
        customer_id,
        stock_code,
        sum(case when is_purchase then net_amount else 0 end) as net_amount,
        min(case when is_purchase then invoiced_at end) as first_purchased_at,
        min(case when is_counted then invoiced_at end) as first_counted_at

    from lines

    group by
        customer_id,
        stock_code

),

final as (

    select
        -- keys
        totalled.customer_id,
        totalled.stock_code,

        -- attributes
        groups_to_do.group_fingerprint,

        -- measures
        cast(totalled.net_amount as decimal(18, 4)) as net_amount,

        -- times
        totalled.first_purchased_at,
        totalled.first_counted_at

    from totalled

    -- The change group of a known customer is the customer.
    inner join groups_to_do
        on totalled.customer_id = groups_to_do.change_group

)

select * from final
