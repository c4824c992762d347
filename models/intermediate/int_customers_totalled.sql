-- One row per known customer with any usable line: what they bought and sent back, and
-- where they live. The base of the customer marts.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_invoice_parts_totalled'), 'customer_id is not null') }}",
    tags=['change_groups'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_invoice_parts_totalled'), 'customer_id is not null') }}

),

parts as (

    select *

    from {{ ref('int_invoice_parts_totalled') }}

    where
        customer_id is not null
        and {{ of_groups_to_do() }}

),

amounts as (

    select
        customer_id,
        sum(line_count) as line_count,
        count(distinct country_name) as country_count,
        sum(case when line_type = 'purchase' then quantity else 0 end)
            as purchased_quantity,
        sum(returned_quantity) as returned_quantity,
        sum(case when line_type = 'purchase' then line_amount else 0 end)
            as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(case when line_type = 'purchase' then net_amount else 0 end) as net_amount,
        sum(case when line_type = 'return' then -net_amount else 0 end)
            as unmatched_return_amount,
        sum(
            case when line_type in ('purchase', 'return') then 0 else line_amount end
        ) as other_amount,
        sum(line_amount) as line_amount,
        min(invoiced_at) as first_line_at,
        max(invoiced_at) as last_line_at

    from parts

    group by customer_id

),

-- A customer with several countries lives where the latest purchase went, or the latest
-- line where nothing was bought.
ranked_countries as (

    select
        customer_id,
        country_name,
        row_number() over (
            partition by customer_id
            order by
                case when line_type = 'purchase' then 0 else 1 end,
                invoiced_at desc,
                country_name asc,
                invoice_number asc,
                line_type asc
        ) as country_rank

    from parts

    where country_name is not null

),

countries as (

    select
        customer_id,
        country_name

    from ranked_countries

    where country_rank = 1

),

orders as (

    select
        customer_id,
        invoice_number,
        sum(quantity) = sum(returned_quantity) as is_fully_returned,
        min(invoiced_at) as ordered_at

    from parts

    where line_type = 'purchase'

    group by
        customer_id,
        invoice_number

),

visits as (

    select
        customer_id,
        count(*) as order_count,
        sum(case when is_fully_returned then 1 else 0 end) as returned_order_count,
        min(ordered_at) as first_order_at,
        max(ordered_at) as last_order_at

    from orders

    group by customer_id

),

final as (

    select
        -- keys
        amounts.customer_id,
        amounts.customer_id as change_group,

        -- attributes
        groups_to_do.group_fingerprint,
        countries.country_name,

        -- measures
        cast(amounts.line_count as bigint) as line_count,
        amounts.country_count,
        coalesce(visits.order_count, 0) as order_count,
        cast(coalesce(visits.returned_order_count, 0) as bigint)
            as returned_order_count,
        cast(amounts.purchased_quantity as bigint) as purchased_quantity,
        cast(amounts.returned_quantity as bigint) as returned_quantity,
        cast(amounts.gross_amount as decimal(18, 4)) as gross_amount,
        cast(amounts.returned_amount as decimal(18, 4)) as returned_amount,
        cast(amounts.net_amount as decimal(18, 4)) as net_amount,
        cast(amounts.unmatched_return_amount as decimal(18, 4))
            as unmatched_return_amount,
        cast(amounts.other_amount as decimal(18, 4)) as other_amount,
        cast(amounts.line_amount as decimal(18, 4)) as line_amount,

        -- times
        visits.first_order_at,
        visits.last_order_at,
        amounts.first_line_at,
        amounts.last_line_at

    from amounts

    inner join groups_to_do
        on amounts.customer_id = groups_to_do.change_group

    left outer join countries
        on amounts.customer_id = countries.customer_id

    left outer join visits
        on amounts.customer_id = visits.customer_id

)

select * from final
