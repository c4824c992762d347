-- Cohorts that lack a period before the one of the last line, or know a later one.

with

cells as (

    select
        cohort_date,
        periods_since,
        period_date

    from {{ ref('rpt_cohort_retention') }}

),

as_of as (

    select last_line_date

    from {{ ref('int_as_of_date') }}

),

cohorts as (

    select
        cohort_date,
        count(*) as cell_count,
        min(periods_since) as first_period,
        max(periods_since) as last_period,
        min(period_date) as first_period_date,
        max(period_date) as last_period_date

    from cells

    group by cohort_date

)

select
    cohorts.*,
    as_of.last_line_date

from cohorts

cross join as_of

where
    cohorts.first_period != 0
    or cohorts.cell_count != cohorts.last_period + 1
    or cohorts.first_period_date != cohorts.cohort_date
    or cohorts.last_period_date != cast(
        {{ dbt.date_trunc(var('cohort_period'), 'as_of.last_line_date') }} as date
    )
