-- One row per purchase invoice of products: what was ordered, what was sent back, and
-- the how-manieth order of the customer it is.

with

purchases as (

    select
        invoice_number,
        customer_id,
        country_name,
        stock_code,
        quantity,
        line_amount,
        returned_quantity,
        returned_amount,
        net_amount,
        is_guest,
        invoiced_at

    from {{ ref('fct_invoice_lines') }}

    where line_type = 'purchase'

),

invoices as (

    select
        invoice_number,
        customer_id,
        is_guest,
        min(country_name) as country_name,
        min(invoiced_at) as ordered_at,
        count(*) as line_count,
        count(distinct stock_code) as product_count,
        sum(quantity) as item_count,
        sum(returned_quantity) as returned_item_count,
        sum(line_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount

    from purchases

    group by
        invoice_number,
        customer_id,
        is_guest

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
        cast(gross_amount as decimal(18, 4)) as gross_amount,
        cast(returned_amount as decimal(18, 4)) as returned_amount,
        cast(net_amount as decimal(18, 4)) as net_amount,
        line_count,
        product_count,
        cast(item_count as bigint) as item_count,
        cast(returned_item_count as bigint) as returned_item_count,
        case
            when not is_guest
                then row_number() over (
                    partition by customer_id
                    order by ordered_at, order_id
                )
        end as order_number,

        -- flags
        not is_guest
        and row_number() over (
            partition by customer_id
            order by ordered_at, order_id
        ) = 1 as is_first_order,
        returned_item_count = item_count as is_fully_returned,
        is_guest,

        -- times
        ordered_at

    from keyed

)

select * from final
