-- One row per headline figure: the numbers that a page, a deck and a meeting begin
-- with, each taken from the mart that explains it. Answers: how is business, in fifteen
-- numbers? A figure that the data are too thin for is null.

-- figure, its label, its unit, its value, where that comes from, and what it means.
{%- set figures = [
    ("gross_amount", "Gross revenue", "amount",
        "sold.gross_amount", "sold",
        "What was bought, before anything was sent back."),
    ("returned_amount", "Sent back", "amount",
        "sold.returned_amount", "sold",
        "What was paid back for purchases that were sent back."),
    ("net_amount", "Net revenue", "amount",
        "sold.net_amount", "sold",
        "Gross revenue less what was sent back."),
    ("return_rate", "Return rate", "share",
        "cast(sold.returned_amount as double) / nullif(sold.gross_amount, 0)", "sold",
        "What was sent back as a share of gross revenue."),
    ("order_count", "Orders", "count",
        "sold.order_count", "sold",
        "Invoices that count as a purchase."),
    ("average_order_value", "Average order value", "amount",
        "cast(sold.counted_amount as double) / nullif(sold.order_count, 0)", "sold",
        "What counts of an order, on average."),
    ("guest_amount_share", "Revenue from guests", "share",
        "cast(sold.guest_amount as double) / nullif(sold.counted_amount, 0)", "sold",
        "The share of what counts that nobody known bought."),
    ("customer_count", "Customers", "count",
        "scored.customer_count", "scored",
        "Known customers of whose purchases something is kept."),
    ("repeat_customer_share", "Customers with a second order", "share",
        "repeated.customer_share", "repeated",
        "The share of customers with two orders or more."),
    ("best_tenth_amount_share", "Revenue from the best tenth", "share",
        "best.amount_share", "best",
        "The share of monetary value that the best tenth of customers brings."),
    ("retention_rate", "Back after one period", "share",
        "retained.retention_rate", "retained",
        "The share of customers who bought again in the period after their first purchase."),
    ("segment_count", "Segments", "count",
        "segmented.segment_count", "segmented",
        "Clusters of the current model."),
    ("expected_amount", "Expected revenue", "amount",
        "expected.expected_amount", "expected",
        "What known customers are expected to buy within the horizon of the forecast."),
    ("planned_uplift_share", "Planned uplift", "share",
        "planned.uplift_share", "planned",
        "What the action plan adds to the baseline of the next quarter."),
    ("used_line_share", "Lines used", "share",
        "used.line_share", "used",
        "The share of delivered lines that are in the figures."),
] %}

with

months as (

    select
        gross_amount,
        returned_amount,
        net_amount,
        counted_amount,
        guest_amount,
        order_count

    from {{ ref('rpt_sales_monthly') }}

),

rfm_segments as (

    select customer_count

    from {{ ref('rpt_rfm_segments') }}

    where group_kind = 'all'

),

frequencies as (

    select
        frequency,
        customer_share

    from {{ ref('rpt_purchase_frequency') }}

),

percentiles as (

    select best_amount_share

    from {{ ref('rpt_revenue_concentration') }}

    where percentile = 10

),

curve as (

    select retention_rate

    from {{ ref('rpt_cohort_curve') }}

    where periods_since = 1

),

segments as (

    select cluster_id

    from {{ ref('dim_segments') }}

),

forecasts as (

    select expected_amount

    from {{ ref('rpt_segment_forecast') }}

),

plans as (

    select
        planned_uplift_amount,
        shop_baseline_amount

    from {{ ref('rpt_action_plan') }}

),

controls as (

    select
        layer,
        total

    from {{ ref('rpt_control_totals') }}

    where measure = 'line_count'

),

sold as (

    select
        sum(gross_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(counted_amount) as counted_amount,
        sum(guest_amount) as guest_amount,
        sum(order_count) as order_count

    from months

),

scored as (

    select coalesce(sum(customer_count), 0) as customer_count

    from rfm_segments

),

repeated as (

    select
        case
            when count(*) > 0
                then sum(case when frequency >= 2 then customer_share else 0 end)
        end as customer_share

    from frequencies

),

best as (

    select max(best_amount_share) as amount_share

    from percentiles

),

retained as (

    select max(retention_rate) as retention_rate

    from curve

),

segmented as (

    select count(*) as segment_count

    from segments

),

expected as (

    select sum(expected_amount) as expected_amount

    from forecasts

),

planned as (

    select
        cast(max(planned_uplift_amount) as double)
        / nullif(max(shop_baseline_amount), 0) as uplift_share

    from plans

),

used as (

    select
        cast(sum(case when layer = 'used' then total else 0 end) as double)
        / nullif(sum(case when layer = 'delivered' then total else 0 end), 0)
            as line_share

    from controls

),

figures as (

    {%- for figure, label, unit, expression, source, meaning in figures %}
    select
        {{ loop.index }} as figure_number,
        '{{ figure }}' as figure,
        '{{ label }}' as figure_label,
        '{{ meaning }}' as meaning,
        '{{ unit }}' as figure_unit,
        cast({{ expression }} as double) as figure_value

    from {{ source }}
    {% if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

),

final as (

    select
        -- keys
        figure,

        -- attributes
        cast(figure_number as bigint) as figure_number,
        figure_label,
        meaning,
        figure_unit,

        -- measures
        figure_value

    from figures

)

select * from final
