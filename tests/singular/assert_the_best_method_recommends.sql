-- All recommendations are made by the one method that was right most often.

with

scoreboard as (

    select
        method,
        hit_customer_count,
        is_chosen

    from {{ ref('rpt_recommendation_scoreboard') }}

),

best as (

    select max(hit_customer_count) as hit_customer_count

    from scoreboard

)

select
    recommendations.method,
    scoreboard.is_chosen

from {{ ref('rpt_product_recommendations') }} as recommendations

cross join best

left outer join scoreboard
    on recommendations.method = scoreboard.method

where
    best.hit_customer_count is not null
    and (
        scoreboard.is_chosen is null
        or not scoreboard.is_chosen
        or scoreboard.hit_customer_count < best.hit_customer_count
    )
