-- The levels of recency and of value each cover the line without gap or overlap, so
-- that no position of a cluster is left out or graded twice.

{% call in_words(
    "The segments cannot be named as the seeds are"
) %}

with

levels as (

    select
        coalesce(trim(measure), '') as measure,
        coalesce(trim(level), '') as level,
        lower_z,
        upper_z

    from {{ ref('segment_levels') }}

),

measures as (

    select all_measures.measure
    from (values ('recency'), ('value')) as all_measures (measure)

),

-- Each band beside the next one up; a band without a lower edge comes first.
bands as (

    select
        measure,
        level,
        lower_z,
        upper_z,
        lead(level) over (
            partition by measure
            order by lower_z nulls first, upper_z nulls last, level
        ) as next_level,
        lead(lower_z) over (
            partition by measure
            order by lower_z nulls first, upper_z nulls last, level
        ) as next_lower_z,
        row_number() over (
            partition by measure
            order by lower_z nulls first, upper_z nulls last, level
        ) as band_number

    from levels

    where
        measure in ('recency', 'value')
        and level != ''

),

problems as (

    select
        concat(
            'segment_levels.csv: a row has the measure "',
            measure,
            '" and the level "',
            level,
            '"; the measure is recency or value, and the level has a name'
        ) as problem

    from levels

    where
        measure not in ('recency', 'value')
        or level = ''

    union all

    select
        concat(
            'segment_levels.csv: there is no level of ', measures.measure, '; add one'
        ) as problem

    from measures

    left outer join levels
        on measures.measure = levels.measure

    where levels.measure is null

    union all

    select
        concat(
            'segment_levels.csv: the level "',
            level,
            '" of ',
            measure,
            ' is there ',
            cast(count(*) as string),
            ' times; keep one'
        ) as problem

    from levels

    where level != ''

    group by
        measure,
        level

    having count(*) > 1

    union all

    select
        concat(
            'segment_levels.csv: the level "',
            level,
            '" of ',
            measure,
            ' has the lower edge ',
            cast(lower_z as string),
            ' and the upper edge ',
            cast(upper_z as string),
            '; the upper one must be larger'
        ) as problem

    from bands

    where lower_z >= upper_z

    union all

    select
        concat(
            'segment_levels.csv: the lowest level of ',
            measure,
            ', "',
            level,
            '", starts at ',
            cast(lower_z as string),
            '; leave its lower_z empty, so that nothing lies below'
        ) as problem

    from bands

    where
        band_number = 1
        and lower_z is not null

    union all

    select
        concat(
            'segment_levels.csv: the highest level of ',
            measure,
            ', "',
            level,
            '", ends at ',
            cast(upper_z as string),
            '; leave its upper_z empty, so that nothing lies above'
        ) as problem

    from bands

    where
        next_level is null
        and upper_z is not null

    union all

    select
        concat(
            'segment_levels.csv: the level "',
            level,
            '" of ',
            measure,
            ' ends at ',
            coalesce(cast(upper_z as string), 'no edge'),
            ' but the next, "',
            next_level,
            '", starts at ',
            coalesce(cast(next_lower_z as string), 'no edge'),
            '; give both the same number, or positions have two names or none'
        ) as problem

    from bands

    where
        next_level is not null
        and (upper_z is null or next_lower_z is null or upper_z != next_lower_z)

)

select problem

from problems

{% endcall %}
