-- One row per calendar month from the first line to the last: what was sold, sent back
-- and kept, by how many customers, and where it is heading. Answers: how is business?

-- Lines lie in the years 1990 to 2100.
{%- set month_count = 12 * (2101 - 1990) %}
-- A straight line through fewer complete months says nothing.
{%- set trend_months = 6 %}

with

as_of as (

    select
        first_line_date,
        last_line_date

    from {{ ref('int_as_of_date') }}

),

invoices as (

    select
        customer_id,
        gross_amount,
        returned_amount,
        net_amount,
        counted_quantity,
        counted_amount,
        is_counted,
        is_first_order,
        is_guest,
        ordered_at

    from {{ ref('int_invoices_totalled') }}

),

allocations as (

    select
        purchase_line_id,
        allocated_amount,
        returned_at

    from {{ ref('fct_return_allocations') }}

),

series as (

    {{ dbt.generate_series(month_count) }}

),

months as (

    select
        cast(series.generated_number as bigint) as month_number,
        cast(
            {{ dbt.dateadd(
                'month',
                'cast(series.generated_number as int) - 1',
                dbt.date_trunc('month', 'as_of.first_line_date')
            ) }} as date
        ) as sales_month

    from series

    cross join as_of

),

-- A month is partial where the data begins after its first day or ends before its last.
calendar as (

    select
        months.month_number,
        months.sales_month,
        months.sales_month < as_of.first_line_date
        or cast(
            {{ dbt.dateadd('month', 1, 'months.sales_month') }} as date
        ) > cast({{ dbt.dateadd('day', 1, 'as_of.last_line_date') }} as date)
            as is_partial

    from months

    cross join as_of

    where months.sales_month <= as_of.last_line_date

),

