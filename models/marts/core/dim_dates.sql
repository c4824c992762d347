-- One row per day, from the first line to a year after the as-of date: the calendar
-- that metrics and BI tools join dates to. Answers: which week, month, quarter is that?

-- Lines lie in the years 1990 to 2100.
{%- set day_count = 366 * (2102 - 1990) %}

with

as_of as (

    select
        first_line_date,
        as_of_date

    from {{ ref('int_as_of_date') }}

),

series as (

    {{ dbt.generate_series(day_count) }}

),

days as (

    select
        as_of.as_of_date,
        cast(
            {{ dbt.dateadd(
                'day',
                'cast(series.generated_number as int) - 1',
                'as_of.first_line_date'
            ) }} as date
        ) as calendar_date

    from series

    cross join as_of

),

final as (

    select
        -- keys
        calendar_date,

        -- attributes
        cast({{ dbt.date_trunc('week', 'calendar_date') }} as date) as calendar_week,
        cast({{ dbt.date_trunc('month', 'calendar_date') }} as date) as calendar_month,
        cast({{ dbt.date_trunc('quarter', 'calendar_date') }} as date)
            as calendar_quarter,
        cast({{ dbt.date_trunc('year', 'calendar_date') }} as date) as calendar_year,

        -- flags
        calendar_date < as_of_date as is_known

    from days

    where calendar_date < cast({{ dbt.dateadd('year', 1, 'as_of_date') }} as date)

)

select * from final
