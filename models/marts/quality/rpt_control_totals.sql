-- One row per layer x measure: the row and amount totals that must agree all the way
-- from the delivered lines to the segments. Answers: is anything lost on the way?

-- measure, layer, its total, and the layer that it must agree with.
{%- set controls = [
    ("line_count", "delivered", "delivered.line_count", none),
    ("line_count", "classified", "classified.line_count", "delivered"),
    ("line_count", "used", "used.line_count", none),
    ("line_count", "set_aside", "set_aside.line_count", none),
    ("line_count", "used_and_set_aside", "used_and_set_aside.line_count", "delivered"),
    ("line_amount", "delivered", "delivered.line_amount", none),
    ("line_amount", "classified", "classified.line_amount", "delivered"),
    ("line_amount", "used", "used.line_amount", none),
    ("line_amount", "set_aside", "set_aside.line_amount", none),
    ("line_amount", "used_and_set_aside", "used_and_set_aside.line_amount", "delivered"),
    ("line_amount", "used_net_of_returns", "used.net_amount", "used"),
    ("return_amount", "used", "used.return_amount", none),
    ("return_amount", "allocations", "allocations.return_amount", "used"),
    ("returned_quantity", "used", "used.returned_quantity", none),
    ("returned_quantity", "allocations", "allocations.returned_quantity", "used"),
    ("returned_quantity", "orders", "orders.returned_quantity", "used"),
    ("returned_quantity", "products", "products.returned_quantity", "used"),
    ("returned_quantity", "customers", "customers.returned_quantity", "used"),
    ("returned_amount", "used", "used.returned_amount", none),
    ("returned_amount", "allocations", "allocations.returned_amount", "used"),
    ("returned_amount", "orders", "orders.returned_amount", "used"),
    ("returned_amount", "products", "products.returned_amount", "used"),
    ("returned_amount", "customers", "customers.returned_amount", "used"),
    ("gross_amount", "used", "used.gross_amount", none),
    ("gross_amount", "orders", "orders.gross_amount", "used"),
    ("gross_amount", "products", "products.gross_amount", "used"),
    ("known_gross_amount", "used", "used.known_gross_amount", none),
    ("known_gross_amount", "orders", "orders.known_gross_amount", "used"),
    ("known_gross_amount", "customers", "customers.gross_amount", "used"),
    ("known_line_amount", "used", "used.known_line_amount", none),
    ("known_line_amount", "customers", "customers.line_amount", "used"),
    ("order_count", "orders", "orders.known_order_count", none),
    ("order_count", "customers", "customers.order_count", "orders"),
    ("customer_count", "customers", "customers.customer_count", none),
    ("customer_count", "rfm", "rfm.customer_count", "customers"),
    ("customer_count", "customer_segments",
        "customer_segments.customer_count", "customers"),
    ("counted_order_count", "orders_counted", "orders_counted.order_count", none),
    ("counted_order_count", "rfm", "rfm.frequency", "orders_counted"),
    ("counted_order_count", "customer_segments",
        "customer_segments.frequency", "orders_counted"),
    ("counted_amount", "orders_counted", "orders_counted.counted_amount", none),
    ("counted_amount", "rfm", "rfm.monetary_value", "orders_counted"),
    ("counted_amount", "customer_segments",
        "customer_segments.monetary_value", "orders_counted"),
    ("clustered_customer_count", "customer_segments",
        "customer_segments.clustered_customer_count", none),
    ("clustered_customer_count", "segments",
        "segments.customer_count", "customer_segments"),
    ("clustered_amount", "customer_segments",
        "customer_segments.clustered_amount", none),
    ("clustered_amount", "segments", "segments.monetary_value", "customer_segments"),
] %}

with

-- Lines whose amount cannot be read or multiplied out count as nothing on every side;
-- their rows still count.
delivered as (

    select
        count(*) as line_count,
        sum(
            case
                when
                    abs(cast(quantity as decimal(19, 0)) * unit_price) < 10000000000
                    then cast(quantity as decimal(19, 0)) * unit_price
            end
        ) as line_amount

    from {{ ref('stg_online_retail__lines') }}

),

