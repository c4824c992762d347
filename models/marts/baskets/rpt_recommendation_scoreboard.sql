-- One row per way of recommending: how often it would have been right, had it been used
-- three months ago. Nothing later than the split was known to it. Answers: which of
-- them do we trust?

-- Of the normal distribution, for an interval that holds 95 % of the time.
{%- set z = 1.959964 %}

with

recommendations as (

    select
        made_on_date,
        method,
        customer_id,
        stock_code

    from {{ ref('int_recommendations_ranked') }}

),

items as (

    select
        customer_id,
        stock_code,
        origin_date,
        ordered_at,
        is_counted

    from {{ ref('int_baskets_itemised') }}

),

methods as (

    select
        method,
        max(meaning) as meaning,
        count(*) as source_count

    from {{ ref('recommendation_methods') }}

    group by method

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

bought_later as (

    select
        customer_id,
        stock_code,
        origin_date

    from items

    where
        is_counted
        and ordered_at >= origin_date

    group by
        customer_id,
        stock_code,
        origin_date

),

-- Of customers who never came back nobody knows what they would have liked.
came_back as (

    select
        customer_id,
        origin_date

    from bought_later

    group by
        customer_id,
        origin_date

),

tried as (

    select
        recommendations.made_on_date,
        recommendations.method,
        recommendations.customer_id,
        max(case when bought_later.stock_code is not null then 1 else 0 end) as is_hit,
        sum(case when bought_later.stock_code is not null then 1 else 0 end)
            as hit_count

    from recommendations

    inner join came_back
        on
            recommendations.customer_id = came_back.customer_id
            and recommendations.made_on_date = came_back.origin_date

    left outer join bought_later
        on
            recommendations.customer_id = bought_later.customer_id
            and recommendations.stock_code = bought_later.stock_code
            and recommendations.made_on_date = bought_later.origin_date

    group by
        recommendations.made_on_date,
        recommendations.method,
        recommendations.customer_id

),

counted as (

    select
        made_on_date,
        method,
        count(*) as customer_count,
        sum(is_hit) as hit_customer_count,
        sum(hit_count) as hit_count

    from tried

    group by
        made_on_date,
        method

),

measured as (

    select
        counted.*,
        methods.meaning,
        methods.source_count,
        cast(counted.hit_customer_count as double) / counted.customer_count as hit_rate,
        cast(counted.customer_count as double) as n

    from counted

    inner join methods
        on counted.method = methods.method

),

-- Wilson's interval.
bounded as (

    select
        *,
        (hit_rate + {{ z * z / 2 }} / n) / (1 + {{ z * z }} / n) as centre,
        {{ z }} * sqrt((hit_rate * (1 - hit_rate) + {{ z * z / 4 }} / n) / n)
        / (1 + {{ z * z }} / n) as reach

    from measured

),

final as (

    select
        -- keys
        bounded.method,

        -- attributes
        bounded.meaning,

        -- measures
        bounded.hit_rate as hit_rate_at_10,
        greatest(bounded.centre - bounded.reach, 0) as hit_rate_low,
        least(bounded.centre + bounded.reach, 1) as hit_rate_high,
        bounded.customer_count,
        cast(bounded.hit_customer_count as bigint) as hit_customer_count,
        cast(bounded.hit_count as bigint) as hit_count,

        -- flags
        row_number() over (
            order by
                bounded.hit_customer_count desc,
                bounded.source_count asc,
                bounded.method asc
        ) = 1 as is_chosen,

        -- times
        bounded.made_on_date as split_date,
        as_of.as_of_date as outcome_end_date

    from bounded

    cross join as_of

)

select * from final
