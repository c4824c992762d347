-- One row per known customer x day on which they bought or sent back: what snapshots add
-- up. There are far fewer days than lines.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_change_groups_settled'), 'has_known_customer') }}",
    tags=['change_groups'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_change_groups_settled'), 'has_known_customer') }}

),

lines as (

    select
        netted.customer_id,
        netted.stock_code,
        netted.line_type,
        netted.line_amount,
        netted.is_counted,
        cast(netted.invoiced_at as date) as activity_date

    from {{ ref('int_lines_netted') }} as netted

    inner join groups_to_do
        on netted.change_group = groups_to_do.change_group

    where not netted.is_guest

),

allocations as (

    select
        customer_id,
        allocated_amount,
        cast(returned_at as date) as activity_date

    from {{ ref('int_returns_allocated') }}

    where purchase_line_id is not null

),

first_purchases as (

    select
        customer_id,
        stock_code,
        min(activity_date) as activity_date

    from lines

    where is_counted

    group by
        customer_id,
        stock_code

),

activities as (

    select
        customer_id,
        activity_date,
        count(*) as new_product_count,
        cast(0 as decimal(18, 4)) as gross_amount,
        cast(0 as decimal(18, 4)) as returned_amount

    from first_purchases

    group by
        customer_id,
        activity_date

    union all

    select
        customer_id,
        activity_date,
        0 as new_product_count,
        sum(line_amount) as gross_amount,
        cast(0 as decimal(18, 4)) as returned_amount

    from lines

    where line_type = 'purchase'

    group by
        customer_id,
        activity_date

    union all

    select
        customer_id,
        activity_date,
        0 as new_product_count,
        cast(0 as decimal(18, 4)) as gross_amount,
        sum(allocated_amount) as returned_amount

    from allocations

    group by
        customer_id,
        activity_date

),

totalled as (

    select
        customer_id,
        activity_date,
        sum(new_product_count) as new_product_count,
        sum(gross_amount) as gross_amount,
        sum(returned_amount) as returned_amount

    from activities

    group by
        customer_id,
        activity_date

),

final as (

    select
        -- keys
        totalled.customer_id,
        totalled.activity_date,
        groups_to_do.change_group,

        -- attributes
        groups_to_do.group_fingerprint,

        -- measures
        cast(totalled.new_product_count as bigint) as new_product_count,
        cast(totalled.gross_amount as decimal(18, 4)) as gross_amount,
        cast(totalled.returned_amount as decimal(18, 4)) as returned_amount

    from totalled

    -- The change group of a known customer is the customer.
    inner join groups_to_do
        on totalled.customer_id = groups_to_do.change_group

)

select * from final
