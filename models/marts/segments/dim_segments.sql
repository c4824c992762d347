-- One row per cluster of the current model: its name, what it means, what to do, and
-- its centroid. Answers: which kinds of customers do we have?

with

rfm as (

    select
        customer_id,
        recency_days,
        frequency,
        monetary_value

    from {{ ref('fct_customer_rfm') }}

    where
        is_current
        and unscored_reason is null

),

clusters as (

    select
        customer_id,
        cluster_id,
        model_id

    from {{ ref('ml_customer_clusters') }}

    where cluster_id is not null

),

levels as (

    select
        measure,
        level,
        lower_z,
        upper_z

    from {{ ref('segment_levels') }}

),

rules as (

    select
        recency_level,
        value_level,
        segment_name,
        meaning,
        strategy,
        recommended_action

    from {{ ref('segment_rules') }}

),

-- Names follow the logarithms whatever the clusters were made on, so that one large
-- customer does not move what "much" means.
logged as (

    select
        clusters.cluster_id,
        clusters.model_id,
        rfm.recency_days,
        rfm.frequency,
        rfm.monetary_value,
        ln(1 + cast(rfm.recency_days as double)) as log_recency,
        ln(1 + cast(rfm.frequency as double)) as log_frequency,
        ln(1 + cast(rfm.monetary_value as double)) as log_value

    from rfm

    inner join clusters
        on rfm.customer_id = clusters.customer_id

),

population as (

    select
        count(*) as customer_count,
        sum(monetary_value) as monetary_value,
        avg(log_recency) as recency_mean,
        avg(log_frequency) as frequency_mean,
        avg(log_value) as value_mean,
        nullif(stddev_pop(log_recency), 0) as recency_deviation,
        nullif(stddev_pop(log_frequency), 0) as frequency_deviation,
        nullif(stddev_pop(log_value), 0) as value_deviation

    from logged

),

centroids as (

    select
        cluster_id,
        model_id,
        count(*) as customer_count,
        sum(monetary_value) as monetary_value,
        avg(log_recency) as log_recency,
        avg(log_frequency) as log_frequency,
        avg(log_value) as log_value,
        {%- if var('cluster_transform') == 'log1p' %}
        round(exp(avg(log_recency)) - 1, 6) as recency_days,
        round(exp(avg(log_frequency)) - 1, 6) as frequency,
        round(exp(avg(log_value)) - 1, 6) as centroid_value
        {%- else %}
        round(avg(cast(recency_days as double)), 6) as recency_days,
        round(avg(cast(frequency as double)), 6) as frequency,
        round(avg(cast(monetary_value as double)), 6) as centroid_value
        {%- endif %}

    from logged

    group by
        cluster_id,
        model_id

),

-- Rounded, as the centroids are, since threads add a mean up in any order: the last bit
-- must not move a cluster over a level's edge, nor differ from build to build.
positioned as (

    select
        centroids.*,
        cast(centroids.customer_count as double) / population.customer_count
            as customer_share,
        cast(centroids.monetary_value as double)
        / cast(population.monetary_value as double) as monetary_share,
        coalesce(round(
            (centroids.log_recency - population.recency_mean)
            / population.recency_deviation,
            9
        ), 0) as recency_z,
        round((
            coalesce(
                (centroids.log_frequency - population.frequency_mean)
                / population.frequency_deviation,
                0
            )
            + coalesce(
                (centroids.log_value - population.value_mean)
                / population.value_deviation,
                0
            )
        ) / 2, 9) as value_z

    from centroids

    cross join population

),

named as (

    select
        positioned.*,
        rules.segment_name as base_name,
        rules.meaning,
        rules.strategy,
        rules.recommended_action,
        count(*) over (partition by rules.segment_name) as namesake_count,
        row_number() over (
            partition by rules.segment_name
            order by positioned.cluster_id
        ) as namesake_number

    from positioned

    inner join levels as recency_levels
        on
            recency_levels.measure = 'recency'
            and positioned.recency_z > recency_levels.lower_z
            and positioned.recency_z <= recency_levels.upper_z

    inner join levels as value_levels
        on
            value_levels.measure = 'value'
            and positioned.value_z > value_levels.lower_z
            and positioned.value_z <= value_levels.upper_z

    inner join rules
        on
            recency_levels.level = rules.recency_level
            and value_levels.level = rules.value_level

),

final as (

    select
        -- keys
        cast(cluster_id as bigint) as cluster_id,
        model_id,

        -- attributes
        case
            when namesake_count = 1 then base_name
            else concat(base_name, ' ', cast(namesake_number as string))
        end as segment_name,
        meaning,
        strategy,
        recommended_action,

        -- measures
        customer_count,
        customer_share,
        cast(monetary_value as decimal(18, 4)) as monetary_value,
        monetary_share,
        recency_days as centroid_recency_days,
        frequency as centroid_frequency,
        centroid_value as centroid_monetary_value,
        recency_z,
        value_z

    from named

)

select * from final
