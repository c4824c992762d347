-- One row per day of recommending x method x customer x rank: what each way of
-- recommending would say, ten products at most.

{%- set largest_rank = 10 %}

with

suggestions as (

    select
        made_on_date,
        customer_id,
        drawn_from,
        stock_code,
        source_rank

    from {{ ref('int_recommendations_sourced') }}

),

methods as (

    select
        method,
        drawn_from,
        priority

    from {{ ref('recommendation_methods') }}

),

-- A product that several sources name stands where the first of them has it. A source
-- has less than 100 products.
placed as (

    select
        suggestions.made_on_date,
        methods.method,
        suggestions.customer_id,
        suggestions.stock_code,
        min(methods.priority * 100 + suggestions.source_rank) as place

    from suggestions

    inner join methods
        on suggestions.drawn_from = methods.drawn_from

    group by
        suggestions.made_on_date,
        methods.method,
        suggestions.customer_id,
        suggestions.stock_code

),

ranked as (

    select
        *,
        row_number() over (
            partition by made_on_date, method, customer_id
            order by place
        ) as recommendation_rank

    from placed

),

sourced as (

    select
        ranked.made_on_date,
        ranked.method,
        ranked.customer_id,
        ranked.stock_code,
        ranked.recommendation_rank,
        methods.drawn_from

    from ranked

    inner join methods
        on
            ranked.method = methods.method
            and cast(floor(ranked.place / 100) as bigint) = methods.priority

    where ranked.recommendation_rank <= {{ largest_rank }}

),

final as (

    select
        -- keys
        made_on_date,
        method,
        customer_id,
        recommendation_rank,
        stock_code,

        -- attributes
        drawn_from

    from sourced

)

select * from final
