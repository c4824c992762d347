-- Percentiles of the gaps between purchases that are not the gap of their rank, when
-- all gaps are put in order one by one: the same numbers by two ways.

with

gaps as (

    select
        gap_days,
        row_number() over (order by gap_days, customer_id, purchase_date) as gap_rank

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
        ) as gap_rank

    from {{ ref('int_purchase_gaps_measured') }}

    where gap_count >= 3

),

counts as (

    select
        count(*) as day_count,
        sum(case when gap_count >= 3 then 1 else 0 end) as ratio_count

    from {{ ref('int_purchase_gaps_measured') }}

),

percentiles as (

    select
        percentiles.*,
        counts.day_count,
        floor((percentiles.percentile * counts.day_count + 99) / 100) as day_rank,
        floor((percentiles.percentile * counts.ratio_count + 99) / 100) as ratio_rank

    from {{ ref('rpt_inter_purchase_times') }} as percentiles

    cross join counts

)

select
    percentiles.percentile,
    percentiles.gap_days,
    gaps.gap_days as gap_days_of_rank,
    percentiles.gap_ratio,
    rhythms.gap_ratio as gap_ratio_of_rank

from percentiles

left outer join gaps
    on percentiles.day_rank = gaps.gap_rank

left outer join rhythms
    on percentiles.ratio_rank = rhythms.gap_rank

where
    percentiles.gap_days is distinct from gaps.gap_days
    or percentiles.gap_count is distinct from percentiles.day_count
    or percentiles.gap_ratio is distinct from rhythms.gap_ratio
    or percentiles.is_overdue_horizon <> (percentiles.percentile = 90)
