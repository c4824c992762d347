-- Staging has as many lines as were delivered, with the same quantities, prices,
-- amounts and times, and the same ids and codes but for blanks around them. Lengths
-- tell so of texts: comparing the texts themselves would take longer than reading them.

{%- set customer_id = "trim(cast(" ~ source_column("customer_id") ~ " as string))" %}

with

source as (

    select
        upper(trim(cast({{ source_column('invoice_no') }} as string)))
            as invoice_number,
        upper(trim(cast({{ source_column('stock_code') }} as string))) as stock_code,
        case
            when {{ customer_id }} like '%.%'
                then regexp_replace({{ customer_id }}, '[.]0+$', '')
            else {{ customer_id }}
        end as customer_id,
        trim(cast({{ source_column('country') }} as string)) as country_name,
        try_cast({{ source_column('quantity') }} as decimal(18, 4)) as quantity,
        try_cast({{ source_column('unit_price') }} as decimal(18, 4)) as unit_price,
        try_cast({{ source_column('invoice_date') }} as timestamp) as invoiced_at

    from {{ source('warehouse' if var('source_table') else 'online_retail', 'lines') }}

),

-- What cannot be read is null in staging, and told in a table of its own.
readable as (

    select
        invoice_number,
        stock_code,
        customer_id,
        country_name,
        case
            when quantity = floor(quantity) and abs(quantity) <= 2147483647
                then quantity
        end as quantity,
        case when abs(unit_price) < 10000000000 then unit_price end as unit_price,
        case
            when year(invoiced_at) between 1990 and 2100 then invoiced_at
        end as invoiced_at

    from source

),

landed as (

    select
        *,
        case
            when abs(cast(quantity as decimal(19, 0)) * unit_price) < 10000000000
                then cast(quantity as decimal(19, 0)) * unit_price
        end as line_amount

    from readable

),

sides as (

    {%- for side in ["landed", "staged"] %}

    select
        '{{ side }}' as side,
        count(*) as line_count,
        {%- for text in [
            "invoice_number", "stock_code", "customer_id", "country_name"
        ] %}
        coalesce(sum(length({{ text }})), 0) as {{ text }}_length,
        {%- endfor %}
        {%- for number in ["quantity", "unit_price", "line_amount"] %}
        coalesce(sum({{ number }}), 0) as {{ number }},
        {%- endfor %}
        coalesce(sum({{ dbt.datediff(
            "cast('1990-01-01' as timestamp)", "invoiced_at", "second"
        ) }}), 0) as seconds

    from {{ "landed" if side == "landed" else ref("stg_online_retail__lines") }}
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

)

select
    landed.*,
    staged.*

from sides as landed

cross join sides as staged

where
    landed.side = 'landed'
    and staged.side = 'staged'
    and (
        landed.line_count != staged.line_count
        {%- for measure in [
            "invoice_number_length", "stock_code_length", "customer_id_length",
            "country_name_length", "quantity", "unit_price", "line_amount", "seconds",
        ] %}
        or landed.{{ measure }} != staged.{{ measure }}
        {%- endfor %}
    )
