-- One row per customer with an RFM score x snapshot date: the segment they were in
-- then, by the current model. SQL alone places them, so a new day needs no fit.
-- Answers: how did a customer, or a segment, come to be what it is?

with

customers as (

    select
        customer_id,
        snapshot_date,
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

    from {{ ref('fct_customer_rfm') }}

    where unscored_reason is null

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

final as (

    select
        -- keys
        customer_id,
        snapshot_date,
        model_id,
        max(case when nearness = 1 then cluster_id end) as cluster_id,
        max(case when nearness = 2 then cluster_id end) as runner_up_cluster_id,

        -- measures
        sqrt(max(case when nearness = 1 then squared_distance end))
            as distance_to_centroid,
        sqrt(max(case when nearness = 2 then squared_distance end))
        - sqrt(max(case when nearness = 1 then squared_distance end))
            as runner_up_margin,

        -- flags
        is_current

    from ranked

    where nearness <= 2

    group by
        customer_id,
        snapshot_date,
        model_id,
        is_current

)

select * from final
