-- Months, countries, weekdays x hours and products each add up to all that was bought,
-- sent back and kept, as the orders and the lines have it.

with

views as (

    {%- for view in [
        "rpt_sales_monthly", "rpt_sales_by_country", "rpt_sales_by_weekday_hour",
        "rpt_product_sales", "fct_orders",
    ] %}

    select
        '{{ view }}' as view_name,
        coalesce(sum(gross_amount), 0) as gross_amount,
        coalesce(sum(returned_amount), 0) as returned_amount,
        coalesce(sum(net_amount), 0) as net_amount

    from {{ ref(view) }}
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

lines as (

    select
        coalesce(sum(line_amount), 0) as gross_amount,
        coalesce(sum(returned_amount), 0) as returned_amount,
        coalesce(sum(net_amount), 0) as net_amount

    from {{ ref('int_invoice_parts_totalled') }}

    where line_type = 'purchase'

)

select
    views.view_name,
    views.gross_amount,
    lines.gross_amount as line_gross_amount,
    views.returned_amount,
    lines.returned_amount as line_returned_amount,
    views.net_amount,
    lines.net_amount as line_net_amount

from views

cross join lines

where
    views.gross_amount != lines.gross_amount
    or views.returned_amount != lines.returned_amount
    or views.net_amount != lines.net_amount
