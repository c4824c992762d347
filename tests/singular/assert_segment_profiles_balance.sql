-- What segments have more of than everybody, others have less of: weighted with their
-- customers, the relative importance and the standardised mean of a metric add up to 0,
-- and the means to everybody's. Every clustered customer is in one segment.

with

profiles as (

    select
        metric,
        customer_count,
        customer_share,
        mean,
        population_mean,
        relative_importance,
        standardised_mean

    from {{ ref('rpt_segment_profiles') }}

),

segments as (

    select customer_count

    from {{ ref('dim_segments') }}

),

weighted as (

    select
        metric,
        sum(customer_count) as customer_count,
        sum(customer_share) as customer_share,
        sum(customer_share * mean) as mean,
        max(population_mean) as population_mean,
        sum(customer_share * relative_importance) as relative_importance,
        sum(customer_share * standardised_mean) as standardised_mean

    from profiles

    group by metric

),

everybody as (

    select sum(customer_count) as customer_count

    from segments

)

select
    weighted.metric,
    weighted.customer_count,
    everybody.customer_count as expected_customer_count,
    weighted.mean,
    weighted.population_mean,
    weighted.relative_importance,
    weighted.standardised_mean

from weighted

cross join everybody

where
    weighted.customer_count != everybody.customer_count
    or abs(weighted.customer_share - 1) > 0.000001
    or abs(weighted.mean - weighted.population_mean)
    > 0.000001 * greatest(weighted.population_mean, 1)
    or abs(weighted.relative_importance) > 0.000001
    or abs(weighted.standardised_mean) > 0.000001
