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

),

-- Few lines have a part in an allocation. They are found in one pass.
lines as (

    select
        line_fingerprint,
        customer_id,
        stock_code,
        line_type,
        invoiced_at,
        {{ invoice_line_id() }} as invoice_line_id

    from {{ ref('int_lines_classified') }}

    where
        line_fingerprint in (
            select allocations.return_fingerprint from allocations
            union all
            select allocations.purchase_fingerprint from allocations
        )

)

select
    allocations.return_line_id,
    allocations.purchase_line_id

from allocations

inner join lines as return_lines
    on allocations.return_fingerprint = return_lines.line_fingerprint

inner join lines as purchase_lines
    on allocations.purchase_fingerprint = purchase_lines.line_fingerprint

where
    purchase_lines.invoiced_at > return_lines.invoiced_at
    or purchase_lines.customer_id != return_lines.customer_id
    or purchase_lines.stock_code != return_lines.stock_code
    or purchase_lines.line_type != 'purchase'
    or return_lines.line_type != 'return'
    or allocations.return_line_id != return_lines.invoice_line_id
    or allocations.purchase_line_id != purchase_lines.invoice_line_id
