-- One row per month end, and as of today, with a fingerprint of all that decides in
-- which segment customers were then: what was known of them, and the centroids of the
-- current model.
{{ config(
    materialized='view' if target.type == 'duckdb' else 'table',
    tags=['history'],
) }}

with

snapshots as (

    select distinct
        snapshot_date,
        group_fingerprint

    from {{ ref('int_customers_snapshotted') }}

    where
        is_month_end
        or is_current

),

centroids as (

    select sum(cast({{ row_fingerprint([
        'model_id', 'cluster_id', 'transform', 'feature', 'feature_mean',
        'feature_deviation', 'centroid_z',
    ]) }} as decimal(38, 0))) as fingerprint_sum

    from {{ ref('dim_cluster_centroids') }}

    where is_current

),

final as (

    select
        -- keys
        snapshots.snapshot_date,
        cast(snapshots.snapshot_date as string) as change_group,

        -- attributes
        {{ row_fingerprint([
            'snapshots.group_fingerprint', 'centroids.fingerprint_sum'
        ]) }} as group_fingerprint

    from snapshots

    cross join centroids

)

select * from final
