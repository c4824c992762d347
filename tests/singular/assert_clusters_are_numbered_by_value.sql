-- Clusters are numbered from 1 without a gap, the one with the largest monetary value
-- at its centroid first.

with

numbered as (

    select
        cluster_id,
        row_number() over (order by cluster_id) as expected_cluster_id,
        centroid_monetary_value,
        lag(centroid_monetary_value) over (order by cluster_id) as value_before

    from {{ ref('dim_segments') }}

)

select
    cluster_id,
    expected_cluster_id,
    centroid_monetary_value,
    value_before

from numbered

where
    cluster_id != expected_cluster_id
    or centroid_monetary_value > value_before