classified as (

    select
        count(*) as line_count,
        sum(line_amount) as line_amount

    from {{ ref('int_lines_classified') }}

),

used as (

    select
        count(*) as line_count,
        sum(line_amount) as line_amount,
        sum(net_amount) as net_amount,
        sum(case when line_type = 'return' then -line_amount end) as return_amount,
        sum(returned_quantity) as returned_quantity,
        sum(returned_amount) as returned_amount,
        sum(case when line_type = 'purchase' then line_amount end) as gross_amount,
        sum(
            case when line_type = 'purchase' and not is_guest then line_amount end
        ) as known_gross_amount,
        sum(case when not is_guest then line_amount end) as known_line_amount

    from {{ ref('fct_invoice_lines') }}

),

set_aside as (

    select
        count(*) as line_count,
        sum(line_amount) as line_amount

    from {{ ref('fct_rejected_lines') }}

),

used_and_set_aside as (

    select
        used.line_count + set_aside.line_count as line_count,
        coalesce(used.line_amount, 0) + coalesce(set_aside.line_amount, 0)
            as line_amount

    from used

    cross join set_aside

),

allocations as (

    select
        sum(allocated_amount) as return_amount,
        sum(
            case when purchase_line_id is not null then allocated_quantity end
        ) as returned_quantity,
        sum(
            case when purchase_line_id is not null then allocated_amount end
        ) as returned_amount

    from {{ ref('fct_return_allocations') }}

),

orders as (

    select
        sum(case when not is_guest then 1 else 0 end) as known_order_count,
        sum(returned_item_count) as returned_quantity,
        sum(returned_amount) as returned_amount,
        sum(gross_amount) as gross_amount,
        sum(case when not is_guest then gross_amount end) as known_gross_amount

    from {{ ref('fct_orders') }}

),

products as (

    select
        sum(returned_quantity) as returned_quantity,
        sum(returned_amount) as returned_amount,
        sum(gross_amount) as gross_amount

    from {{ ref('dim_products') }}

),

customers as (

    select
        count(*) as customer_count,
        sum(order_count) as order_count,
        sum(returned_quantity) as returned_quantity,
        sum(returned_amount) as returned_amount,
        sum(gross_amount) as gross_amount,
        sum(net_amount - unmatched_return_amount + other_amount) as line_amount

    from {{ ref('dim_customers') }}

),

orders_counted as (

    select
        count(*) as order_count,
        sum(counted_amount) as counted_amount

    from {{ ref('int_orders_counted') }}

),

rfm as (

    select
        count(*) as customer_count,
        sum(frequency) as frequency,
        sum(monetary_value) as monetary_value

    from {{ ref('fct_customer_rfm') }}

    where is_current

),

customer_segments as (

    select
        count(*) as customer_count,
        sum(frequency) as frequency,
        sum(monetary_value) as monetary_value,
        count(cluster_id) as clustered_customer_count,
        sum(case when cluster_id is not null then monetary_value end)
            as clustered_amount

    from {{ ref('dim_customer_segments') }}

),

segments as (

    select
        sum(customer_count) as customer_count,
        sum(monetary_value) as monetary_value

    from {{ ref('dim_segments') }}

),

totals as (

    {%- for measure, layer, total, agrees_with in controls %}

    select
        '{{ measure }}' as measure,
        '{{ layer }}' as layer,
        cast(coalesce({{ total }}, 0) as decimal(38, 4)) as total,
        {{ "'" ~ agrees_with ~ "'" if agrees_with else "cast(null as string)" }}
            as agrees_with

    from {{ total.split(".") | first }}
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

final as (

    select
        -- keys
        totals.layer,
        totals.measure,

        -- attributes
        totals.agrees_with,

        -- measures
        totals.total,
        cast(totals.total - agreeing.total as decimal(38, 4)) as difference

    from totals

    left outer join totals as agreeing
        on
            totals.measure = agreeing.measure
            and totals.agrees_with = agreeing.layer

)

select * from final
