-- One row per month x segment before x segment after x cause: who moved, and why. Every
-- customer known at the end of a month is in it once. Answers: where do customers come
-- from, and where do they go?
--
-- Both ends are seen by the current model. In the month in which that model replaced
-- another, the start is seen by the other one, and who moved for that alone is counted
-- as refit.

with

snapshots as (

    select
        customer_id,
        snapshot_date,
        unscored_reason,
        last_purchase_at,
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

),

placed as (

    select
        customer_id,
        snapshot_date,
        cluster_id

    from {{ ref('fct_customer_segments') }}

),

all_models as (

    select
        model_id,
        previous_model_id,
        as_of_date,
        is_current

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

current_model as (

    select
        model_id,
        previous_model_id,
        as_of_date

    from all_models

    where is_current

),

snapshot_dates as (

    select distinct snapshot_date

    from snapshots

),

periods as (

    select
        snapshot_date as to_date,
        lag(snapshot_date) over (order by snapshot_date) as from_date

    from snapshot_dates

),

-- The period in which the current model replaced another.
replacements as (

    select
        periods.from_date,
        periods.to_date,
        current_model.previous_model_id

    from periods

    inner join current_model
        on
            periods.from_date < current_model.as_of_date
            and periods.to_date >= current_model.as_of_date

    where current_model.previous_model_id is not null

),

-- Every customer known at the end of a period, with what was known at its start.
pairs as (

    select
        snapshots_after.customer_id,
        periods.from_date,
        periods.to_date,
        snapshots_after.monetary_value,
        snapshots_after.last_purchase_at >= periods.from_date as has_bought,
        snapshots_before.unscored_reason is null
        and (
            snapshots_after.monetary_value < snapshots_before.monetary_value
            or snapshots_after.frequency < snapshots_before.frequency
        ) as has_returned,
        cast(
            {{ dbt.datediff(
                'periods.from_date', 'periods.to_date', 'day'
            ) }} as bigint
        ) as period_days,
        placed_before.cluster_id as behaved_from_id,
        placed_after.cluster_id as to_cluster_id

    from periods

    inner join snapshots as snapshots_after
        on periods.to_date = snapshots_after.snapshot_date

    left outer join snapshots as snapshots_before
        on
            periods.from_date = snapshots_before.snapshot_date
            and snapshots_after.customer_id = snapshots_before.customer_id

    left outer join placed as placed_after
        on
            periods.to_date = placed_after.snapshot_date
            and snapshots_after.customer_id = placed_after.customer_id

    left outer join placed as placed_before
        on
            periods.from_date = placed_before.snapshot_date
            and snapshots_after.customer_id = placed_before.customer_id

    where periods.from_date is not null

),

-- Customers as they would stand, had they only grown older, where that is in question.
aged as (

    select
        pairs.customer_id,
        pairs.to_date as snapshot_date,
        snapshots.recency_days + pairs.period_days as recency_days,
        snapshots.frequency,
        snapshots.monetary_value,
        snapshots.product_count,
        snapshots.tenure_days + pairs.period_days as tenure_days,
        case
            when snapshots.frequency > 1 then snapshots.days_between_orders
            else snapshots.days_between_orders + pairs.period_days
        end as days_between_orders,
        snapshots.average_order_value,
        snapshots.items_per_order,
        snapshots.return_rate,
        current_model.model_id

    from pairs

    inner join snapshots
        on
            pairs.customer_id = snapshots.customer_id
            and pairs.from_date = snapshots.snapshot_date

    cross join current_model

    where
        pairs.behaved_from_id <> pairs.to_cluster_id
        and pairs.has_returned
        and not pairs.has_bought

),

-- Customers as the model before saw them, at the start of the month it was replaced in.
replaced as (

    select
        snapshots.customer_id,
        replacements.to_date as snapshot_date,
        snapshots.recency_days,
        snapshots.frequency,
        snapshots.monetary_value,
        snapshots.product_count,
        snapshots.tenure_days,
        snapshots.days_between_orders,
        snapshots.average_order_value,
        snapshots.items_per_order,
        snapshots.return_rate,
        replacements.previous_model_id as model_id

    from snapshots

    inner join replacements
        on snapshots.snapshot_date = replacements.from_date

    where snapshots.unscored_reason is null

),

customers as (

    select *

    from aged

    union all

    select *

    from replaced

),

centroids as (
    {{ centroids_by_feature('all_centroids') }}
),

measured as (

    select
        customers.customer_id,
        customers.snapshot_date,
        centroids.model_id,
        centroids.cluster_id,
        {{- squared_distance('customers', 'centroids') }} as squared_distance

    from customers

    inner join centroids
        on customers.model_id = centroids.model_id

),

ranked as (

    select
        *,
        row_number() over (
            partition by customer_id, snapshot_date, model_id
            order by squared_distance, cluster_id
        ) as nearness

    from measured

),

rescored as (

    select
        customer_id,
        snapshot_date,
        model_id,
        cluster_id

    from ranked

    where nearness = 1

),

judged as (

    select
        pairs.customer_id,
        pairs.from_date,
        pairs.to_date,
        pairs.monetary_value,
        pairs.behaved_from_id,
        pairs.to_cluster_id,
        pairs.has_bought,
        pairs.has_returned,
        by_age.cluster_id as aged_cluster_id,
        coalesce(replacements.previous_model_id, current_model.model_id)
            as from_model_id,
        current_model.model_id as to_model_id,
        case
            when replacements.previous_model_id is null then pairs.behaved_from_id
            else by_last_model.cluster_id
        end as from_cluster_id

    from pairs

    left outer join current_model
        on pairs.to_date is not null

    left outer join replacements
        on pairs.to_date = replacements.to_date

    left outer join rescored as by_age
        on
            pairs.customer_id = by_age.customer_id
            and pairs.to_date = by_age.snapshot_date
            and current_model.model_id = by_age.model_id

    left outer join rescored as by_last_model
        on
            pairs.customer_id = by_last_model.customer_id
            and pairs.to_date = by_last_model.snapshot_date
            and replacements.previous_model_id = by_last_model.model_id

),

explained as (

    select
        *,
        case
            when from_cluster_id is null and to_cluster_id is null then null
            when from_cluster_id is null then 'new'
            when to_cluster_id is null then 'returned'
            when from_cluster_id = to_cluster_id then null
            when behaved_from_id = to_cluster_id then 'refit'
            when has_bought then 'bought'
            when has_returned and aged_cluster_id <> to_cluster_id then 'returned'
            else 'aged'
        end as cause

    from judged

),

final as (

    select
        -- keys
        explained.from_date,
        explained.to_date,
        explained.from_cluster_id,
        explained.to_cluster_id,

        -- attributes
        clusters_before.segment_name as from_segment_name,
        clusters_after.segment_name as to_segment_name,
        explained.cause,

        -- measures
        count(*) as customer_count,
        cast(sum(explained.monetary_value) as decimal(18, 4)) as monetary_value,

        -- flags
        explained.cause is not null as is_move

    from explained

    left outer join clusters as clusters_before
        on
            explained.from_model_id = clusters_before.model_id
            and explained.from_cluster_id = clusters_before.cluster_id

    left outer join clusters as clusters_after
        on
            explained.to_model_id = clusters_after.model_id
            and explained.to_cluster_id = clusters_after.cluster_id

    group by
        explained.from_date,
        explained.to_date,
        explained.from_cluster_id,
        explained.to_cluster_id,
        clusters_before.segment_name,
        clusters_after.segment_name,
        explained.cause

)

select * from final
