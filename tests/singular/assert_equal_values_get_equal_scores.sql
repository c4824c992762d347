-- On one snapshot date no value of recency, frequency or monetary value has two scores.

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
        cast(recency_days as decimal(18, 4)) as graded_value,
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

)

select
    snapshot_date,
    measure,
    graded_value

from graded

group by
    snapshot_date,
    measure,
    graded_value

having min(score) != max(score)
