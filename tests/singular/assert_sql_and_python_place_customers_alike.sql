-- Customers whom SQL and Python place in different clusters, or only one of them
-- places.
-- Both read the same centroids and nothing else.

with

by_sql as (

    select
        customer_id,
        cluster_id,
        model_id

    from {{ ref('fct_customer_segments') }}

    where is_current

),

by_python as (

    select
        customer_id,
        cluster_id,
        model_id

    from {{ ref('ml_customer_clusters') }}

)

select
    coalesce(by_sql.customer_id, by_python.customer_id) as customer_id,
    by_sql.cluster_id as cluster_by_sql,
    by_python.cluster_id as cluster_by_python

from by_sql

full outer join by_python
    on by_sql.customer_id = by_python.customer_id

where
    by_sql.customer_id is null
    or by_python.customer_id is null
    or by_sql.cluster_id <> by_python.cluster_id
    or by_sql.model_id <> by_python.model_id
