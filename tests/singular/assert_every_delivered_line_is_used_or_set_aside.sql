-- Every delivered line is in exactly one of the two marts of lines: file by file they
-- hold as many lines as were classified, and the same. Sums of fingerprints tell so in
-- one pass, where comparing ten million keys takes as long as building them. Day by
-- day, rpt_control_totals says the same of counts and amounts.
{{ config(tags=['weekly']) }}

{%- set content = [
    'source_row', 'invoice_number', 'stock_code', 'customer_id', 'product_description',
    'country_name', 'quantity', 'unit_price', 'line_amount', 'invoiced_at',
] %}

with

everywhere as (

    select
        source_file,
        1 as delivered_count,
        0 as mart_count,
        cast({{ row_fingerprint(content) }} as decimal(38, 0)) as fingerprint

    from {{ ref('int_lines_classified') }}

    union all

    select
        source_file,
        0 as delivered_count,
        1 as mart_count,
        cast({{ row_fingerprint(content) }} as decimal(38, 0)) as fingerprint

    from {{ ref('fct_invoice_lines') }}

    union all

    select
        source_file,
        0 as delivered_count,
        1 as mart_count,
        cast({{ row_fingerprint(content) }} as decimal(38, 0)) as fingerprint

    from {{ ref('fct_rejected_lines') }}

),

files as (

    select
        source_file,
        sum(delivered_count) as delivered_count,
        sum(mart_count) as mart_count,
        sum(case when delivered_count = 1 then fingerprint else 0 end)
            as delivered_fingerprint,
        sum(case when mart_count = 1 then fingerprint else 0 end) as mart_fingerprint

    from everywhere

    group by source_file

)

select *

from files

where
    delivered_count != mart_count
    or delivered_fingerprint != mart_fingerprint
