-- Percentiles of the gaps between purchases that are not the gap of their rank, when
-- all gaps are put in order one by one: the same numbers by two ways.

with

gaps as (

    select
        gap_days,
        row_number() over (order by gap_days, customer_id, purchase_date) as gap_rank,
        count(*) over () as gap_count

    from {{ ref('int_purchase_gaps_measured') }}

),

rhythms as (

    select
        round(gap_days / usual_gap_days, 4) as gap_ratio,
        row_number() over (
            order by
                round(gap_days / usual_gap_days, 4),
                customer_id,
                purchase_date
        ) as gap_rank,
        count(*) over () as gap_count

    from {{ ref('int_purchase_gaps_measured') }}

    where gap_count >= 3

),

percentiles as (

    select *

    from {{ ref('rpt_inter_purchase_times') }}

)

select
    percentiles.percentile,
    percentiles.gap_days,
    gaps.gap_days as gap_days_of_rank,
    percentiles.gap_ratio,
    rhythms.gap_ratio as gap_ratio_of_rank

from percentiles

left outer join gaps
    on gaps.gap_rank = floor((percentiles.percentile * gaps.gap_count + 99) / 100)

left outer join rhythms
    on
        rhythms.gap_rank
        = floor((percentiles.percentile * rhythms.gap_count + 99) / 100)

where
    percentiles.gap_days is distinct from gaps.gap_days
    or percentiles.gap_count is distinct from gaps.gap_count
    or percentiles.gap_ratio is distinct from rhythms.gap_ratio
    or percentiles.is_overdue_horizon <> (percentiles.percentile = 90)
