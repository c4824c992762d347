-- Every pair of levels has one rule, and no text is missing or there twice: whatever a
-- cluster's position, it gets a name that no other has.

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

rules as (

    select
        coalesce(trim(recency_level), '') as recency_level,
        coalesce(trim(value_level), '') as value_level,
        coalesce(trim(segment_name), '') as segment_name,
        coalesce(trim(meaning), '') as meaning,
        coalesce(trim(strategy), '') as strategy,
        coalesce(trim(recommended_action), '') as recommended_action,
        coalesce(trim(second_action), '') as second_action,
        coalesce(trim(third_action), '') as third_action

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
        and recency_levels.level != ''
        and value_levels.level != ''

),

pairs_once as (

    select
        recency_level,
        value_level,
        count(*) as pair_count

    from pairs

    group by
        recency_level,
        value_level

),

rules_counted as (

    select
        recency_level,
        value_level,
        count(*) as rule_count

    from rules

    group by
        recency_level,
        value_level

),

names_counted as (

    select
        min(segment_name) as segment_name,
        count(*) as rule_count

    from rules

    where segment_name != ''

    group by lower(segment_name)

),

meanings_counted as (

    select
        min(meaning) as meaning,
        count(*) as rule_count

    from rules

    where meaning != ''

    group by lower(meaning)

),

problems as (

    select
        concat(
            'segment_rules.csv: there is no row for recency_level "',
            pairs_once.recency_level,
            '" with value_level "',
            pairs_once.value_level,
            '"; add one'
        ) as problem

    from pairs_once

    left outer join rules_counted
        on
            pairs_once.recency_level = rules_counted.recency_level
            and pairs_once.value_level = rules_counted.value_level

    where rules_counted.recency_level is null

    union all

    select
        concat(
            'segment_rules.csv: the row for recency_level "',
            rules_counted.recency_level,
            '" with value_level "',
            rules_counted.value_level,
            '" names a level that segment_levels.csv does not have'
        ) as problem

    from rules_counted

    left outer join pairs_once
        on
            rules_counted.recency_level = pairs_once.recency_level
            and rules_counted.value_level = pairs_once.value_level

    where pairs_once.recency_level is null

    union all

    select
        concat(
            'segment_rules.csv: there are ',
            cast(rule_count as string),
            ' rows for recency_level "',
            recency_level,
            '" with value_level "',
            value_level,
            '"; keep one'
        ) as problem

    from rules_counted

    where rule_count > 1

    union all

    select
        concat(
            'segment_rules.csv: ',
            cast(rule_count as string),
            ' rows have the segment_name "',
            segment_name,
            '"; give each a name of its own'
        ) as problem

    from names_counted

    where rule_count > 1

    union all

    select
        concat(
            'segment_rules.csv: ',
            cast(rule_count as string),
            ' rows have the meaning "',
            meaning,
            '"; say what sets each apart'
        ) as problem

    from meanings_counted

    where rule_count > 1

    union all

    select
        concat(
            'segment_rules.csv: the segment_name "',
            segment_name,
            '" holds ", higher value", ", lower value" or ", value rank", which tell ',
            'clusters in the same place apart; leave it out'
        ) as problem

    from rules

    where
        lower(segment_name) like '%, higher value%'
        or lower(segment_name) like '%, lower value%'
        or lower(segment_name) like '%, value rank%'

    union all

    select
        concat(
            'segment_rules.csv: the row for recency_level "',
            recency_level,
            '" with value_level "',
            value_level,
            '" has no ',
            concat_ws(
                ', ',
                case when segment_name = '' then 'segment_name' end,
                case when meaning = '' then 'meaning' end,
                case when strategy = '' then 'strategy' end,
                case when recommended_action = '' then 'recommended_action' end,
                case when second_action = '' then 'second_action' end,
                case when third_action = '' then 'third_action' end
            ),
            '; fill it in'
        ) as problem

    from rules

    where
        segment_name = ''
        or meaning = ''
        or strategy = ''
        or recommended_action = ''
        or second_action = ''
        or third_action = ''

)

select problem

from problems

{% endcall %}
