-- One row per purchase invoice of products: what was ordered, what was sent back, and
-- the how-manieth order of the customer it is.

with

invoices as (

    select
        invoice_number,
        customer_id,
        country_name,
        gross_amount,
        returned_amount,
        net_amount,
        counted_amount,
        purchase_line_count as line_count,
        product_count,
        item_count,
        returned_item_count,
        is_counted,
        is_guest,
        first_purchase_line_at as ordered_at

    from {{ ref('int_invoices_totalled') }}

    where purchase_line_count > 0

),

-- An invoice number that two customers share is two orders, told apart by the customer.
keyed as (

    select
        *,
        case
            when count(*) over (partition by invoice_number) = 1 then invoice_number
            else concat(invoice_number, '-', coalesce(customer_id, 'guest'))
        end as order_id

    from invoices

),

final as (

    select
        -- keys
        order_id,
        invoice_number,
        customer_id,

        -- attributes
        country_name,

        -- measures
        gross_amount,
        returned_amount,
        net_amount,
        counted_amount,
        line_count,
        product_count,
        item_count,
        returned_item_count,
        case
            when not is_guest
                then cast(row_number() over (
                    partition by customer_id
                    order by ordered_at, order_id
                ) as bigint)
        end as order_number,

        -- flags
        not is_guest
        and row_number() over (
            partition by customer_id
            order by ordered_at, order_id
        ) = 1 as is_first_order,
        returned_item_count = item_count as is_fully_returned,
        is_counted,
        is_guest,

        -- times
        ordered_at

    from keyed

)

select * from final
