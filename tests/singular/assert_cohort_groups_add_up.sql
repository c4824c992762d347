-- Cells of the cohorts to which the countries, or the segments, do not add up.

with

cells as (

    select *

    from {{ ref('rpt_cohort_retention') }}

),

group_kinds as (

    select 'country' as group_kind

    union all

    select 'segment' as group_kind

),

added_up as (

    select
        group_kind,
        cohort_date,
        periods_since,
        sum(cohort_size) as cohort_size,
        sum(active_customers) as active_customers,
        sum(order_count) as order_count,
        sum(gross_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(cumulative_order_count) as cumulative_order_count,
        sum(cumulative_gross_amount) as cumulative_gross_amount,
        sum(cumulative_net_amount) as cumulative_net_amount

    from {{ ref('rpt_cohort_retention_by_group') }}

    group by
        group_kind,
        cohort_date,
        periods_since

),

expected as (

    select
        group_kinds.group_kind,
        cells.*

    from cells

    cross join group_kinds

)

select
    coalesce(expected.group_kind, added_up.group_kind) as group_kind,
    coalesce(expected.cohort_date, added_up.cohort_date) as cohort_date,
    coalesce(expected.periods_since, added_up.periods_since) as periods_since,
    expected.cohort_size,
    added_up.cohort_size as added_up_cohort_size,
    expected.net_amount,
    added_up.net_amount as added_up_net_amount

from expected

full outer join added_up
    on
        expected.group_kind = added_up.group_kind
        and expected.cohort_date = added_up.cohort_date
        and expected.periods_since = added_up.periods_since

where
    expected.group_kind is null
    or added_up.group_kind is null
    {%- for measure in [
        "cohort_size", "active_customers", "order_count", "gross_amount",
        "returned_amount", "net_amount", "cumulative_order_count",
        "cumulative_gross_amount", "cumulative_net_amount",
    ] %}
    or expected.{{ measure }} != added_up.{{ measure }}
    {%- endfor %}
