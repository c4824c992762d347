-- Each further percentile of customers brings at least as much as the one before, from
-- nothing to all.

with

curve as (

    select
        percentile,
        lowest_amount_share,
        lowest_amount_share - lag(lowest_amount_share) over (order by percentile)
            as step

    from {{ ref('rpt_revenue_concentration') }}

    where lowest_amount_share is not null

),

steps as (

    select
        percentile,
        lowest_amount_share,
        step,
        lag(step) over (order by percentile) as last_step

    from curve

)

select
    percentile,
    lowest_amount_share,
    step

from steps

where
    step < -0.000000001
    or step < last_step - 0.000000001
    or (percentile = 0 and lowest_amount_share != 0)
    or (percentile = 100 and abs(lowest_amount_share - 1) > 0.000000001)
