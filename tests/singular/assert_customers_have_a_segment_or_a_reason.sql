-- A customer has a cluster with a name, a runner-up and a distance, or a reason why
-- not.

select
    customer_id,
    cluster_id,
    unclustered_reason

from {{ ref('dim_customer_segments') }}

where
    (unclustered_reason is null) != (cluster_id is not null)
    or (cluster_id is null) != (segment_name is null)
    or (cluster_id is null) != (runner_up_cluster_id is null)
    or (cluster_id is null) != (distance_to_centroid is null)
    or (cluster_id is null) != (model_id is null)
    or cluster_id = runner_up_cluster_id
