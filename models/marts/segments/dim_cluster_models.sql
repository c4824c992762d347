-- One row per cluster model that was ever fitted in this warehouse: on what, how well,
-- and whether it is in use. Answers: which model made these segments, and when?

with

models as (

    select *

    from {{ ref('ml_cluster_models') }}

),

final as (

    select distinct
        -- keys
        model_id,
        previous_model_id,

        -- attributes
        fingerprint,
        transform,
        features,
        settings,
        library_versions,

        -- measures
        cast(model_version as bigint) as model_version,
        cast(cluster_count as bigint) as cluster_count,
        cast(customer_count as bigint) as customer_count,
        cast(inertia as double) as inertia,
        cast(silhouette as double) as silhouette,
        cast(davies_bouldin as double) as davies_bouldin,
        cast(calinski_harabasz as double) as calinski_harabasz,
        cast(moved_share as double) as moved_share,

        -- flags
        is_accepted,
        is_current,

        -- times
        cast(as_of_date as date) as as_of_date

    from models

)

select * from final
