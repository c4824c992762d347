-- One row per number of orders that any customer placed: how many customers did, and
-- what they brought. Answers: how many come back?

{%- set bands = [(21, "21 or more"), (11, "11 to 20"), (6, "6 to 10"), (3, "3 to 5")] %}

with

customers as (

    select
        frequency,
        monetary_value

    from {{ ref('fct_customer_rfm') }}

    where
        is_current
        and frequency > 0

),

counted as (

    select
        frequency,
        count(*) as customer_count,
        sum(monetary_value) as counted_amount

    from customers

    group by frequency

),

running as (

    select
        *,
        frequency * customer_count as order_count,
        cast(sum(customer_count) over () as double) as all_customer_count,
        cast(sum(counted_amount) over () as double) as all_counted_amount,
        -- From the top: customers with this many orders or more.
        cast(sum(customer_count) over (
            order by frequency desc
            rows between unbounded preceding and current row
        ) as double) as customer_count_from_here,
        cast(sum(counted_amount) over (
            order by frequency desc
            rows between unbounded preceding and current row
        ) as double) as counted_amount_from_here

    from counted

),

final as (

    select
        -- keys
        frequency,

        -- attributes
        case
            {%- for lowest, name in bands %}
            when frequency >= {{ lowest }} then '{{ name }}'
            {%- endfor %}
            else cast(frequency as string)
        end as frequency_band,

        -- measures
        customer_count,
        cast(order_count as bigint) as order_count,
        cast(counted_amount as decimal(18, 4)) as counted_amount,
        cast(counted_amount as double) / order_count as average_order_value,
        cast(customer_count as double) / all_customer_count as customer_share,
        cast(counted_amount as double) / nullif(all_counted_amount, 0) as amount_share,
        customer_count_from_here / all_customer_count as customer_share_from_here,
        counted_amount_from_here / nullif(all_counted_amount, 0)
            as amount_share_from_here

    from running

)

select * from final
