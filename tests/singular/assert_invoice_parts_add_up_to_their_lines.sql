-- Invoice by invoice, for each line type, the parts hold what its lines come to: units,
-- amounts, what was sent back and what counts, the first line and the first of which
-- anything counts. What other gates add up from the parts is so added up from lines.
-- Day by day, rpt_control_totals says so of what orders and customers come to.
{{ config(tags=['weekly']) }}

{%- set measures = [
    'quantity', 'line_amount', 'returned_quantity', 'returned_amount', 'net_amount',
    'counted_quantity', 'counted_amount',
] %}

with

parts as (

    select
        customer_id,
        invoice_number,
        line_type,
        is_counted,
        sum(line_count) as line_count,
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        min(case when counted_quantity > 0 then invoiced_at end) as first_counted_at,
        min(invoiced_at) as first_line_at

    from {{ ref('int_invoice_parts_totalled') }}

    group by
        customer_id,
        invoice_number,
        line_type,
        is_counted

),

lines as (

    select
        customer_id,
        invoice_number,
        line_type,
        is_counted,
        count(*) as line_count,
        {%- for measure in measures %}
        sum({{ measure }}) as {{ measure }},
        {%- endfor %}
        min(case when counted_quantity > 0 then invoiced_at end) as first_counted_at,
        min(invoiced_at) as first_line_at

    from {{ ref('fct_invoice_lines') }}

    group by
        customer_id,
        invoice_number,
        line_type,
        is_counted

)

select
    parts.customer_id,
    parts.invoice_number,
    lines.customer_id as line_customer_id,
    lines.invoice_number as line_invoice_number,
    parts.line_count as part_line_count,
    lines.line_count,
    parts.line_amount as part_line_amount,
    lines.line_amount

from parts

full outer join lines
    on
        parts.invoice_number = lines.invoice_number
        and parts.line_type = lines.line_type
        and parts.is_counted = lines.is_counted
        and coalesce(parts.customer_id, '') = coalesce(lines.customer_id, '')

where
    parts.invoice_number is null
    or lines.invoice_number is null
    {%- for measure in ['line_count'] + measures %}
    or parts.{{ measure }} != lines.{{ measure }}
    {%- endfor %}
    or parts.first_counted_at is distinct from lines.first_counted_at
    or parts.first_line_at != lines.first_line_at
