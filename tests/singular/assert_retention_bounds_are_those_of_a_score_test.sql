-- Bounds of a retention rate that are not Wilson's: the true rates from which the one
-- that was seen lies 1.96 standard errors away, on either side.

{%- set z = 1.959963984540054 %}

with

rates as (

    select
        retention_rate,
        retention_low,
        retention_high,
        cast(cohort_size as double) as n

    from {{ ref('rpt_cohort_retention') }}

    union all

    select
        retention_rate,
        retention_low,
        retention_high,
        cast(cohort_size as double) as n

    from {{ ref('rpt_cohort_retention_by_group') }}

    union all

    select
        retention_rate,
        retention_low,
        retention_high,
        cast(customer_count as double) as n

    from {{ ref('rpt_cohort_curve') }}

)

select *

from rates

where
    retention_low > retention_rate + 1e-9
    or retention_high < retention_rate - 1e-9
    or abs(
        n * power(retention_rate - retention_low, 2)
        - {{ z }} * {{ z }} * retention_low * (1 - retention_low)
    ) > 1e-6
    or abs(
        n * power(retention_rate - retention_high, 2)
        - {{ z }} * {{ z }} * retention_high * (1 - retention_high)
    ) > 1e-6
