-- One row per known customer: the segment mart. Which segment a customer is in, how
-- sure that is, and what to do next. A customer who cannot be clustered keeps a row
-- with the reason.

with

rfm as (

    select
        customer_id,
        snapshot_date,
        rfm_code,
        rfm_segment,
        unscored_reason,
        recency_days,
        frequency,
        monetary_value

    from {{ ref('fct_customer_rfm') }}

    where is_current

),

clusters as (

    select
        customer_id,
        cluster_id,
        runner_up_cluster_id,
        distance_to_centroid,
        runner_up_margin,
        model_id

    from {{ ref('fct_customer_segments') }}

    where is_current

),

segments as (

    select
        cluster_id,
        segment_name,
        recommended_action

    from {{ ref('dim_segments') }}

),

final as (

    select
        -- keys
        rfm.customer_id,
        clusters.cluster_id,
        clusters.runner_up_cluster_id,
        clusters.model_id,

        -- attributes
        segments.segment_name,
        rfm.rfm_segment,
        rfm.rfm_code,
        segments.recommended_action,
        case
            when rfm.unscored_reason is not null then rfm.unscored_reason
            when clusters.customer_id is null then 'too_few_customers'
        end as unclustered_reason,

        -- measures
        rfm.recency_days,
        rfm.frequency,
        rfm.monetary_value,
        clusters.distance_to_centroid,
        clusters.runner_up_margin,

        -- times
        rfm.snapshot_date

    from rfm

    left outer join clusters
        on rfm.customer_id = clusters.customer_id

    left outer join segments
        on clusters.cluster_id = segments.cluster_id

)

select * from final
