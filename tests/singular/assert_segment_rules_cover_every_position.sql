-- The levels of recency and of value each cover the axis without gap or overlap, and
-- every pair of them has a rule: no centroid is left without a name.

with

levels as (

    select
        measure,
        level,
        lower_z,
        upper_z,
        lead(lower_z) over (partition by measure order by lower_z) as next_lower_z,
        row_number() over (partition by measure order by lower_z) as level_number

    from {{ ref('segment_levels') }}

),

rules as (

    select
        recency_level,
        value_level

    from {{ ref('segment_rules') }}

),

pairs as (

    select
        recency_levels.level as recency_level,
        value_levels.level as value_level

    from levels as recency_levels

    cross join levels as value_levels

    where
        recency_levels.measure = 'recency'
        and value_levels.measure = 'value'

)

select
    measure as place,
    level as detail,
    'the band does not end where the next begins' as problem

from levels

where
    lower_z >= upper_z
    or next_lower_z != upper_z
    or (level_number = 1 and lower_z > -1000)
    or (next_lower_z is null and upper_z < 1000)

union all

select
    coalesce(pairs.recency_level, rules.recency_level) as place,
    coalesce(pairs.value_level, rules.value_level) as detail,
    'a pair of levels and its rule do not match' as problem

from pairs

full outer join rules
    on
        pairs.recency_level = rules.recency_level
        and pairs.value_level = rules.value_level

where
    pairs.recency_level is null
    or rules.recency_level is null
