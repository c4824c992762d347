-- A customer has the cluster that they were placed in, with its name, a runner-up and a
-- distance, or a reason why not.

with

customers as (

    select
        customer_id,
        cluster_id,
        runner_up_cluster_id,
        model_id,
        segment_name,
        unclustered_reason,
        distance_to_centroid

    from {{ ref('dim_customer_segments') }}

),

placed as (

    select
        customer_id,
        cluster_id

    from {{ ref('fct_customer_segments') }}

    where is_current

),

segments as (

    select
        cluster_id,
        segment_name

    from {{ ref('dim_segments') }}

)

select
    customers.customer_id,
    customers.cluster_id,
    customers.segment_name,
    customers.unclustered_reason,
    placed.cluster_id as placed_cluster_id

from customers

left outer join placed
    on customers.customer_id = placed.customer_id

left outer join segments
    on customers.cluster_id = segments.cluster_id

where
    (customers.unclustered_reason is null) != (customers.cluster_id is not null)
    or (customers.cluster_id is null) != (placed.cluster_id is null)
    or customers.cluster_id != placed.cluster_id
    or (customers.cluster_id is null) != (customers.segment_name is null)
    or customers.segment_name != segments.segment_name
    or (customers.cluster_id is null) != (customers.runner_up_cluster_id is null)
    or (customers.cluster_id is null) != (customers.distance_to_centroid is null)
    or (customers.cluster_id is null) != (customers.model_id is null)
    or customers.cluster_id = customers.runner_up_cluster_id
