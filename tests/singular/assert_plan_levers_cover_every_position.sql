-- Every pair of levels has one known lever, every lever its assumption, and no effect
-- is above a larger one: whatever the position of a segment, there is a plan for it.

{% call in_words(
    "The action plan cannot be made as the seeds are"
) %}

with

levels as (

    select
        trim(measure) as measure,
        trim(level) as level

    from {{ ref('segment_levels') }}

),

levers as (

    select
        trim(recency_level) as recency_level,
        trim(value_level) as value_level,
        trim(lever) as lever

    from {{ ref('plan_levers') }}

),

assumptions as (

    select
        lever,
        effect_low,
        effect_middle,
        effect_high

    from {{ ref('plan_assumptions') }}

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

),

counted as (

    select
        pairs.recency_level,
        pairs.value_level,
        count(levers.lever) as lever_count

    from pairs

    left outer join levers
        on
            pairs.recency_level = levers.recency_level
            and pairs.value_level = levers.value_level

    group by
        pairs.recency_level,
        pairs.value_level

),

known as (

    select 'win_back' as lever

    union all

    select 'second_order' as lever

    union all

    select 'basket_upsell' as lever

    union all

    select 'loyalty' as lever

    union all

    select 'service' as lever

)

select
    concat(
        'plan_levers has ',
        cast(lever_count as string),
        ' levers for ',
        recency_level,
        ' and ',
        value_level,
        '; give one'
    ) as problem

from counted

where lever_count != 1

union all

select
    concat('plan_levers has the lever ', levers.lever, ', which is unknown')
        as problem

from levers

left outer join known
    on levers.lever = known.lever

where known.lever is null

union all

select concat('plan_assumptions has no row for ', known.lever) as problem

from known

left outer join assumptions
    on known.lever = assumptions.lever

where assumptions.lever is null

union all

select
    concat(
        'plan_assumptions gives ',
        lever,
        ' effects that are not 0 < low <= middle <= high <= 1'
    ) as problem

from assumptions

where not coalesce(
    effect_low > 0
    and effect_low <= effect_middle
    and effect_middle <= effect_high
    and effect_high <= 1,
    false
)

{% endcall %}
