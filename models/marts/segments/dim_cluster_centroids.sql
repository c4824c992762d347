-- One row per cluster model x cluster x feature: all that SQL needs to place a
-- customer. The nearest centroid of a customer is the one with the smallest sum, over
-- the features, of ((t(x) - mean) / deviation - centroid) squared, where t is ln(1 + x)
-- for a model whose transform is log1p; the smaller cluster_id on a tie.

with

models as (

    select *

    from {{ ref('ml_cluster_models') }}

),

final as (

    select
        -- keys
        model_id,
        cast(cluster_id as bigint) as cluster_id,
        feature,

        -- attributes
        transform,

        -- measures
        cast(feature_mean as double) as feature_mean,
        cast(feature_deviation as double) as feature_deviation,
        cast(centroid_z as double) as centroid_z,
        cast(centroid_value as double) as centroid_value,

        -- flags
        is_current

    from models

)

select * from final
