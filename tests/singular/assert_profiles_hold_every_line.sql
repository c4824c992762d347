-- Every column's profile holds every delivered line, and the reasons hold every line
-- set aside with its amount.

with

profiles as (

    select
        column_name as part,
        line_count,
        cast(0 as decimal(38, 4)) as line_amount

    from {{ ref('rpt_column_profiles') }}

    union all

    select
        'reject_reasons' as part,
        coalesce(sum(line_count), 0) as line_count,
        coalesce(sum(line_amount), 0) as line_amount

    from {{ ref('rpt_reject_reasons') }}

),

delivered as (

    select count(*) as line_count

    from {{ ref('stg_online_retail__lines') }}

),

rejected as (

    select
        count(*) as line_count,
        coalesce(sum(line_amount), 0) as line_amount

    from {{ ref('fct_rejected_lines') }}

)

select
    profiles.part,
    profiles.line_count,
    profiles.line_amount

from profiles

cross join delivered

cross join rejected

where
    (
        profiles.part = 'reject_reasons'
        and (
            profiles.line_count != rejected.line_count
            or profiles.line_amount != rejected.line_amount
        )
    )
    or (
        profiles.part != 'reject_reasons'
        and profiles.line_count != delivered.line_count
    )
