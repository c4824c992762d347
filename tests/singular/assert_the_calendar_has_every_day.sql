-- The calendar has each day from the first line to the last, once and without a gap.

with

calendar as (

    select
        count(*) as day_count,
        min(calendar_date) as first_date,
        max(calendar_date) as last_date,
        {{ dbt.datediff('min(calendar_date)', 'max(calendar_date)', 'day') }}
            as span_days

    from {{ ref('dim_dates') }}

),

as_of as (

    select
        first_line_date,
        last_line_date

    from {{ ref('int_as_of_date') }}

)

select
    calendar.day_count,
    calendar.first_date,
    calendar.last_date

from calendar

cross join as_of

where
    calendar.day_count != calendar.span_days + 1
    or calendar.first_date > as_of.first_line_date
    or calendar.last_date < as_of.last_line_date
