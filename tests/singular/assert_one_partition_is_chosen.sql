-- Exactly one partition is chosen, of K-Means; or none, and then every K-Means
-- partition was not fitted or is refused, in words.

with

candidates as (

    select
        algorithm,
        k,
        reason,
        is_chosen

    from {{ ref('rpt_cluster_candidates') }}

),

counted as (

    select
        sum(case when is_chosen then 1 else 0 end) as chosen_count,
        sum(case when is_chosen and algorithm = 'kmeans' then 1 else 0 end)
            as chosen_of_kmeans_count,
        sum(
            case
                when algorithm != 'kmeans' then 0
                when reason like 'refused: %' or reason like 'not fitted: %' then 0
                else 1
            end
        ) as unrefused_count

    from candidates

)

select
    chosen_count,
    chosen_of_kmeans_count,
    unrefused_count

from counted

where
    chosen_count > 1
    or chosen_count != chosen_of_kmeans_count
    or (chosen_count = 0 and unrefused_count > 0)
