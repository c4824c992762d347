-- One row per snapshot date, with a fingerprint of all that was known by then. What
-- was known of a past month seldom changes: only a late line, a corrected file or an id
-- does that. Models that see customers at these dates compare it with that of their
-- rows, and leave the past as it is.
{{ config(tags=['history']) }}

with

snapshots as (

    select
        snapshot_date,
        is_current,
        is_month_end,
        is_origin

    from {{ ref('int_snapshot_dates') }}

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
        invoice_number,
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
        sum(cast(
            {{ row_fingerprint(['rfm_code', 'rfm_segment']) }} as decimal(38, 0)
        )) as fingerprint_sum

    from {{ ref('rfm_segments') }}

),

-- All that int_customers_snapshotted reads, each on the day from whose end it is known.
-- A version of an order is known to begin, and later to end, so that the past does not
-- change when it ends. What never came is known on no day.
facts as (

    select
        {{ row_fingerprint(["'first line'", 'customer_id']) }} as fact_fingerprint,
        cast(first_line_at as date) as known_on

    from customers

    union all

    select
        {{ row_fingerprint(["'first order'", 'customer_id']) }} as fact_fingerprint,
        cast(first_order_at as date) as known_on

    from customers

    union all

    select
        {{ row_fingerprint([
            "'order from'", 'customer_id', 'invoice_number', 'known_from',
            'counted_quantity', 'counted_amount', 'ordered_at',
        ]) }} as fact_fingerprint,
        cast(known_from as date) as known_on

    from orders

    union all

    select
        {{ row_fingerprint([
            "'order until'", 'customer_id', 'invoice_number', 'known_from',
        ]) }} as fact_fingerprint,
        cast(known_until as date) as known_on

    from orders

    union all

    select
        {{ row_fingerprint([
            "'day'", 'customer_id', 'activity_date', 'new_product_count',
            'gross_amount', 'returned_amount',
        ]) }} as fact_fingerprint,
        activity_date as known_on

    from days

),

-- Sums do not depend on the order in which rows are read.
daily as (

    select
        known_on,
        count(*) as fact_count,
        sum(cast(fact_fingerprint as decimal(38, 0))) as fingerprint_sum

    from facts

    group by known_on

),

known as (

    select
        snapshots.snapshot_date,
        snapshots.is_current,
        snapshots.is_month_end,
        snapshots.is_origin,
        coalesce(sum(daily.fact_count), 0) as fact_count,
        sum(daily.fingerprint_sum) as fingerprint_sum

    from snapshots

    left outer join daily
        on snapshots.snapshot_date > daily.known_on

    group by
        snapshots.snapshot_date,
        snapshots.is_current,
        snapshots.is_month_end,
        snapshots.is_origin

),

final as (

    select
        -- keys
        known.snapshot_date,
        cast(known.snapshot_date as string) as change_group,

        -- attributes
        {{ row_fingerprint([
            'known.snapshot_date', 'known.is_current', 'known.is_month_end',
            'known.is_origin', 'known.fact_count', 'known.fingerprint_sum',
            'rfm_segments.fingerprint_sum', "'" ~ rules_fingerprint('history') ~ "'",
        ]) }} as group_fingerprint,

        -- measures
        cast(known.fact_count as bigint) as fact_count,

        -- flags
        known.is_current,
        known.is_month_end,
        known.is_origin

    from known

    cross join rfm_segments

)

select * from final