sold as (

    select
        cast({{ dbt.date_trunc('month', 'ordered_at') }} as date) as sales_month,
        sum(gross_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(counted_amount) as counted_amount,
        sum(case when is_guest then counted_amount else 0 end) as guest_amount,
        sum(case when is_counted then counted_quantity else 0 end) as item_count,
        sum(case when is_counted then 1 else 0 end) as order_count,
        sum(case when is_counted and is_guest then 1 else 0 end) as guest_order_count,
        count(distinct case when is_counted then customer_id end) as customer_count,
        sum(case when is_first_order then 1 else 0 end) as new_customer_count

    from invoices

    group by cast({{ dbt.date_trunc('month', 'ordered_at') }} as date)

),

refunded as (

    select
        cast({{ dbt.date_trunc('month', 'returned_at') }} as date) as sales_month,
        sum(allocated_amount) as refunded_amount,
        sum(
            case when purchase_line_id is null then allocated_amount else 0 end
        ) as unmatched_refund_amount

    from allocations

    group by cast({{ dbt.date_trunc('month', 'returned_at') }} as date)

),

filled as (

    select
        calendar.month_number,
        calendar.sales_month,
        calendar.is_partial,
        month(calendar.sales_month) as month_of_year,
        coalesce(sold.gross_amount, 0) as gross_amount,
        coalesce(sold.returned_amount, 0) as returned_amount,
        coalesce(sold.net_amount, 0) as net_amount,
        coalesce(refunded.refunded_amount, 0) as refunded_amount,
        coalesce(refunded.unmatched_refund_amount, 0) as unmatched_refund_amount,
        coalesce(sold.counted_amount, 0) as counted_amount,
        coalesce(sold.guest_amount, 0) as guest_amount,
        coalesce(sold.item_count, 0) as item_count,
        coalesce(sold.order_count, 0) as order_count,
        coalesce(sold.guest_order_count, 0) as guest_order_count,
        coalesce(sold.customer_count, 0) as customer_count,
        coalesce(sold.new_customer_count, 0) as new_customer_count,
        -- What growth and trend are told from: complete months only.
        case
            when not calendar.is_partial
                then cast(coalesce(sold.counted_amount, 0) as decimal(18, 4))
        end as complete_amount

    from calendar

    left outer join sold
        on calendar.sales_month = sold.sales_month

    left outer join refunded
        on calendar.sales_month = refunded.sales_month

),

compared as (

    select
        *,
        cast(complete_amount as double) as amount,
        cast(lag(complete_amount, 1) over (order by month_number) as double)
            as last_month_amount,
        cast(lag(complete_amount, 12) over (order by month_number) as double)
            as last_year_amount,
        cast(sum(complete_amount) over () as double)
        / nullif(count(complete_amount) over (), 0) as mean_amount,
        count(complete_amount) over (
            order by month_number
            rows between 6 preceding and 6 following
        ) as months_around,
        cast(sum(complete_amount) over (
            order by month_number
            rows between 6 preceding and 6 following
        ) as double) as thirteen_months_amount,
        cast(sum(complete_amount) over (
            order by month_number
            rows between 5 preceding and 5 following
        ) as double) as eleven_months_amount

    from filled

),

-- The year around a month: half of the outer two of thirteen months, so that each month
-- of the year weighs the same.
centred as (

    select
        *,
        case
            when months_around = 13
                then (thirteen_months_amount + eleven_months_amount) / 24
        end as centred_mean

    from compared

),

-- Least squares through the complete months. The sums are exact.
sums as (

    select
        cast(count(*) as double) as n,
        cast(sum(month_number) as double) as sum_x,
        cast(sum(month_number * month_number) as double) as sum_xx,
        cast(sum(complete_amount) as double) as sum_y,
        cast(sum(month_number * complete_amount) as double) as sum_xy

    from filled

    where complete_amount is not null

),

slopes as (

    select
        n,
        sum_x,
        sum_y,
        (n * sum_xy - sum_x * sum_y) / nullif(n * sum_xx - sum_x * sum_x, 0) as slope

    from sums

    where n >= {{ trend_months }}

),

trend as (

    select
        slope,
        (sum_y - slope * sum_x) / n as intercept

    from slopes

),

ratios as (

    select
        month_of_year,
        round(avg(round(amount / nullif(centred_mean, 0), 9)), 9) as mean_ratio

    from centred

    where centred_mean is not null

    group by month_of_year

),

seasons as (

    select
        month_of_year,
        -- So that the twelve average 1.
        case
            when count(mean_ratio) over () = 12
                then round(12 * mean_ratio / nullif(sum(mean_ratio) over (), 0), 6)
        end as seasonal_index

    from ratios

),

final as (

    select
        -- keys
        centred.sales_month,

        -- measures
        cast(centred.gross_amount as decimal(18, 4)) as gross_amount,
        cast(centred.returned_amount as decimal(18, 4)) as returned_amount,
        cast(centred.net_amount as decimal(18, 4)) as net_amount,
        cast(centred.refunded_amount as decimal(18, 4)) as refunded_amount,
        cast(centred.unmatched_refund_amount as decimal(18, 4))
            as unmatched_refund_amount,
        cast(centred.counted_amount as decimal(18, 4)) as counted_amount,
        cast(centred.guest_amount as decimal(18, 4)) as guest_amount,
        cast(centred.order_count as bigint) as order_count,
        cast(centred.guest_order_count as bigint) as guest_order_count,
        cast(centred.customer_count as bigint) as customer_count,
        cast(centred.new_customer_count as bigint) as new_customer_count,
        cast(centred.customer_count - centred.new_customer_count as bigint)
            as returning_customer_count,
        cast(centred.counted_amount as double)
        / nullif(centred.order_count, 0) as average_order_value,
        cast(centred.item_count as double)
        / nullif(centred.order_count, 0) as items_per_order,
        case
            when centred.last_month_amount > 0
                then
                    (centred.amount - centred.last_month_amount)
                    / centred.last_month_amount
        end as growth_on_last_month,
        case
            when centred.last_year_amount > 0
                then
                    (centred.amount - centred.last_year_amount)
                    / centred.last_year_amount
        end as growth_on_last_year,
        centred.amount / nullif(centred.mean_amount, 0) as amount_index,
        {{ as_money('trend.intercept + trend.slope * centred.month_number') }}
            as trend_amount,
        {{ as_money('centred.centred_mean') }} as centred_mean_amount,
        seasons.seasonal_index,

        -- flags
        centred.is_partial

    from centred

    left outer join seasons
        on centred.month_of_year = seasons.month_of_year

    left outer join trend
        on true

)

select * from final
