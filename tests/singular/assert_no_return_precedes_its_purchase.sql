-- A return is never matched to a purchase that came later, nor across customers or
-- products, and both are named by the ids that their lines have.

with

allocations as (

    select
        return_fingerprint,
        purchase_fingerprint,
        return_line_id,
        purchase_line_id

    from {{ ref('int_returns_allocated') }}

    where purchase_fingerprint is not null

)

select
    allocations.return_line_id,
    allocations.purchase_line_id

from allocations

inner join {{ ref('int_lines_classified') }} as return_lines
    on allocations.return_fingerprint = return_lines.line_fingerprint

inner join {{ ref('int_lines_classified') }} as purchase_lines
    on allocations.purchase_fingerprint = purchase_lines.line_fingerprint

where
    purchase_lines.invoiced_at > return_lines.invoiced_at
    or purchase_lines.customer_id != return_lines.customer_id
    or purchase_lines.stock_code != return_lines.stock_code
    or purchase_lines.line_type != 'purchase'
    or return_lines.line_type != 'return'
    or allocations.return_line_id != {{ invoice_line_id('return_lines') }}
    or allocations.purchase_line_id != {{ invoice_line_id('purchase_lines') }}
