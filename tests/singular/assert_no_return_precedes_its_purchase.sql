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

inner join lines as returns
    on allocations.return_line_id = returns.invoice_line_id

inner join lines as purchases
    on allocations.purchase_line_id = purchases.invoice_line_id

where
    purchases.invoiced_at > returns.invoiced_at
    or purchases.customer_id != returns.customer_id
    or purchases.stock_code != returns.stock_code
    or purchases.line_type != 'purchase'
    or returns.line_type != 'return'
