-- One row per known customer with an order that counts: how often they usually buy, how
-- long ago they last did, and whether that is overdue. Answers: whom do we miss?

-- As in rpt_inter_purchase_times.
{%- set rhythm_gaps = 3 %}

with

customers as (

    select
        customer_id,
        recency_days,
        first_purchase_at,
        last_purchase_at

    from {{ ref('fct_customer_rfm') }}

    where
        is_current
        and frequency > 0

),

gaps as (

    select
        customer_id,
        gap_count,
        usual_gap_days

    from {{ ref('int_purchase_gaps_measured') }}

),

horizons as (

    select
        gap_days,
        gap_ratio

    from {{ ref('rpt_inter_purchase_times') }}

    where is_overdue_horizon

),

rhythms as (

    select
        customer_id,
        max(gap_count) as gap_count,
        max(usual_gap_days) as usual_gap_days

    from gaps

    group by customer_id

),

judged as (

    select
        customers.*,
        rhythms.usual_gap_days,
        coalesce(rhythms.gap_count, 0) as gap_count,
        case
            when rhythms.gap_count >= {{ rhythm_gaps }} then 'own_rhythm'
            when horizons.gap_days is not null then 'all_customers'
        end as overdue_rule,
        case
            when rhythms.gap_count >= {{ rhythm_gaps }}
                then round(horizons.gap_ratio * rhythms.usual_gap_days, 1)
            else cast(horizons.gap_days as double)
        end as overdue_after_days

    from customers

    left outer join rhythms
        on customers.customer_id = rhythms.customer_id

    left outer join horizons
        on true

),

final as (

    select
        -- keys
        customer_id,

        -- attributes
        overdue_rule,

        -- measures
        gap_count,
        usual_gap_days,
        recency_days,
        overdue_after_days,

        -- flags
        recency_days > overdue_after_days as is_overdue,

        -- times
        first_purchase_at,
        last_purchase_at

    from judged

)

select * from final
