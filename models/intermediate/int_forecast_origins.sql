-- One row per day from which revenue is forecast: the as-of date, and the origins
-- before it, whose horizon has passed. Methods learn from all origins that had passed
-- by then and are compared at the latest ones.

-- Origins are so many days apart, and know so many days at least.
{%- set step_days = 30 %}
{%- set smallest_history_days = 60 %}
{%- set largest_count = 13 %}
{%- set horizon_days = var('forecast_horizon_days') %}

with

as_of as (

    select
        as_of_date,
        first_line_date,
        cast({{ dbt.dateadd('day', 1, 'last_line_date') }} as date) as data_end_date

    from {{ ref('int_as_of_date') }}

),

series as (

    {{ dbt.generate_series(largest_count) }}

),

steps as (

    select cast(generated_number as int) - 1 as step_number

    from series

),

-- A horizon ends when the data do, or it would be taken for one without sales.
past as (

    select
        steps.step_number,
        as_of.first_line_date,
        cast(
            {{ dbt.dateadd(
                'day',
                '-1 * (' ~ horizon_days ~ ' + ' ~ step_days ~ ' * steps.step_number)',
                'as_of.data_end_date'
            ) }} as date
        ) as origin_date

    from as_of

    cross join steps

),

dated as (

    select
        as_of_date as origin_date,
        first_line_date,
        true as is_current,
        false as is_scored

    from as_of

    where first_line_date is not null

    union all

    select
        origin_date,
        first_line_date,
        false as is_current,
        step_number < {{ var('forecast_origin_count') }} as is_scored

    from past

    where
        origin_date
        >= {{ dbt.dateadd('day', smallest_history_days, 'first_line_date') }}

),

final as (

    select
        -- keys
        origin_date,

        -- measures
        cast({{ horizon_days }} as bigint) as horizon_days,
        cast(
            {{ dbt.datediff('first_line_date', 'origin_date', 'day') }}
            as bigint
        ) as history_days,

        -- flags
        is_current,
        is_scored,

        -- times
        cast(
            {{ dbt.dateadd('day', horizon_days, 'origin_date') }} as date
        ) as horizon_end_date

    from dated

)

select * from final
