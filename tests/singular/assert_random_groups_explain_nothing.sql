-- Groups drawn at random explain nothing of what follows: more than chance gives to so
-- many groups of so many customers would mean that something of the future has leaked.

select
    scope,
    target,
    group_count,
    customer_count,
    explained_variance

from {{ ref('rpt_segment_validity') }}

where
    grouping = 'random_groups'
    and abs(explained_variance) > 10.0 * group_count / customer_count
