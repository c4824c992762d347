-- One row per invoice line, as delivered: its texts with their blanks, before staging
-- trims them. Only rpt_column_profiles reads it: everything else wants them trimmed.

with

source as (

    select
        {{ source_column('invoice_no') }} as invoice_no,
        {{ source_column('stock_code') }} as stock_code,
        {{ source_column('description', is_optional=true) }} as description,
        {{ source_column('customer_id') }} as customer_id,
        {{ source_column('country') }} as country,
        {{ source_column('currency', is_optional=true) }} as currency,
        {{ source_column('store', is_optional=true) }} as store

    from {{ source('warehouse' if var('source_table') else 'online_retail', 'lines') }}

),

final as (

    select
        cast(invoice_no as string) as invoice_no,
        cast(stock_code as string) as stock_code,
        cast(description as string) as description,
        -- How a table stores an id is not what it says: 17850.0 is 17850.
        regexp_replace(cast(customer_id as string), '[.]0+$', '') as customer_id,
        cast(country as string) as country,
        cast(currency as string) as currency,
        cast(store as string) as store

    from source

)

select * from final
