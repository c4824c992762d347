-- One row per segment x metric: the mean and the quartiles of its customers, and how
-- far that is from everybody's. Answers: what sets the segments apart? The relative
-- importance makes a heat map, the standardised mean a snake plot.

{% set metrics = [
    "recency_days", "frequency", "monetary_value", "average_order_value",
    "items_per_order", "product_count", "days_between_orders", "tenure_days",
    "return_rate",
] -%}

with

segments as (

    select
        cluster_id,
        segment_name

    from {{ ref('dim_segments') }}

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

customers as (

    select
        customer_id,
        recency_days,
        frequency,
        monetary_value,
        average_order_value,
        items_per_order,
        product_count,
        days_between_orders,
        tenure_days,
        return_rate

    from {{ ref('int_customers_snapshotted') }}

    where is_current

),

metrics as (
    {%- for metric in metrics %}

    select
        '{{ metric }}' as metric,
        customers.customer_id,
        cast(customers.{{ metric }} as double) as metric_value

    from customers
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

-- On the logarithms, as the clusters are, so that one large customer does not make the
-- curve of a segment.
measured as (

    select
        customer_segments.cluster_id,
        metrics.metric,
        metrics.metric_value,
        ln(1 + metrics.metric_value) as log_value

    from customer_segments

    inner join metrics
        on customer_segments.customer_id = metrics.customer_id

),

population as (

    select
        metric,
        count(*) as customer_count,
        avg(metric_value) as mean,
        avg(log_value) as log_mean,
        -- A constant has no deviation, whatever the last bits of its sum say.
        case when min(metric_value) < max(metric_value) then stddev_pop(log_value) end
            as log_deviation

    from measured

    group by metric

),

profiled as (

    select
        cluster_id,
        metric,
        count(*) as customer_count,
        avg(metric_value) as mean,
        avg(log_value) as log_mean,
        percentile_cont(0.25) within group (order by metric_value) as first_quartile,
        percentile_cont(0.5) within group (order by metric_value) as median_value,
        percentile_cont(0.75) within group (order by metric_value) as third_quartile

    from measured

    group by
        cluster_id,
        metric

),

-- Means are rounded, since threads add them up in any order, and quartiles, whose
-- last bits an interpolation makes up.
final as (

    select
        -- keys
        segments.cluster_id,
        population.metric,

        -- attributes
        segments.segment_name,

        -- measures
        coalesce(profiled.customer_count, 0) as customer_count,
        cast(coalesce(profiled.customer_count, 0) as double)
        / population.customer_count as customer_share,
        round(profiled.mean, 6) as mean,
        round(profiled.median_value, 9) as median,
        round(profiled.first_quartile, 9) as first_quartile,
        round(profiled.third_quartile, 9) as third_quartile,
        round(population.mean, 6) as population_mean,
        round(profiled.mean / nullif(population.mean, 0) - 1, 9)
            as relative_importance,
        case
            when population.log_deviation is null and profiled.mean is not null then 0
            else
                round(
                    (profiled.log_mean - population.log_mean)
                    / population.log_deviation,
                    9
                )
        end as standardised_mean

    from segments

    cross join population

    left outer join profiled
        on
            segments.cluster_id = profiled.cluster_id
            and population.metric = profiled.metric

)

select * from final
