-- One row per origin x method x group of customers with about the same expected amount:
-- what was expected of them, what they spent, and where the middle of such customers
-- had lain before. Answers: when it says 100, do they spend 100?

with

scores as (

    select
        cast(origin_date as date) as origin_date,
        method,
        metric,
        group_number,
        value

    from {{ ref('ml_forecast_scores') }}

    where group_number is not null

),

origins as (

    select
        origin_date,
        is_scored,
        is_current

    from {{ ref('int_forecast_origins') }}

),

pivoted as (

    select
        origin_date,
        method,
        group_number,
        {%- for name in [
            'customer_count', 'upper_amount', 'expected_amount', 'actual_amount',
            'low_ratio', 'high_ratio',
        ] %}
        max(case when metric = 'group_{{ name }}' then value end) as {{ name }}
        {%- if not loop.last %},{% endif %}
        {%- endfor %}

    from scores

    group by
        origin_date,
        method,
        group_number

),

final as (

    select
        -- keys
        pivoted.origin_date,
        pivoted.method,
        pivoted.group_number,

        -- measures
        cast(pivoted.customer_count as bigint) as customer_count,
        pivoted.upper_amount,
        pivoted.expected_amount,
        pivoted.actual_amount,
        pivoted.low_ratio,
        pivoted.high_ratio,

        -- flags
        origins.is_scored,
        origins.is_current

    from pivoted

    inner join origins
        on pivoted.origin_date = origins.origin_date

)

select * from final
