-- The first quartile is not above the median, nor the median above the third quartile,
-- and all are there where the segment has customers.

with

profiles as (

    select
        cluster_id,
        metric,
        customer_count,
        mean,
        median,
        first_quartile,
        third_quartile

    from {{ ref('rpt_segment_profiles') }}

)

select
    cluster_id,
    metric,
    customer_count,
    first_quartile,
    median,
    third_quartile

from profiles

where
    first_quartile > median
    or median > third_quartile
    or (customer_count > 0) != (first_quartile is not null)
    or (customer_count > 0) != (median is not null)
    or (customer_count > 0) != (third_quartile is not null)
    or (customer_count > 0) != (mean is not null)
