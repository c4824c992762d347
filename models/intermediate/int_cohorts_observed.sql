-- One row per cohort x period that the data can tell about: from the cohort's own
-- period to the one of the last line. Periods without a purchase are in it, so that
-- nobody buying is a 0 and not yet knowing is no row.

{%- set period = var('cohort_period') %}
-- dateadd of weeks is not the same everywhere. Another word is refused by
-- validate_vars, which runs later than this.
{%- set unit = 'day' if period == 'week' else 'month' %}
{%- set step = {'week': 7, 'month': 1, 'quarter': 3}.get(period | string, 1) %}
-- Lines lie in the years 1990 to 2100.
{%- set period_count
    = {'week': 53, 'month': 12, 'quarter': 4}.get(period | string, 12) * (2101 - 1990) %}

with

customers as (

    select cohort_date

    from {{ ref('int_customers_cohorted') }}

),

as_of as (

    select
        as_of_date,
        last_line_date

    from {{ ref('int_as_of_date') }}

),

cohorts as (

    select distinct cohort_date

    from customers

),

first_cohort as (

    select min(cohort_date) as cohort_date

    from cohorts

),

series as (

    {{ dbt.generate_series(period_count) }}

),

numbers as (

    select cast(generated_number as int) as period_number

    from series

),

periods as (

    select
        numbers.period_number,
        cast(
            {{ dbt.dateadd(
                unit,
                step ~ ' * (numbers.period_number - 1)',
                'first_cohort.cohort_date'
            ) }} as date
        ) as period_date,
        cast(
            {{ dbt.dateadd(
                unit, step ~ ' * numbers.period_number', 'first_cohort.cohort_date'
            ) }} as date
        ) as next_period_date

    from numbers

    cross join first_cohort

),

observed_periods as (

    select
        periods.period_number,
        periods.period_date,
        periods.next_period_date <= as_of.as_of_date as is_complete

    from periods

    cross join as_of

    where periods.period_date <= as_of.last_line_date

),

final as (

    select
        -- keys
        cohorts.cohort_date,
        cast(
            observed_periods.period_number - cohort_periods.period_number as bigint
        ) as periods_since,

        -- attributes
        '{{ period }}' as cohort_period,
        observed_periods.period_date,

        -- flags
        observed_periods.is_complete,
        cohorts.cohort_date = first_cohort.cohort_date as is_left_censored

    from cohorts

    cross join first_cohort

    inner join observed_periods as cohort_periods
        on cohorts.cohort_date = cohort_periods.period_date

    inner join observed_periods
        on cohort_periods.period_number <= observed_periods.period_number

)

select * from final
