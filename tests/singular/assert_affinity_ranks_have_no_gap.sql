-- Of either ranking of a segment and kind, the ranks 1 to the last that is kept are all
-- there, and nothing that is kept has a rank beyond both.

with

affinities as (

    select
        cluster_id,
        kind,
        lift_rank,
        amount_rank

    from {{ ref('rpt_segment_affinities') }}

),

counted as (

    select
        cluster_id,
        kind,
        count(case when lift_rank <= 20 then lift_rank end) as lift_count,
        coalesce(max(case when lift_rank <= 20 then lift_rank end), 0)
            as last_lift_rank,
        count(case when amount_rank <= 20 then amount_rank end) as amount_count,
        coalesce(max(case when amount_rank <= 20 then amount_rank end), 0)
            as last_amount_rank,
        sum(
            case
                when amount_rank > 20 and (lift_rank > 20 or lift_rank is null) then 1
                else 0
            end
        ) as beyond_count

    from affinities

    group by
        cluster_id,
        kind

)

select
    cluster_id,
    kind,
    lift_count,
    last_lift_rank,
    amount_count,
    last_amount_rank,
    beyond_count

from counted

where
    lift_count != last_lift_rank
    or amount_count != last_amount_rank
    or amount_count = 0
    or beyond_count > 0
