-- On one snapshot date no value of recency, frequency or monetary value has two scores,
-- and a better one has no lower score: fewer days, more orders, more money.

with

scored as (

    select
        snapshot_date,
        recency_days,
        frequency,
        monetary_value,
        r_score,
        f_score,
        m_score

    from {{ ref('fct_customer_rfm') }}

    where unscored_reason is null

),

graded as (

    select
        snapshot_date,
        'recency' as measure,
        cast(-recency_days as decimal(18, 4)) as graded_value,
        r_score as score
    from scored

    union all

    select
        snapshot_date,
        'frequency' as measure,
        cast(frequency as decimal(18, 4)) as graded_value,
        f_score as score
    from scored

    union all

    select
        snapshot_date,
        'monetary value' as measure,
        monetary_value as graded_value,
        m_score as score
    from scored

),

by_value as (

    select
        snapshot_date,
        measure,
        graded_value,
        min(score) as lowest_score,
        max(score) as highest_score

    from graded

    group by
        snapshot_date,
        measure,
        graded_value

),

paired as (

    select
        *,
        lag(highest_score, 1, 0) over (
            partition by snapshot_date, measure
            order by graded_value
        ) as score_below

    from by_value

)

select
    snapshot_date,
    measure,
    graded_value,
    lowest_score,
    highest_score,
    score_below

from paired

where
    lowest_score != highest_score
    or lowest_score < score_below
