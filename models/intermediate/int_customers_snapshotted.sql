-- One row per known customer x snapshot date: what was known of them at the start of
-- that day, returns included. Recency, frequency and monetary value, how they buy, the
-- scores and the RFM segment. A customer with no purchase left keeps a row with the
-- reason, and no score.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_snapshots_fingerprinted')) }}",
    tags=['history'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_snapshots_fingerprinted')) }}

),

snapshots as (

    select
        groups_to_do.group_fingerprint,
        fingerprinted.snapshot_date,
        fingerprinted.is_current,
        fingerprinted.is_month_end,
        fingerprinted.is_origin

    from {{ ref('int_snapshots_fingerprinted') }} as fingerprinted

    inner join groups_to_do
        on fingerprinted.change_group = groups_to_do.change_group

),

customers as (

    select
        customer_id,
        first_order_at,
        first_line_at

    from {{ ref('int_customers_totalled') }}

),

orders as (

    select
        customer_id,
        counted_quantity,
        counted_amount,
        known_from,
        known_until,
        ordered_at

    from {{ ref('int_orders_versioned') }}

),

days as (

    select
        customer_id,
        activity_date,
        new_product_count,
        gross_amount,
        returned_amount

    from {{ ref('int_customer_days_totalled') }}

),

rfm_segments as (

    select
        rfm_code,
        rfm_segment

    from {{ ref('rfm_segments') }}

),

known_customers as (

    select
        customers.customer_id,
        snapshots.snapshot_date,
        snapshots.group_fingerprint,
        snapshots.is_current,
        snapshots.is_month_end,
        snapshots.is_origin,
        coalesce(customers.first_order_at < snapshots.snapshot_date, false)
            as has_bought

    from customers

    inner join snapshots
        on customers.first_line_at < snapshots.snapshot_date

),

measured as (

    select
        orders.customer_id,
        snapshots.snapshot_date,
        min(orders.ordered_at) as first_purchase_at,
        max(orders.ordered_at) as last_purchase_at,
        count(*) as frequency,
        cast(sum(orders.counted_amount) as decimal(18, 4)) as monetary_value,
        sum(orders.counted_quantity) as item_count

    from orders

    inner join snapshots
        on
            orders.known_from < snapshots.snapshot_date
            and (
                orders.known_until is null
                or orders.known_until >= snapshots.snapshot_date
            )

    group by
        orders.customer_id,
        snapshots.snapshot_date

),

totalled as (

    select
        days.customer_id,
        snapshots.snapshot_date,
        sum(days.new_product_count) as product_count,
        cast(sum(days.gross_amount) as double) as gross_amount,
        cast(sum(days.returned_amount) as double) as returned_amount

    from days

    inner join snapshots
        on days.activity_date < snapshots.snapshot_date

    group by
        days.customer_id,
        snapshots.snapshot_date

),

aged as (

    select
        known_customers.*,
        measured.first_purchase_at,
        measured.last_purchase_at,
        measured.frequency,
        measured.monetary_value,
        measured.item_count,
        totalled.product_count,
        totalled.gross_amount,
        totalled.returned_amount,
        cast(
            {{ dbt.datediff(
                'measured.last_purchase_at', 'known_customers.snapshot_date', 'day'
            ) }} as bigint
        ) as recency_days,
        cast(
            {{ dbt.datediff(
                'measured.first_purchase_at', 'known_customers.snapshot_date', 'day'
            ) }} as bigint
        ) as tenure_days,
        case
            when measured.customer_id is null and known_customers.has_bought
                then 'everything_returned'
            when measured.customer_id is null then 'never_purchased'
            when measured.monetary_value <= 0 then 'no_amount_kept'
        end as unscored_reason

    from known_customers

    left outer join measured
        on
            known_customers.customer_id = measured.customer_id
            and known_customers.snapshot_date = measured.snapshot_date

    left outer join totalled
        on
            known_customers.customer_id = totalled.customer_id
            and known_customers.snapshot_date = totalled.snapshot_date

),

-- Ranks of values, so that equal values share a score: the number of customers strictly
-- below, which is what percent_rank counts.
ranked as (

    select
        *,
        count(*) over (partition by snapshot_date) as customer_count,
        rank() over (partition by snapshot_date order by recency_days desc) - 1
            as customers_less_recent,
        rank() over (partition by snapshot_date order by frequency) - 1
            as customers_less_frequent,
        rank() over (partition by snapshot_date order by monetary_value) - 1
            as customers_of_less_value

    from aged

    where unscored_reason is null

),

-- Five even steps of the percent rank: least(5, 1 + floor(5 * rank / (count - 1))).
scored as (

    select
        customer_id,
        snapshot_date,
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
        aged.group_fingerprint,
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
        cast(coalesce(aged.product_count, 0) as bigint) as product_count,
        aged.tenure_days,
        -- From the first purchase to the last there is one gap less than purchases.
        cast(
            case
                when aged.frequency = 1 then aged.recency_days
                else aged.tenure_days - aged.recency_days
            end as double
        ) / greatest(aged.frequency - 1, 1) as days_between_orders,
        cast(aged.monetary_value as double) / aged.frequency as average_order_value,
        cast(aged.item_count as double) / aged.frequency as items_per_order,
        case
            when aged.gross_amount > 0
                then least(aged.returned_amount / aged.gross_amount, 1)
            else cast(0 as double)
        end as return_rate,

        -- flags
        aged.is_current,
        aged.is_month_end,
        aged.is_origin,

        -- times
        aged.first_purchase_at,
        aged.last_purchase_at

    from aged

    left outer join coded
        on
            aged.customer_id = coded.customer_id
            and aged.snapshot_date = coded.snapshot_date

    left outer join rfm_segments
        on cast(coded.rfm_code as string) = rfm_segments.rfm_code

)

select * from final
