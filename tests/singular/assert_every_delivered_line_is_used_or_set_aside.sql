-- Every delivered line is in exactly one of the two marts of lines.

with

everywhere as (

    select
        invoice_line_id,
        'delivered' as found_in
    from {{ ref('int_lines_classified') }}

    union all

    select
        invoice_line_id,
        'a mart' as found_in
    from {{ ref('fct_invoice_lines') }}

    union all

    select
        invoice_line_id,
        'a mart' as found_in
    from {{ ref('fct_rejected_lines') }}

)

select
    invoice_line_id,
    sum(case when found_in = 'delivered' then 1 else 0 end) as delivered_count,
    sum(case when found_in = 'a mart' then 1 else 0 end) as mart_count

from everywhere

group by invoice_line_id

having
    sum(case when found_in = 'delivered' then 1 else 0 end) != 1
    or sum(case when found_in = 'a mart' then 1 else 0 end) != 1
