-- One row per day at whose start customers are seen: the as-of date, every month end
-- before it, and the origins of the back-tests. A month end is the first day of the
-- next month, at whose start the whole month is known.

-- Lines lie in the years 1990 to 2100.
{%- set month_count = 12 * (2101 - 1990) %}
-- Back-tests look this many months ahead, and know as many months before.
{%- set outcome_months = 3 %}
-- So many origins, a month apart.
{%- set origin_count = 4 %}

with

as_of as (

    select
        as_of_date,
        first_line_date,
        last_line_date

    from {{ ref('int_as_of_date') }}

),

series as (

    {{ dbt.generate_series(month_count) }}

),

months as (

    select cast(generated_number as int) as month_number

    from series

),

month_ends as (

    select
        cast(
            {{ dbt.dateadd(
                'month',
                'months.month_number',
                dbt.date_trunc('month', 'as_of.first_line_date')
            ) }} as date
        ) as snapshot_date

    from as_of

    cross join months

),

-- The latest outcome ends on the day of the last line.
origins as (

    select
        cast(
            {{ dbt.dateadd(
                'month', '-1 * months.month_number', 'as_of.last_line_date'
            ) }} as date
        ) as snapshot_date

    from as_of

    cross join months

    where
        months.month_number >= {{ outcome_months }}
        and months.month_number < {{ outcome_months + origin_count }}

),

dated as (

    select
        as_of_date as snapshot_date,
        true as is_current,
        false as is_month_end,
        false as is_origin

    from as_of

    union all

    select
        month_ends.snapshot_date,
        false as is_current,
        true as is_month_end,
        false as is_origin

    from month_ends

    cross join as_of

    where month_ends.snapshot_date <= as_of.as_of_date

    union all

    select
        origins.snapshot_date,
        false as is_current,
        false as is_month_end,
        true as is_origin

    from origins

    cross join as_of

    where
        origins.snapshot_date
        >= {{ dbt.dateadd('month', outcome_months, 'as_of.first_line_date') }}

),

flagged as (

    select
        snapshot_date,
        {{ dbt.bool_or('is_current') }} as is_current,
        {{ dbt.bool_or('is_month_end') }} as is_month_end,
        {{ dbt.bool_or('is_origin') }} as is_origin

    from dated

    group by snapshot_date

),

final as (

    select
        -- keys
        snapshot_date,

        -- flags
        is_current,
        is_month_end,
        is_origin,

        -- times
        case
            when is_origin
                then cast({{ dbt.dateadd(
                    'day', 1, dbt.dateadd('month', outcome_months, 'snapshot_date')
                ) }} as date)
        end as outcome_end_date

    from flagged

)

select * from final
