-- One row per known customer with any usable line: what they bought and sent back,
-- where they live and what they like. The base of the customer marts.
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
        products.stock_code,
        products.net_amount

    from {{ ref('int_customer_products_totalled') }} as products

    inner join groups_to_do
        on products.customer_id = groups_to_do.change_group

    where products.net_amount > 0

),

-- The same, with the products of a customer dealt out to three heaps.
heaped_products as (

    select
        products.customer_id,
        products.net_amount,
        {{ row_fingerprint(['products.stock_code']) }} % 3 as heap_number

    from {{ ref('int_customer_products_totalled') }} as products

    inner join groups_to_do
        on products.customer_id = groups_to_do.change_group

    where products.net_amount > 0

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

-- Each heap has a product of its largest amount, so three products have the smallest of
-- the three amounts or more. Whatever has less is no favourite, which spares sorting
-- most of the products.
smallest_amounts as (

    select
        customer_id,
        least(
            coalesce(max(case when heap_number = 0 then net_amount end), 0),
            coalesce(max(case when heap_number = 1 then net_amount end), 0),
            coalesce(max(case when heap_number = 2 then net_amount end), 0)
        ) as smallest_amount

    from heaped_products

    group by customer_id

),

ranked_products as (

    select
        products.customer_id,
        products.stock_code,
        row_number() over (
            partition by products.customer_id
            order by products.net_amount desc, products.stock_code asc
        ) as product_rank

    from products

    inner join smallest_amounts
        on
            products.customer_id = smallest_amounts.customer_id
            and products.net_amount >= smallest_amounts.smallest_amount

),

favourites as (

    select
        customer_id,
        max(case when product_rank = 1 then stock_code end) as first_stock_code,
        max(case when product_rank = 2 then stock_code end) as second_stock_code,
        max(case when product_rank = 3 then stock_code end) as third_stock_code

    from ranked_products

    where product_rank <= 3

    group by customer_id

),

final as (

    select
        -- keys
        amounts.customer_id,
        amounts.customer_id as change_group,

        -- attributes
        stamped_groups.group_fingerprint,
        countries.country_name,
        favourites.first_stock_code,
        favourites.second_stock_code,
        favourites.third_stock_code,

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

    inner join stamped_groups
        on amounts.customer_id = stamped_groups.change_group

    left outer join countries
        on amounts.customer_id = countries.customer_id

    left outer join visits
        on amounts.customer_id = visits.customer_id

    left outer join favourites
        on amounts.customer_id = favourites.customer_id

)

select * from final
