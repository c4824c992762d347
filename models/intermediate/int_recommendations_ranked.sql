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

-- Nothing after a source that has them all is ever reached.
full_sources as (

    select
        suggestions.made_on_date,
        suggestions.customer_id,
        methods.method,
        min(methods.priority) as last_priority

    from suggestions

    inner join methods
        on suggestions.drawn_from = methods.drawn_from

    where suggestions.source_rank = {{ largest_rank }}

    group by
        suggestions.made_on_date,
        suggestions.customer_id,
        methods.method

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

    left outer join full_sources
        on
            suggestions.made_on_date = full_sources.made_on_date
            and suggestions.customer_id = full_sources.customer_id
            and methods.method = full_sources.method

    where
        full_sources.last_priority is null
        or methods.priority <= full_sources.last_priority

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
