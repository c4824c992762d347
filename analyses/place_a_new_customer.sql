-- One row per segment, the nearest first: where would a customer belong, whose figures
-- are written below? Put your own in; no Python is needed.

with

newcomer as (

    select
        'recency_days' as feature,
        12 as measured

    union all

    select
        'frequency' as feature,
        2 as measured

    union all

    select
        'monetary_value' as feature,
        350 as measured

),

centroids as (

    select
        cluster_id,
        feature,
        transform,
        feature_mean,
        feature_deviation,
        centroid_z

    from {{ ref('dim_cluster_centroids') }}

    where is_current

),

segments as (

    select
        cluster_id,
        segment_name,
        recommended_action

    from {{ ref('dim_segments') }}

),

distances as (

    select
        centroids.cluster_id,
        round(sum(power(
            (
                case
                    when centroids.transform = 'log1p' then ln(1 + newcomer.measured)
                    else newcomer.measured
                end - centroids.feature_mean
            ) / centroids.feature_deviation - centroids.centroid_z,
            2
        )), 9) as squared_distance

    from centroids

    inner join newcomer
        on centroids.feature = newcomer.feature

    group by centroids.cluster_id

)

select
    segments.segment_name,
    segments.recommended_action,
    sqrt(distances.squared_distance) as distance_to_centroid

from distances

inner join segments
    on distances.cluster_id = segments.cluster_id

order by
    distances.squared_distance asc,
    distances.cluster_id asc
