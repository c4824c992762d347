-- One row per cluster of the current model: its name, what it means, what to do, its
-- centroid, and what its customers are worth today. Answers: which kinds of customers
-- do we have?

with

clusters as (

    select
        cluster_id,
        model_id,
        segment_name,
        meaning,
        strategy,
        recommended_action,
        second_action,
        third_action,
        segment_rank,
        recency_z,
        value_z

    from {{ ref('dim_clusters') }}

    where is_current

),

centroids as (

    select
        cluster_id,
        max(case when feature = 'recency_days' then centroid_value end)
            as recency_days,
        max(case when feature = 'frequency' then centroid_value end) as frequency,
        max(case when feature = 'monetary_value' then centroid_value end)
            as monetary_value

    from {{ ref('dim_cluster_centroids') }}

    where is_current

    group by cluster_id

),

customer_segments as (

    select
        customer_id,
        cluster_id

    from {{ ref('fct_customer_segments') }}

    where
        is_current
        and cluster_id is not null

),

rfm as (

    select
        customer_id,
        monetary_value

    from {{ ref('fct_customer_rfm') }}

    where is_current

),

customers as (

    select
        customer_id,
        returned_amount

    from {{ ref('int_customers_totalled') }}

),

-- What a cluster is worth is counted on today's customers, who may have moved since
-- the model was fitted.
sized as (

    select
        customer_segments.cluster_id,
        count(*) as customer_count,
        sum(rfm.monetary_value) as monetary_value,
        sum(customers.returned_amount) as returned_amount

    from customer_segments

    inner join rfm
        on customer_segments.customer_id = rfm.customer_id

    inner join customers
        on customer_segments.customer_id = customers.customer_id

    group by customer_segments.cluster_id

),

population as (

    select
        nullif(cast(sum(customer_count) as double), 0) as customer_count,
        nullif(cast(sum(monetary_value) as double), 0) as monetary_value,
        nullif(cast(sum(returned_amount) as double), 0) as returned_amount

    from sized

),

final as (

    select
        -- keys
        clusters.cluster_id,
        clusters.model_id,

        -- attributes
        clusters.segment_name,
        clusters.meaning,
        clusters.strategy,
        clusters.recommended_action,
        clusters.second_action,
        clusters.third_action,

        -- measures
        clusters.segment_rank,
        coalesce(sized.customer_count, 0) as customer_count,
        coalesce(sized.customer_count / population.customer_count, 0)
            as customer_share,
        cast(coalesce(sized.monetary_value, 0) as decimal(18, 4)) as monetary_value,
        coalesce(
            cast(sized.monetary_value as double) / population.monetary_value, 0
        ) as monetary_share,
        cast(coalesce(sized.returned_amount, 0) as decimal(18, 4)) as returned_amount,
        coalesce(
            cast(sized.returned_amount as double) / population.returned_amount, 0
        ) as returned_share,
        centroids.recency_days as centroid_recency_days,
        centroids.frequency as centroid_frequency,
        centroids.monetary_value as centroid_monetary_value,
        clusters.recency_z,
        clusters.value_z

    from clusters

    inner join centroids
        on clusters.cluster_id = centroids.cluster_id

    cross join population

    left outer join sized
        on clusters.cluster_id = sized.cluster_id

)

select * from final
