-- One row per customer x purchase invoice x period during which it counted the same
-- under purchase_basis: what RFM is made of, as it was known at any time. A period
-- begins with a line of the invoice or with a return. There is no row for the time
-- during which nothing of the invoice is kept: it is no visit then.
--
-- Returns are matched first in first out, which never looks ahead, so what was known at
-- a time is what was bought by then less the returns matched by then.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_invoice_parts_totalled'), 'customer_id is not null') }}",
    tags=['change_groups'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_invoice_parts_totalled'), 'customer_id is not null') }}

),

allocations as (

    select
        purchase_invoice_number,
        customer_id,
        allocated_quantity,
        allocated_amount,
        purchased_at,
        returned_at

    from {{ ref('int_returns_allocated') }}

    where
        purchase_fingerprint is not null
        and {{ of_groups_to_do() }}

),

-- Lines of an invoice can be written at several instants.
purchases as (

    select
        invoice_number,
        customer_id,
        invoiced_at,
        sum(quantity) as quantity,
        sum(line_amount) as line_amount,
        sum(counted_quantity) as counted_quantity

    from {{ ref('int_invoice_parts_totalled') }}

    where
        is_counted
        and customer_id is not null
        and {{ of_groups_to_do() }}

    group by
        invoice_number,
        customer_id,
        invoiced_at

),

-- Only where purchase_basis takes returns off.
returns as (

    select
        purchases.invoice_number,
        purchases.customer_id,
        purchases.invoiced_at,
        allocations.returned_at,
        sum(allocations.allocated_quantity) as quantity,
        sum(allocations.allocated_amount) as line_amount

    from allocations

    inner join purchases
        on
            allocations.customer_id = purchases.customer_id
            and allocations.purchase_invoice_number = purchases.invoice_number
            and allocations.purchased_at = purchases.invoiced_at

    where purchases.counted_quantity < purchases.quantity

    group by
        purchases.invoice_number,
        purchases.customer_id,
        purchases.invoiced_at,
        allocations.returned_at

),

returned as (

    select
        invoice_number,
        customer_id,
        invoiced_at,
        sum(quantity) as quantity,
        max(returned_at) as last_returned_at

    from returns

    group by
        invoice_number,
        customer_id,
        invoiced_at

),

-- Something of an instant is kept until its last unit is sent back.
instants as (

    select
        purchases.invoice_number,
        purchases.customer_id,
        purchases.invoiced_at,
        case
            when returned.quantity = purchases.quantity then returned.last_returned_at
        end as kept_until

    from purchases

    left outer join returned
        on
            purchases.customer_id = returned.customer_id
            and purchases.invoice_number = returned.invoice_number
            and purchases.invoiced_at = returned.invoiced_at

),

events as (

    select
        invoice_number,
        customer_id,
        quantity,
        line_amount,
        line_amount as gross_amount,
        invoiced_at as changed_at

    from purchases

    union all

    select
        invoice_number,
        customer_id,
        -quantity as quantity,
        -line_amount as line_amount,
        cast(0 as decimal(18, 4)) as gross_amount,
        returned_at as changed_at

    from returns

),

changes as (

    select
        invoice_number,
        customer_id,
        changed_at,
        sum(quantity) as quantity,
        sum(line_amount) as line_amount,
        sum(gross_amount) as gross_amount

    from events

    group by
        invoice_number,
        customer_id,
        changed_at

),

periods as (

    select
        invoice_number,
        customer_id,
        changed_at as known_from,
        lead(changed_at) over (
            partition by customer_id, invoice_number
            order by changed_at
        ) as known_until,
        sum(quantity) over (
            partition by customer_id, invoice_number
            order by changed_at
            rows between unbounded preceding and current row
        ) as counted_quantity,
        sum(line_amount) over (
            partition by customer_id, invoice_number
            order by changed_at
            rows between unbounded preceding and current row
        ) as counted_amount,
        sum(gross_amount) over (
            partition by customer_id, invoice_number
            order by changed_at
            rows between unbounded preceding and current row
        ) as gross_amount

    from changes

),

-- A period in which nothing is kept finds no instant, and so is left out.
visits as (

    select
        periods.invoice_number,
        periods.customer_id,
        periods.known_from,
        periods.known_until,
        periods.counted_quantity,
        periods.counted_amount,
        periods.gross_amount,
        min(instants.invoiced_at) as ordered_at

    from periods

    inner join instants
        on
            periods.customer_id = instants.customer_id
            and periods.invoice_number = instants.invoice_number
            and periods.known_from >= instants.invoiced_at
            and (
                instants.kept_until is null
                or periods.known_from < instants.kept_until
            )

    group by
        periods.invoice_number,
        periods.customer_id,
        periods.known_from,
        periods.known_until,
        periods.counted_quantity,
        periods.counted_amount,
        periods.gross_amount

),

final as (

    select
        -- keys
        visits.invoice_number,
        visits.customer_id,
        groups_to_do.change_group,
        visits.known_from,

        -- attributes
        groups_to_do.group_fingerprint,

        -- measures
        cast(visits.counted_quantity as bigint) as counted_quantity,
        cast(visits.counted_amount as decimal(18, 4)) as counted_amount,
        cast(visits.gross_amount as decimal(18, 4)) as gross_amount,

        -- times
        visits.known_until,
        visits.ordered_at

    from visits

    -- The change group of a known customer is the customer.
    inner join groups_to_do
        on visits.customer_id = groups_to_do.change_group

)

select * from final
