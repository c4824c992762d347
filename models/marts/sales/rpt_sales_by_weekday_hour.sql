-- One row per weekday x hour of the day, all 168 of them, so that a heat map has no
-- holes: an hour without an order is a 0 that was seen. Answers: when do people buy?

{%- set weekdays = [
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
] %}

with

invoices as (

    select
        customer_id,
        gross_amount,
        returned_amount,
        net_amount,
        counted_amount,
        is_counted,
        hour(ordered_at) as hour_of_day,
        -- Since a Monday; no date lies before it.
        {{ dbt.datediff("cast('1990-01-01' as date)", 'ordered_at', 'day') }}
            as day_number

    from {{ ref('int_invoices_totalled') }}

),

series as (

    {{ dbt.generate_series(168) }}

),

cells as (

    select
        cast(floor((generated_number - 1) / 24) as bigint) + 1 as weekday_number,
        cast((generated_number - 1) % 24 as bigint) as hour_of_day

    from series

),

sold as (

    select
        day_number % 7 + 1 as weekday_number,
        hour_of_day,
        sum(gross_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(counted_amount) as counted_amount,
        sum(case when is_counted then 1 else 0 end) as order_count,
        count(distinct case when is_counted then customer_id end) as customer_count

    from invoices

    group by
        day_number % 7 + 1,
        hour_of_day

),

final as (

    select
        -- keys
        cells.weekday_number,
        cells.hour_of_day,

        -- attributes
        case cells.weekday_number
            {%- for weekday in weekdays %}
            when {{ loop.index }} then '{{ weekday }}'
            {%- endfor %}
        end as weekday_name,

        -- measures
        cast(coalesce(sold.gross_amount, 0) as decimal(18, 4)) as gross_amount,
        cast(coalesce(sold.returned_amount, 0) as decimal(18, 4)) as returned_amount,
        cast(coalesce(sold.net_amount, 0) as decimal(18, 4)) as net_amount,
        cast(coalesce(sold.counted_amount, 0) as decimal(18, 4)) as counted_amount,
        cast(coalesce(sold.order_count, 0) as bigint) as order_count,
        coalesce(sold.customer_count, 0) as customer_count,
        cast(sold.counted_amount as double)
        / nullif(sold.order_count, 0) as average_order_value,
        cast(coalesce(sold.order_count, 0) as double)
        / nullif(cast(sum(sold.order_count) over () as double), 0) as order_share,
        cast(coalesce(sold.counted_amount, 0) as double)
        / nullif(cast(sum(sold.counted_amount) over () as double), 0) as amount_share

    from cells

    left outer join sold
        on
            cells.weekday_number = sold.weekday_number
            and cells.hour_of_day = sold.hour_of_day

)

select * from final
