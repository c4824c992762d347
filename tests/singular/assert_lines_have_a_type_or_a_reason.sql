-- A line has a line type when it is usable and a reject reason when it is not, never
-- both; and no line is usable for which there is a reason: a further copy, a line of a
-- later day, an adjustment, or one without numbers, a date, units or a price. Purchases
-- and returns are of products, and of the sign that their name says.

with

lines as (

    select
        source_file,
        source_row,
        line_type,
        reject_reason,
        invoice_number,
        stock_code,
        copy_number,
        quantity,
        unit_price,
        line_amount,
        is_usable,
        is_product,
        invoiced_at

    from {{ ref('int_lines_classified') }}

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

)

select
    lines.source_file,
    lines.source_row,
    lines.line_type,
    lines.reject_reason

from lines

cross join as_of

where
    (lines.line_type is null) = (lines.reject_reason is null)
    or (lines.reject_reason is null) != lines.is_usable
    or (
        lines.is_usable
        and (
            lines.invoice_number is null
            or lines.stock_code is null
            or lines.quantity is null
            or lines.unit_price is null
            or lines.line_amount is null
            or lines.invoiced_at is null
            or lines.copy_number > 1
            or lines.quantity = 0
            or lines.unit_price <= 0
            or lines.invoiced_at >= as_of.as_of_date
            or lines.invoice_number like 'A%'
            or (lines.invoice_number like 'C%' and lines.quantity > 0)
            or lines.is_product != (lines.line_type in ('purchase', 'return'))
            or (lines.line_type = 'purchase' and lines.quantity < 0)
            or (lines.line_type = 'return' and lines.quantity > 0)
        )
    )
