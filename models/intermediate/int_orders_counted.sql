-- One row per customer x invoice that counts as a purchase under purchase_basis: what
-- RFM and cohorts are made of. An invoice of which nothing was kept is no visit.

with

lines as (

    select
        invoice_number,
        customer_id,
        counted_quantity,
        counted_amount,
        invoiced_at

    from {{ ref('fct_invoice_lines') }}

    where
        not is_guest
        and quantity > 0

),

final as (

    select
        -- keys
        invoice_number,
        customer_id,

        -- measures
        cast(sum(counted_amount) as decimal(18, 4)) as counted_amount,

        -- times
        min(case when counted_quantity > 0 then invoiced_at end) as ordered_at

    from lines

    group by
        invoice_number,
        customer_id

    having sum(counted_quantity) > 0

)

select * from final
