-- The headline figures that are totals are those of the orders, the segments and the
-- forecasts. The textbook counts invoices of fees alone too, which are no orders.

with

orders as (

    select
        sum(gross_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(case when is_counted then 1 else 0 end) as order_count

    from {{ ref('fct_orders') }}

),

segments as (

    select count(*) as segment_count

    from {{ ref('dim_segments') }}

),

-- Where nobody is in a segment, no sum of the segments' forecasts is shown.
forecasts as (

    select sum(customer_forecast.expected_amount) as expected_amount

    from {{ ref('rpt_customer_forecast') }} as customer_forecast

    cross join segments

    where segments.segment_count > 0

),

totals as (

    {%- for figure, relation in {
        "gross_amount": "orders", "returned_amount": "orders", "net_amount": "orders",
        "order_count": "orders", "segment_count": "segments",
        "expected_amount": "forecasts",
    }.items() if figure != "order_count" or var("purchase_basis") == "net" %}

    select
        '{{ figure }}' as figure,
        cast(coalesce({{ figure }}, 0) as double) as total

    from {{ relation }}
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

figures as (

    select
        figure,
        figure_value

    from {{ ref('rpt_headline_figures') }}

)

select
    totals.figure,
    figures.figure_value,
    totals.total

from totals

left outer join figures
    on totals.figure = figures.figure

where
    figures.figure is null
    or abs(coalesce(figures.figure_value, 0) - totals.total)
    > 0.000001 * greatest(abs(totals.total), 1)
