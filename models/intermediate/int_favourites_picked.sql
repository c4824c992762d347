-- One row per known customer who kept anything: the three products that they like most.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_customer_products_totalled'), 'net_amount > 0') }}",
    tags=['change_groups'],
) }}

with

groups_to_do as (

    {{ changed_groups(
        ref('int_customer_products_totalled'), 'net_amount > 0', 'customer_id'
    ) }}

),

products as (

    select
        customer_id,
        stock_code,
        net_amount

    from {{ ref('int_customer_products_totalled') }}

    where
        net_amount > 0
        and {{ of_groups_to_do('customer_id') }}

),

-- The same, with the products of a customer dealt out to three heaps.
heaped_products as (

    select
        customer_id,
        net_amount,
        {{ row_fingerprint(['stock_code']) }} % 3 as heap_number

    from {{ ref('int_customer_products_totalled') }}

    where
        net_amount > 0
        and {{ of_groups_to_do('customer_id') }}

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
        favourites.customer_id,

        -- attributes
        groups_to_do.group_fingerprint,
        favourites.first_stock_code,
        favourites.second_stock_code,
        favourites.third_stock_code

    from favourites

    inner join groups_to_do
        on favourites.customer_id = groups_to_do.change_group

)

select * from final
