-- One row per customer with an RFM score x month end, and as of today: the nearest
-- centroid of the current model and the next. SQL alone places them, so a new day needs
-- no fit; the past is left as it is, as long as it and the model are what they were.
{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    pre_hook="{{ forget_changed_groups(ref('int_placements_fingerprinted')) }}",
    tags=['history'],
) }}

with

groups_to_do as (

    {{ changed_groups(ref('int_placements_fingerprinted')) }}

),

customers as (

    select
        customer_id,
        snapshot_date,
        cast(snapshot_date as string) as change_group,
        is_current,
        recency_days,
        frequency,
        monetary_value,
        product_count,
        tenure_days,
        days_between_orders,
        average_order_value,
        items_per_order,
        return_rate

    from {{ ref('int_customers_snapshotted') }}

    where
        unscored_reason is null
        and (
            is_month_end
            or is_current
        )
        and {{ of_groups_to_do('cast(snapshot_date as string)') }}

),

models as (

    select
        model_id,
        cluster_id,
        transform,
        feature,
        feature_mean,
        feature_deviation,
        centroid_z

    from {{ ref('dim_cluster_centroids') }}

    where is_current

),

centroids as (
    {{ centroids_by_feature('models') }}
),

measured as (

    select
        customers.customer_id,
        customers.snapshot_date,
        customers.change_group,
        customers.is_current,
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
            partition by customer_id, snapshot_date
            order by squared_distance, cluster_id
        ) as nearness

    from measured

),

nearest as (

    select
        customer_id,
        snapshot_date,
        change_group,
        model_id,
        max(case when nearness = 1 then cluster_id end) as cluster_id,
        max(case when nearness = 2 then cluster_id end) as runner_up_cluster_id,
        sqrt(max(case when nearness = 1 then squared_distance end))
            as distance_to_centroid,
        sqrt(max(case when nearness = 2 then squared_distance end))
        - sqrt(max(case when nearness = 1 then squared_distance end))
            as runner_up_margin,
        is_current

    from ranked

    where nearness <= 2

    group by
        customer_id,
        snapshot_date,
        change_group,
        model_id,
        is_current

),

final as (

    select
        -- keys
        nearest.customer_id,
        nearest.snapshot_date,
        nearest.model_id,
        nearest.cluster_id,
        nearest.runner_up_cluster_id,

        -- attributes
        groups_to_do.group_fingerprint,

        -- measures
        nearest.distance_to_centroid,
        nearest.runner_up_margin,

        -- flags
        nearest.is_current

    from nearest

    inner join groups_to_do
        on nearest.change_group = groups_to_do.change_group

)

select * from final
