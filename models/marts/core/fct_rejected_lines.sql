-- One row per line set aside, with its raw columns and the reason. Answers: what is
-- missing from the figures, and why?
{{ config(materialized='view' if target.type == 'duckdb' else 'table') }}

with

lines as (

    select *

    from {{ ref('int_lines_classified') }}

    where not is_usable

),

final as (

    select
        -- keys
        {{ invoice_line_id() }} as invoice_line_id,
        invoice_number,
        stock_code,
        customer_id,

        -- attributes
        reject_reason,
        product_description,
        country_name,
        currency_code,
        store_name,
        raw_quantity,
        raw_invoice_date,
        raw_unit_price,
        raw_line,
        source_file,
        source_row,

        -- measures
        quantity,
        unit_price,
        line_amount,

        -- times
        invoiced_at

    from lines

)

select * from final
