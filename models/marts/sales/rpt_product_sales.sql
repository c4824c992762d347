-- One row per stock code: what it sold, to how many, how it ranks, and how it goes
-- through the year. Answers: what to stock, and when?

-- Seasons are told from so many complete months, the latest of the data.
{%- set month_count = 12 %}
-- Fewer orders than this in a year show no season.
{%- set fewest_orders = 12 %}
-- Sold first after so many of these months: the rest of its year is not known yet.
{%- set known_months = 3 %}
-- A quarter holds a fourth of the orders of a product without a season.
{%- set season_share = 0.5 %}

with

as_of as (

    select
        first_line_date,
        last_line_date

    from {{ ref('int_as_of_date') }}

),

products as (

    select
        stock_code,
        product_name,
        order_count,
        customer_count,
        purchased_quantity,
        returned_quantity,
        gross_amount,
        returned_amount,
        net_amount,
        return_rate,
        is_product,
        first_sold_at,
        last_sold_at

    from {{ ref('dim_products') }}

),

lines as (

    select
        stock_code,
        invoice_number,
        customer_id,
        counted_quantity,
        counted_amount,
        line_type,
        is_product_repeated,
        cast({{ dbt.date_trunc('month', 'invoiced_at') }} as date) as sales_month

    from {{ ref('int_lines_netted') }}

    where
        line_type = 'purchase'
        or is_counted

),

-- The month after the last complete one.
ends as (

    select
        first_line_date,
        cast(
            {{ dbt.date_trunc('month', dbt.dateadd('day', 1, 'last_line_date')) }}
            as date
        ) as end_month

    from as_of

),

spans as (

    select
        first_line_date,
        end_month,
        cast(
            {{ dbt.dateadd('month', -1 * month_count, 'end_month') }} as date
        ) as start_month

    from ends

),

-- None where the data begins within it.
windows as (

    select
        start_month,
        end_month

    from spans

    where start_month >= first_line_date

),

months as (

    select
        stock_code,
        sales_month,
        sum(counted_quantity) as counted_quantity,
        sum(counted_amount) as counted_amount,
        -- An order of a product is a line, but for the few invoices that have it on
        -- several.
        sum(
            case when line_type <> 'purchase' or is_product_repeated then 0 else 1 end
        )
        + count(
            distinct case
                when line_type = 'purchase' and is_product_repeated
                    then {{ row_fingerprint(['invoice_number', 'customer_id']) }}
            end
        ) as order_count

    from lines

    group by
        stock_code,
        sales_month

),

totals as (

    select
        stock_code,
        sum(counted_quantity) as counted_quantity,
        sum(counted_amount) as counted_amount,
        sum(case when order_count > 0 then 1 else 0 end) as months_sold

    from months

    group by stock_code

),

numbered as (

    select
        months.stock_code,
        months.order_count,
        {{ dbt.datediff('windows.start_month', 'months.sales_month', 'month') }}
            as month_number

    from months

    inner join windows
        on
            months.sales_month >= windows.start_month
            and months.sales_month < windows.end_month

),

years as (

    select
        stock_code,
        {%- for number in range(month_count) %}
        sum(case when month_number = {{ number }} then order_count else 0 end)
            as orders_{{ number }},
        {%- endfor %}
        sum(order_count) as year_order_count

    from numbered

    group by stock_code

),

-- Orders in the best three months in a row. The year is a ring: its last month and its
-- first are neighbours in the calendar. A single large order makes no season, so orders
-- are counted and not units.
quarters as (

    select
        *,
        greatest(
            {%- for number in range(month_count) %}
            orders_{{ number }}
            + orders_{{ (number + 1) % month_count }}
            + orders_{{ (number + 2) % month_count }}
            {{- "," if not loop.last }}
            {%- endfor %}
        ) as best_order_count

    from years

    where year_order_count > 0

),

seasons as (

    select
        quarters.stock_code,
        quarters.year_order_count,
        cast(quarters.best_order_count as double)
        / quarters.year_order_count as best_quarter_share,
        (
            case
                {%- for number in range(month_count) %}
                when
                    orders_{{ number }}
                    + orders_{{ (number + 1) % month_count }}
                    + orders_{{ (number + 2) % month_count }}
                    = quarters.best_order_count
                    then {{ number }}
                {%- endfor %}
            end
            + month(windows.start_month) - 1
        ) % 12 + 1 as best_quarter_month,
        cast(
            {{ dbt.dateadd('month', known_months, 'windows.start_month') }} as date
        ) as known_until

    from quarters

    cross join windows

),

ranked as (

    select
        totals.stock_code,
        rank() over (order by totals.counted_amount desc) as amount_rank,
        rank() over (order by totals.counted_quantity desc) as quantity_rank,
        cast(totals.counted_amount as double) as amount,
        cast(sum(totals.counted_amount) over () as double) as all_amount,
        cast(sum(totals.counted_amount) over (
            order by totals.counted_amount desc, totals.stock_code asc
            rows between unbounded preceding and current row
        ) as double) as amount_so_far

    from totals

    inner join products
        on totals.stock_code = products.stock_code

    where
        products.is_product
        and totals.counted_amount > 0

),

final as (

    select
        -- keys
        products.stock_code,

        -- attributes
        products.product_name,
        case
            when ranked.stock_code is null then null
            -- The product that crosses the line is still within.
            when ranked.amount_so_far - ranked.amount < 0.80 * ranked.all_amount
                then 'A'
            when ranked.amount_so_far - ranked.amount < 0.95 * ranked.all_amount
                then 'B'
            else 'C'
        end as abc_class,
        case
            when not products.is_product then null
            when seasons.year_order_count < {{ fewest_orders }} then 'sporadic'
            when products.first_sold_at >= seasons.known_until then 'new'
            when seasons.best_quarter_share >= {{ season_share }} then 'seasonal'
            when seasons.stock_code is not null then 'steady'
        end as season_class,

        -- measures
        products.gross_amount,
        products.returned_amount,
        products.net_amount,
        cast(coalesce(totals.counted_amount, 0) as decimal(18, 4)) as counted_amount,
        products.purchased_quantity,
        products.returned_quantity,
        cast(coalesce(totals.counted_quantity, 0) as bigint) as counted_quantity,
        products.order_count,
        products.customer_count,
        products.return_rate,
        ranked.amount / ranked.all_amount as amount_share,
        ranked.amount_so_far / ranked.all_amount as cumulative_amount_share,
        cast(ranked.amount_rank as bigint) as amount_rank,
        cast(ranked.quantity_rank as bigint) as quantity_rank,
        cast(coalesce(totals.months_sold, 0) as bigint) as months_sold,
        seasons.best_quarter_share,
        cast(seasons.best_quarter_month as bigint) as best_quarter_month,

        -- flags
        products.is_product,

        -- times
        products.first_sold_at,
        products.last_sold_at

    from products

    left outer join totals
        on products.stock_code = totals.stock_code

    left outer join ranked
        on products.stock_code = ranked.stock_code

    left outer join seasons
        on products.stock_code = seasons.stock_code

)

select * from final
