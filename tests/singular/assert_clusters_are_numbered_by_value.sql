-- Clusters of a first model that are not numbered from 1 without a gap, the one whose
-- customers spend most first. Later models keep the numbers of the one before.

with

first_models as (

    select model_id

    from {{ ref('dim_cluster_models') }}

    where previous_model_id is null

),

positions as (

    select distinct
        model_id,
        cluster_id,
        monetary_z

    from {{ ref('ml_cluster_models') }}

),

numbered as (

    select
        positions.model_id,
        positions.cluster_id,
        row_number() over (
            partition by positions.model_id
            order by positions.monetary_z desc, positions.cluster_id asc
        ) as expected_cluster_id

    from positions

    inner join first_models
        on positions.model_id = first_models.model_id

)

select
    model_id,
    cluster_id,
    expected_cluster_id

from numbered

where cluster_id != expected_cluster_id
