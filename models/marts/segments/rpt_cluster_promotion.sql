-- One row per cluster under the last model x cluster under the newest fit: how many of
-- today's customers, worth how much, the newest fit places there. Answers: what would
-- change, or has changed, with the new model?

with

customers as (

    select
        customer_id,
        monetary_value,
        recency_days,
        frequency,
        product_count,
        tenure_days,
        days_between_orders,
        average_order_value,
        items_per_order,
        return_rate

    from {{ ref('fct_customer_rfm') }}

    where
        is_current
        and unscored_reason is null

),

all_models as (

    select
        model_id,
        previous_model_id,
        is_accepted,
        row_number() over (order by model_version desc) as version_rank

    from {{ ref('dim_cluster_models') }}

),

all_centroids as (

    select
        model_id,
        cluster_id,
        transform,
        feature,
        feature_mean,
        feature_deviation,
        centroid_z

    from {{ ref('dim_cluster_centroids') }}

),

clusters as (

    select
        model_id,
        cluster_id,
        segment_name

    from {{ ref('dim_clusters') }}

),

newest as (

    select
        model_id,
        previous_model_id,
        is_accepted

    from all_models

    where version_rank = 1

),

models as (

    select all_centroids.*

    from all_centroids

    inner join newest
        on
            all_centroids.model_id = newest.model_id
            or all_centroids.model_id = newest.previous_model_id

),

centroids as (
    {{ centroids_by_feature('models') }}
),

measured as (

    select
        customers.customer_id,
        customers.monetary_value,
        centroids.model_id,
        centroids.cluster_id,
        {{- squared_distance('customers', 'centroids') }} as squared_distance

    from customers

    cross join centroids

),

ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, model_id
            order by squared_distance, cluster_id
        ) as nearness

    from measured

),

placed as (

    select
        customer_id,
        monetary_value,
        model_id,
        cluster_id

    from ranked

    where nearness = 1

),

crossed as (

    select
        newest.model_id as to_model_id,
        newest.previous_model_id as from_model_id,
        newest.is_accepted,
        placed_before.cluster_id as from_cluster_id,
        placed_after.cluster_id as to_cluster_id,
        count(*) as customer_count,
        sum(placed_after.monetary_value) as monetary_value

    from newest

    inner join placed as placed_after
        on newest.model_id = placed_after.model_id

    inner join placed as placed_before
        on
            newest.previous_model_id = placed_before.model_id
            and placed_after.customer_id = placed_before.customer_id

    group by
        newest.model_id,
        newest.previous_model_id,
        newest.is_accepted,
        placed_before.cluster_id,
        placed_after.cluster_id

),

final as (

    select
        -- keys
        crossed.from_model_id,
        crossed.to_model_id,
        crossed.from_cluster_id,
        crossed.to_cluster_id,

        -- attributes
        clusters_before.segment_name as from_segment_name,
        clusters_after.segment_name as to_segment_name,

        -- measures
        crossed.customer_count,
        cast(crossed.customer_count as double)
        / sum(crossed.customer_count) over () as customer_share,
        cast(crossed.monetary_value as decimal(18, 4)) as monetary_value,

        -- flags
        crossed.from_cluster_id <> crossed.to_cluster_id as is_move,
        crossed.is_accepted

    from crossed

    inner join clusters as clusters_before
        on
            crossed.from_model_id = clusters_before.model_id
            and crossed.from_cluster_id = clusters_before.cluster_id

    inner join clusters as clusters_after
        on
            crossed.to_model_id = clusters_after.model_id
            and crossed.to_cluster_id = clusters_after.cluster_id

)

select * from final
