-- One row per invoice x customer with a purchase or with a line that counts as one: the
-- lines added up once, for every sales mart. Guests are here too, without an id.

with

lines as (

    select
        invoice_number,
        customer_id,
        country_name,
        line_type,
        line_amount,
        returned_amount,
        net_amount,
        counted_quantity,
        counted_amount,
        is_guest,
        invoiced_at

    from {{ ref('fct_invoice_lines') }}

    where
        line_type = 'purchase'
        or is_counted

),

totalled as (

    select
        invoice_number,
        customer_id,
        is_guest,
        min(country_name) as country_name,
        sum(case when line_type = 'purchase' then line_amount else 0 end)
            as gross_amount,
        sum(case when line_type = 'purchase' then returned_amount else 0 end)
            as returned_amount,
        sum(case when line_type = 'purchase' then net_amount else 0 end) as net_amount,
        sum(counted_quantity) as counted_quantity,
        sum(counted_amount) as counted_amount,
        sum(counted_quantity) > 0 as is_counted,
        -- What was sent back dates no purchase; where nothing was kept, the first line.
        coalesce(
            min(case when counted_quantity > 0 then invoiced_at end),
            min(invoiced_at)
        ) as ordered_at

    from lines

    group by
        invoice_number,
        customer_id,
        is_guest

),

final as (

    select
        -- keys
        invoice_number,
        customer_id,

        -- attributes
        country_name,

        -- measures
        cast(gross_amount as decimal(18, 4)) as gross_amount,
        cast(returned_amount as decimal(18, 4)) as returned_amount,
        cast(net_amount as decimal(18, 4)) as net_amount,
        cast(counted_quantity as bigint) as counted_quantity,
        -- An invoice of which nothing was kept is no order, even where a refund that
        -- was smaller than the price leaves an amount.
        cast(
            case when is_counted then counted_amount else 0 end as decimal(18, 4)
        ) as counted_amount,

        -- flags
        is_counted,
        is_counted
        and not is_guest
        and row_number() over (
            partition by customer_id, is_counted
            order by ordered_at, invoice_number
        ) = 1 as is_first_order,
        is_guest,

        -- times
        ordered_at

    from totalled

)

select * from final
