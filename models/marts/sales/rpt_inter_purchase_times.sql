-- One row per percentile, 1 to 100: within how many days so many of the next purchases
-- came. Answers: how long is long without a purchase? No rows where nobody came back.

-- Nine of ten gaps are over by then: longer is overdue.
{%- set overdue_percentile = 90 %}
-- A customer's own rhythm is told from this many gaps on.
{%- set rhythm_gaps = 3 %}

with

gaps as (

    select
        gap_days,
        gap_count,
        round(gap_days / usual_gap_days, 4) as gap_ratio

    from {{ ref('int_purchase_gaps_measured') }}

),

series as (

    {{ dbt.generate_series(100) }}

),

percentiles as (

    select cast(generated_number as bigint) as percentile

    from series

),

-- Equal gaps are counted before they are put in order: there are few different ones.
days as (

    select
        gap_days,
        count(*) as gap_count

    from gaps

    group by gap_days

),

days_so_far as (

    select
        gap_days,
        sum(gap_count) over () as gap_count,
        sum(gap_count) over (
            order by gap_days
            rows between unbounded preceding and current row
        ) as gap_count_so_far

    from days

),

ratios as (

    select
        gap_ratio,
        count(*) as gap_count

    from gaps

    where gap_count >= {{ rhythm_gaps }}

    group by gap_ratio

),

ratios_so_far as (

    select
        gap_ratio,
        sum(gap_count) over () as gap_count,
        sum(gap_count) over (
            order by gap_ratio
            rows between unbounded preceding and current row
        ) as gap_count_so_far

    from ratios

),

-- Nearest rank: the smallest gap that at least so many percent do not exceed.
day_percentiles as (

    select
        percentiles.percentile,
        max(days_so_far.gap_count) as gap_count,
        min(days_so_far.gap_days) as gap_days

    from percentiles

    inner join days_so_far
        on
            100 * days_so_far.gap_count_so_far
            >= percentiles.percentile * days_so_far.gap_count

    group by percentiles.percentile

),

ratio_percentiles as (

    select
        percentiles.percentile,
        min(ratios_so_far.gap_ratio) as gap_ratio

    from percentiles

    inner join ratios_so_far
        on
            100 * ratios_so_far.gap_count_so_far
            >= percentiles.percentile * ratios_so_far.gap_count

    group by percentiles.percentile

),

final as (

    select
        -- keys
        day_percentiles.percentile,

        -- measures
        day_percentiles.gap_days,
        ratio_percentiles.gap_ratio,
        cast(day_percentiles.gap_count as bigint) as gap_count,

        -- flags
        day_percentiles.percentile = {{ overdue_percentile }} as is_overdue_horizon

    from day_percentiles

    left outer join ratio_percentiles
        on day_percentiles.percentile = ratio_percentiles.percentile

)

select * from final
