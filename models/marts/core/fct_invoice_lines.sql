-- One row per usable invoice line: what was sold, sent back or charged, and how much of
-- it stayed. Answers every question about lines; nothing else reads the raw ones.
{{ config(materialized='view' if target.type == 'duckdb' else 'table') }}

with

lines as (

    select *

    from {{ ref('int_lines_netted') }}

),

final as (

    select
        -- keys
        invoice_line_id,
        invoice_number,
        stock_code,
        customer_id,

        -- attributes
        line_type,
        product_description,
        country_name,
        currency_code,
        store_name,
        source_file,
        source_row,

        -- measures
        quantity,
        unit_price,
        line_amount,
        returned_quantity,
        returned_amount,
        net_amount,
        counted_quantity,
        counted_amount,

        -- flags
        is_counted,
        is_product,
        is_guest,

        -- times
        invoiced_at

    from lines

)

select * from final
