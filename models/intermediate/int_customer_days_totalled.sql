-- One row per known customer x day on which they bought or sent back: what snapshots
-- add up. There are far fewer days than lines.
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

sold_groups as (

    select distinct change_group

    from parts

    where is_sold

),

product_groups as (

    select
        customer_id as change_group,
        max(group_fingerprint) as group_fingerprint

    from {{ ref('int_customer_products_totalled') }}

    where {{ of_groups_to_do('customer_id') }}

    group by customer_id

),

-- Where products are behind, after an interrupted build, or still there though nothing
-- is bought any more, the mark is one that no group has: the customer is computed anew
-- once they have caught up.
stamped_groups as (

    select
        groups_to_do.change_group,
        case
            when
                sold_groups.change_group is not null
                and product_groups.group_fingerprint
                = groups_to_do.group_fingerprint
                then groups_to_do.group_fingerprint
            when
                sold_groups.change_group is null
                and product_groups.change_group is null
                then groups_to_do.group_fingerprint
            else 0
        end as group_fingerprint

    from groups_to_do

    left outer join sold_groups
        on groups_to_do.change_group = sold_groups.change_group

    left outer join product_groups
        on groups_to_do.change_group = product_groups.change_group

),

products as (

    select
        products.customer_id,
        cast(products.first_counted_at as date) as activity_date

    from {{ ref('int_customer_products_totalled') }} as products

    where
        products.first_counted_at is not null
        and {{ of_groups_to_do('products.customer_id') }}

),

allocations as (

    select
        customer_id,
        allocated_amount,
        cast(returned_at as date) as activity_date

    from {{ ref('int_returns_allocated') }}

    where
        purchase_fingerprint is not null
        and {{ of_groups_to_do('customer_id') }}

),

activities as (

    select
        customer_id,
        activity_date,
        count(*) as new_product_count,
        cast(0 as decimal(18, 4)) as gross_amount,
        cast(0 as decimal(18, 4)) as returned_amount

    from products

    group by
        customer_id,
        activity_date

    union all

    select
        customer_id,
        cast(invoiced_at as date) as activity_date,
        0 as new_product_count,
        sum(line_amount) as gross_amount,
        cast(0 as decimal(18, 4)) as returned_amount

    from parts

    where line_type = 'purchase'

    group by
        customer_id,
        cast(invoiced_at as date)

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
        stamped_groups.change_group,

        -- attributes
        stamped_groups.group_fingerprint,

        -- measures
        cast(totalled.new_product_count as bigint) as new_product_count,
        cast(totalled.gross_amount as decimal(18, 4)) as gross_amount,
        cast(totalled.returned_amount as decimal(18, 4)) as returned_amount

    from totalled

    -- The change group of a known customer is the customer.
    inner join stamped_groups
        on totalled.customer_id = stamped_groups.change_group

)

select * from final
