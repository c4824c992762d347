-- A return is never matched to a purchase that came later, nor across customers or
-- products.

with

allocations as (

    select
        return_line_id,
        purchase_line_id

    from {{ ref('fct_return_allocations') }}

    where purchase_line_id is not null

),

lines as (

    select
        invoice_line_id,
        customer_id,
        stock_code,
        line_type,
        invoiced_at

    from {{ ref('fct_invoice_lines') }}

)

select
    allocations.return_line_id,
    allocations.purchase_line_id

from allocations

inner join lines as return_lines
    on allocations.return_line_id = return_lines.invoice_line_id

inner join lines as purchase_lines
    on allocations.purchase_line_id = purchase_lines.invoice_line_id

where
    purchase_lines.invoiced_at > return_lines.invoiced_at
    or purchase_lines.customer_id != return_lines.customer_id
    or purchase_lines.stock_code != return_lines.stock_code
    or purchase_lines.line_type != 'purchase'
    or return_lines.line_type != 'return'
