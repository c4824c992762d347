-- One row per basket, an invoice of a known customer with a product on it, returned or
-- not: whose it is and when it was. What is in it is in int_basket_items_kept.

with

invoices as (

    select
        invoice_number,
        customer_id,
        first_purchase_line_at

    from {{ ref('int_invoices_totalled') }}

    where
        purchase_line_count > 0
        and not is_guest

),

as_of as (

    select
        as_of_date,
        first_line_date

    from {{ ref('int_as_of_date') }}

),

origins as (

    select max(snapshot_date) as origin_date

    from {{ ref('int_snapshot_dates') }}

    where is_origin

),

-- The second half of the time is kept to see whether a rule of the first holds in it.
dates as (

    select
        origins.origin_date,
        cast(
            {{ dbt.dateadd(
                'day',
                'cast(floor('
                ~ dbt.datediff('as_of.first_line_date', 'as_of.as_of_date', 'day')
                ~ ' / 2) as int)',
                'as_of.first_line_date'
            ) }} as date
        ) as halfway_date

    from as_of

    cross join origins

),

final as (

    select
        -- keys
        row_number() over (
            order by invoices.invoice_number, invoices.customer_id
        ) as basket_number,
        invoices.invoice_number,
        invoices.customer_id,

        -- flags
        invoices.first_purchase_line_at < dates.halfway_date as is_first_half,

        -- times
        dates.origin_date,
        invoices.first_purchase_line_at as ordered_at

    from invoices

    cross join dates

)

select * from final
