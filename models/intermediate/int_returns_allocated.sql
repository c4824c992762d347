-- One row per return line x purchase line it reverses, and one row with a null purchase
-- for the units of a return that found none: what fct_return_allocations shows.
--
-- First in first out, per customer and stock code, in time order. With P and R the
-- running purchased and returned units, the returned units that had found no purchase
-- by then are max(0, running max of (R - P)); the rest, M, are matched. A return that
-- moves M from M0 to M1 takes the units of the purchases whose own running interval
-- overlaps (M0, M1]. This is what a queue does, without a loop.

{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_lines_classified'), \"line_type = 'return'\") }}",
    tags=['change_groups'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_lines_classified'), "line_type = 'return'") }}

),

returns as (

    select
        classified.line_fingerprint,
        classified.change_group,
        classified.customer_id,
        classified.stock_code,
        groups_to_do.group_fingerprint,
        classified.quantity,
        classified.unit_price,
        classified.is_guest,
        classified.invoiced_at,
        {{ invoice_line_id('classified') }} as invoice_line_id

    from {{ ref('int_lines_classified') }} as classified

    inner join groups_to_do
        on classified.change_group = groups_to_do.change_group

    where
        classified.is_usable
        and classified.line_type = 'return'

),

-- Purchases that nobody sent back have no part in the matching. Numbers are found
-- faster than codes; a purchase that is found by chance matches nothing.
returned_products as (

    select distinct
        {{ row_fingerprint(['customer_id', 'stock_code']) }} as product_fingerprint

    from returns

    where not is_guest

),

lines as (

    select
        classified.line_fingerprint,
        classified.invoice_number,
        classified.customer_id,
        classified.stock_code,
        classified.line_type,
        classified.quantity,
        classified.invoiced_at,
        {{ invoice_line_id('classified') }} as invoice_line_id

    from {{ ref('int_lines_classified') }} as classified

    inner join returned_products
        on
            {{ row_fingerprint([
                'classified.customer_id', 'classified.stock_code',
            ]) }}
            = returned_products.product_fingerprint

    where
        classified.is_usable
        and not classified.is_guest
        and classified.line_type in ('purchase', 'return')
        and {{ of_groups_to_do('classified.change_group') }}

),

events as (

    select
        line_fingerprint,
        invoice_line_id,
        invoice_number,
        customer_id,
        stock_code,
        line_type,
        invoiced_at,
        greatest(quantity, 0) as purchased_quantity,
        greatest(-quantity, 0) as returned_quantity,
        -- A purchase comes before a return of the same instant.
        row_number() over (
            partition by customer_id, stock_code
            order by invoiced_at, line_type, invoice_line_id
        ) as event_number

    from lines

),

running as (

    select
        *,
        sum(purchased_quantity) over (
            partition by customer_id, stock_code
            order by event_number
            rows between unbounded preceding and current row
        ) as purchased_so_far,
        sum(returned_quantity) over (
            partition by customer_id, stock_code
            order by event_number
            rows between unbounded preceding and current row
        ) as returned_so_far

    from events

),

matched as (

    select
        *,
        returned_so_far - greatest(
            0,
            max(returned_so_far - purchased_so_far) over (
                partition by customer_id, stock_code
                order by event_number
                rows between unbounded preceding and current row
            )
        ) as matched_so_far

    from running

),

spans as (

    select
        *,
        lag(matched_so_far, 1, 0) over (
            partition by customer_id, stock_code
            order by event_number
        ) as matched_before

    from matched

),

purchase_spans as (

    select
        line_fingerprint,
        invoice_line_id,
        invoice_number,
        customer_id,
        stock_code,
        invoiced_at,
        purchased_so_far - purchased_quantity as span_start,
        purchased_so_far as span_end

    from spans

    where line_type = 'purchase'

),

return_spans as (

    select
        line_fingerprint,
        customer_id,
        stock_code,
        invoiced_at,
        purchased_so_far,
        matched_before as span_start,
        matched_so_far as span_end

    from spans

    where line_type = 'return'

),

allocations as (

    select
        return_spans.line_fingerprint as return_fingerprint,
        purchase_spans.line_fingerprint as purchase_fingerprint,
        purchase_spans.invoice_line_id as purchase_line_id,
        purchase_spans.invoice_number as purchase_invoice_number,
        least(return_spans.span_end, purchase_spans.span_end)
        - greatest(return_spans.span_start, purchase_spans.span_start)
            as allocated_quantity,
        {{ dbt.datediff(
            'purchase_spans.invoiced_at', 'return_spans.invoiced_at', 'day'
        ) }} as days_to_return,
        purchase_spans.invoiced_at as purchased_at

    from return_spans

    inner join purchase_spans
        on
            return_spans.customer_id = purchase_spans.customer_id
            and return_spans.stock_code = purchase_spans.stock_code
            and return_spans.span_start < purchase_spans.span_end
            and return_spans.span_end > purchase_spans.span_start

    -- A return that matched nothing has an empty span.
    where return_spans.span_end > return_spans.span_start

),

allocated_by_return as (

    select
        return_fingerprint,
        sum(allocated_quantity) as allocated_quantity

    from allocations

    group by return_fingerprint

),

unmatched as (

    select
        returns.line_fingerprint as return_fingerprint,
        -returns.quantity - coalesce(allocated_by_return.allocated_quantity, 0)
            as allocated_quantity,
        case
            when returns.is_guest then 'guest_return'
            when return_spans.purchased_so_far = 0 then 'no_earlier_purchase'
            else 'more_than_purchased'
        end as unmatched_reason

    from returns

    left outer join allocated_by_return
        on returns.line_fingerprint = allocated_by_return.return_fingerprint

    left outer join return_spans
        on returns.line_fingerprint = return_spans.line_fingerprint

    where
        -returns.quantity > coalesce(allocated_by_return.allocated_quantity, 0)

),

every_part as (

    select
        return_fingerprint,
        purchase_fingerprint,
        purchase_line_id,
        purchase_invoice_number,
        allocated_quantity,
        days_to_return,
        cast(null as string) as unmatched_reason,
        purchased_at

    from allocations

    union all

    select
        return_fingerprint,
        cast(null as bigint) as purchase_fingerprint,
        cast(null as string) as purchase_line_id,
        cast(null as string) as purchase_invoice_number,
        allocated_quantity,
        cast(null as bigint) as days_to_return,
        unmatched_reason,
        cast(null as timestamp) as purchased_at

    from unmatched

),

final as (

    select
        -- keys
        concat(
            returns.invoice_line_id,
            '>',
            coalesce(every_part.purchase_line_id, 'none')
        ) as return_allocation_id,
        returns.invoice_line_id as return_line_id,
        every_part.purchase_line_id,
        every_part.purchase_invoice_number,
        every_part.return_fingerprint,
        every_part.purchase_fingerprint,
        returns.change_group,
        returns.customer_id,
        returns.stock_code,

        -- attributes
        returns.group_fingerprint,
        every_part.unmatched_reason,

        -- measures
        cast(every_part.allocated_quantity as bigint) as allocated_quantity,
        -- What was paid back: the return's own price.
        cast(
            cast(every_part.allocated_quantity as decimal(18, 0)) * returns.unit_price
            as decimal(18, 4)
        ) as allocated_amount,
        cast(every_part.days_to_return as bigint) as days_to_return,

        -- times
        every_part.purchased_at,
        returns.invoiced_at as returned_at

    from every_part

    inner join returns
        on every_part.return_fingerprint = returns.line_fingerprint

)

select * from final
