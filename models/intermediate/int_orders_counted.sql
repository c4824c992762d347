-- One row per customer x invoice that counts as a purchase under purchase_basis, as it
-- is now. An invoice of which nothing was kept is no visit.
{{ config(materialized='view' if target.type == 'duckdb' else 'table') }}

with

orders as (

    select
        invoice_number,
        customer_id,
        counted_amount,
        gross_amount,
        ordered_at

    from {{ ref('int_orders_versioned') }}

    where known_until is null

),

final as (

    select
        -- keys
        invoice_number,
        customer_id,

        -- measures
        counted_amount,
        gross_amount,

        -- times
        ordered_at

    from orders

)

select * from final
