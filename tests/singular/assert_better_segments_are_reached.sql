-- Customers for whom the smallest change leads to a segment that is not better, or who
-- are told of a change although theirs is the best.

with

reasons as (

    select
        customer_id,
        cluster_id,
        better_cluster_id

    from {{ ref('rpt_segment_reasons') }}

    where better_cluster_id is not null

),

segments as (

    select
        cluster_id,
        segment_rank

    from {{ ref('dim_segments') }}

)

select reasons.customer_id

from reasons

inner join segments as own
    on reasons.cluster_id = own.cluster_id

inner join segments as better
    on reasons.better_cluster_id = better.cluster_id

where better.segment_rank >= own.segment_rank
