-- One row per known customer x snapshot date: recency, frequency and monetary value as
-- of that day, scores and the RFM segment. A customer with no purchase left keeps a row
-- with the reason, and no score.

with

customers as (

    select
        customer_id,
        order_count

    from {{ ref('int_customers_totalled') }}

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

orders as (

    select
        customer_id,
        counted_amount,
        ordered_at

    from {{ ref('int_orders_counted') }}

),

rfm_segments as (

    select
        rfm_code,
        rfm_segment

    from {{ ref('rfm_segments') }}

),

measured as (

    select
        orders.customer_id,
        min(orders.ordered_at) as first_purchase_at,
        max(orders.ordered_at) as last_purchase_at,
        count(*) as frequency,
        cast(sum(orders.counted_amount) as decimal(18, 4)) as monetary_value

    from orders

    group by orders.customer_id

),

aged as (

    select
        customers.customer_id,
        as_of.as_of_date as snapshot_date,
        measured.first_purchase_at,
        measured.last_purchase_at,
        measured.frequency,
        measured.monetary_value,
        cast(
            {{ dbt.datediff(
                'measured.last_purchase_at', 'as_of.as_of_date', 'day'
            ) }} as bigint
        ) as recency_days,
        case
            when measured.customer_id is null and customers.order_count > 0
                then 'everything_returned'
            when measured.customer_id is null then 'never_purchased'
            when measured.monetary_value <= 0 then 'no_amount_kept'
        end as unscored_reason

    from customers

    cross join as_of

    left outer join measured
        on customers.customer_id = measured.customer_id

),

-- Ranks of values, so that equal values share a score: the number of customers strictly
-- below, which is what percent_rank counts.
ranked as (

    select
        *,
        count(*) over () as customer_count,
        rank() over (order by recency_days desc) - 1 as customers_less_recent,
        rank() over (order by frequency) - 1 as customers_less_frequent,
        rank() over (order by monetary_value) - 1 as customers_of_less_value

    from aged

    where unscored_reason is null

),

-- Five even steps of the percent rank: least(5, 1 + floor(5 * rank / (count - 1))).
scored as (

    select
        customer_id,
        cast(least(5, 1 + floor(
            5 * cast(customers_less_recent as double)
            / greatest(customer_count - 1, 1)
        )) as bigint) as r_score,
        cast(least(5, 1 + floor(
            5 * cast(customers_less_frequent as double)
            / greatest(customer_count - 1, 1)
        )) as bigint) as f_score,
        cast(least(5, 1 + floor(
            5 * cast(customers_of_less_value as double)
            / greatest(customer_count - 1, 1)
        )) as bigint) as m_score

    from ranked

),

coded as (

    select
        *,
        100 * r_score + 10 * f_score + m_score as rfm_code

    from scored

),

final as (

    select
        -- keys
        aged.customer_id,
        aged.snapshot_date,

        -- attributes
        cast(coded.rfm_code as string) as rfm_code,
        rfm_segments.rfm_segment,
        aged.unscored_reason,

        -- measures
        aged.recency_days,
        coalesce(aged.frequency, 0) as frequency,
        cast(coalesce(aged.monetary_value, 0) as decimal(18, 4)) as monetary_value,
        coded.r_score,
        coded.f_score,
        coded.m_score,

        -- flags
        true as is_current,

        -- times
        aged.first_purchase_at,
        aged.last_purchase_at

    from aged

    left outer join coded
        on aged.customer_id = coded.customer_id

    left outer join rfm_segments
        on cast(coded.rfm_code as string) = rfm_segments.rfm_code

)

select * from final
