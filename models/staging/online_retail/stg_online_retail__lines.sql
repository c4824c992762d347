-- One row per invoice line, as delivered: typed, trimmed and flagged. Nothing is
-- filtered here. A value that cannot be read is null, with the text that was delivered
-- beside it, so that the line can be set aside with its reason.
{{ config(tags=['change_groups']) }}

with

source as (

    select
        {{ source_column('invoice_no') }} as invoice_no,
        {{ source_column('stock_code') }} as stock_code,
        {{ source_column('description', is_optional=true) }} as description,
        {{ source_column('quantity') }} as quantity,
        {{ source_column('invoice_date') }} as invoice_date,
        {{ source_column('unit_price') }} as unit_price,
        {{ source_column('customer_id') }} as customer_id,
        {{ source_column('country') }} as country,
        {{ source_column('currency', is_optional=true) }} as currency,
        {{ source_column('store', is_optional=true) }} as store,
        {%- if var('source_table') %}
        cast(null as string) as raw_quantity,
        cast(null as string) as raw_invoice_date,
        cast(null as string) as raw_unit_price,
        cast(null as string) as raw_line,
        '{{ var("source_table") }}' as source_file,
        cast(null as bigint) as source_row,
        cast(null as string) as source_hash
        {%- else %}
        raw_quantity,
        raw_invoice_date,
        raw_unit_price,
        raw_line,
        source_file,
        source_row,
        source_hash
        {%- endif %}

    from {{ source('warehouse' if var('source_table') else 'online_retail', 'lines') }}

),

-- A cast from 1.5 to a whole number rounds, so quantities are read as decimals first.
-- A cast of a date or a price costs nothing where the column has the type already.
typed as (

    select
        *,
        try_cast(quantity as decimal(18, 4)) as decimal_quantity,
        try_cast(invoice_date as timestamp) as invoiced_at,
        try_cast(unit_price as decimal(18, 4)) as decimal_price

    from source

),

-- The limits hold quantity x price within the decimals that the marts use, and keep a
-- date of 1899 or 9999 from moving the as-of date.
readable as (

    select
        *,
        case
            when
                decimal_quantity = floor(decimal_quantity)
                and abs(decimal_quantity) <= 2147483647
                then cast(decimal_quantity as bigint)
        end as whole_quantity,
        case
            when year(invoiced_at) between 1990 and 2100 then invoiced_at
        end as sane_invoiced_at,
        case
            when abs(decimal_price) < 10000000000 then decimal_price
        end as sane_price

    from typed

),

cleaned as (

    select
        upper(nullif(trim(cast(invoice_no as string)), '')) as invoice_number,
        upper(nullif(trim(cast(stock_code as string)), '')) as stock_code,
        -- Spreadsheets hand an id over as a decimal: 17850.0.
        case
            when cast(customer_id as string) like '%.%'
                then nullif(
                    regexp_replace(trim(cast(customer_id as string)), '[.]0+$', ''), ''
                )
            else nullif(trim(cast(customer_id as string)), '')
        end as customer_id,

        nullif(trim(cast(description as string)), '') as product_description,
        nullif(trim(cast(country as string)), '') as country_name,
        upper(nullif(trim(cast(currency as string)), '')) as currency_code,
        nullif(trim(cast(store as string)), '') as store_name,

        whole_quantity as quantity,
        sane_price as unit_price,
        sane_invoiced_at as invoiced_at,

        coalesce(
            raw_quantity,
            case
                when whole_quantity is null
                    then nullif(trim(cast(quantity as string)), '')
            end
        ) as raw_quantity,
        coalesce(
            raw_invoice_date,
            case
                when sane_invoiced_at is null
                    then nullif(trim(cast(invoice_date as string)), '')
            end
        ) as raw_invoice_date,
        coalesce(
            raw_unit_price,
            case
                when sane_price is null
                    then nullif(trim(cast(unit_price as string)), '')
            end
        ) as raw_unit_price,
        raw_line,

        source_file,
        source_row,
        source_hash

    from readable

),

final as (

    select
        -- keys
        -- Two lines with this number were delivered alike, in all but extremely few
        -- cases. It costs a tenth of a hash that never errs.
        {{ row_fingerprint([
            'invoice_number', 'stock_code', 'product_description', 'quantity',
            'raw_quantity', 'invoiced_at', 'raw_invoice_date', 'unit_price',
            'raw_unit_price', 'customer_id', 'country_name', 'currency_code',
            'store_name', 'raw_line',
        ]) }} as content_fingerprint,
        -- Nothing but a line of the same customer, or of the same guest's invoice, can
        -- change what becomes of a line: what a daily build computes anew, or leaves.
        coalesce(customer_id, invoice_number, '') as change_group,
        invoice_number,
        stock_code,
        customer_id,

        -- attributes
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
        source_hash,

        -- measures
        quantity,
        unit_price,
        -- 19 digits, so that the product has room to be found too large. What is summed
        -- up in the marts has room for ten thousand lines just below the limit.
        case
            when
                abs(cast(quantity as decimal(19, 0)) * unit_price) < 10000000000
                then cast(
                    cast(quantity as decimal(19, 0)) * unit_price as decimal(18, 4)
                )
        end as line_amount,

        -- flags
        coalesce(invoice_number like 'C%', false) as is_cancellation,
        coalesce(invoice_number like 'A%', false) as is_bad_debt,
        customer_id is not null as has_customer,

        -- times
        invoiced_at

    from cleaned

)

select * from final
