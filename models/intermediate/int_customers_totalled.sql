-- One row per known customer with any usable line: what they bought and sent back, and
-- where they live. The base of the customer marts.

with

lines as (

    select
        invoice_line_id,
        customer_id,
        country_name,
        line_type,
        quantity,
        line_amount,
        returned_quantity,
        returned_amount,
        net_amount,
        invoiced_at

    from {{ ref('fct_invoice_lines') }}

    where not is_guest

),

orders as (

    select
        customer_id,
        ordered_at,
        is_fully_returned

    from {{ ref('fct_orders') }}

    where not is_guest

),

amounts as (

    select
        customer_id,
        count(*) as line_count,
        count(distinct country_name) as country_count,
        sum(case when line_type = 'purchase' then quantity else 0 end)
            as purchased_quantity,
        sum(returned_quantity) as returned_quantity,
        sum(case when line_type = 'purchase' then line_amount else 0 end)
            as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(case when line_type = 'purchase' then net_amount else 0 end) as net_amount,
        sum(case when line_type = 'return' then -net_amount else 0 end)
            as unmatched_return_amount,
        sum(
            case when line_type in ('purchase', 'return') then 0 else line_amount end
        ) as other_amount,
        sum(line_amount) as line_amount,
        min(invoiced_at) as first_line_at,
        max(invoiced_at) as last_line_at

    from lines

    group by customer_id

),

-- A customer with several countries lives where the latest purchase went, or the latest
-- line where nothing was bought.
ranked_countries as (

    select
        customer_id,
        country_name,
        row_number() over (
            partition by customer_id
            order by
                case when line_type = 'purchase' then 0 else 1 end,
                invoiced_at desc,
                country_name asc,
                invoice_line_id asc
        ) as country_rank

    from lines

    where country_name is not null

),

countries as (

    select
        customer_id,
        country_name

    from ranked_countries

    where country_rank = 1

),

visits as (

    select
        customer_id,
        count(*) as order_count,
        sum(case when is_fully_returned then 1 else 0 end) as returned_order_count,
        min(ordered_at) as first_order_at,
        max(ordered_at) as last_order_at

    from orders

    group by customer_id

),

final as (

    select
        -- keys
        amounts.customer_id,

        -- attributes
        countries.country_name,

        -- measures
        amounts.line_count,
        amounts.country_count,
        coalesce(visits.order_count, 0) as order_count,
        cast(coalesce(visits.returned_order_count, 0) as bigint)
            as returned_order_count,
        cast(amounts.purchased_quantity as bigint) as purchased_quantity,
        cast(amounts.returned_quantity as bigint) as returned_quantity,
        cast(amounts.gross_amount as decimal(18, 4)) as gross_amount,
        cast(amounts.returned_amount as decimal(18, 4)) as returned_amount,
        cast(amounts.net_amount as decimal(18, 4)) as net_amount,
        cast(amounts.unmatched_return_amount as decimal(18, 4))
            as unmatched_return_amount,
        cast(amounts.other_amount as decimal(18, 4)) as other_amount,
        cast(amounts.line_amount as decimal(18, 4)) as line_amount,

        -- times
        visits.first_order_at,
        visits.last_order_at,
        amounts.first_line_at,
        amounts.last_line_at

    from amounts

    left outer join countries
        on amounts.customer_id = countries.customer_id

    left outer join visits
        on amounts.customer_id = visits.customer_id

)

select * from final
