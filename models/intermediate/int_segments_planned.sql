-- One row per segment of the current model: its lever, whom that reaches, and the
-- figures that the lever's effect works on. Apart from the plan, which does the sums.

-- Compiled before validate_vars can refuse what is no mapping.
{%- set own_effects = var('plan_effects') if var('plan_effects') is mapping else {} %}

with

segments as (

    select
        cluster_id,
        segment_name,
        recommended_action,
        segment_rank

    from {{ ref('dim_segments') }}

),

clusters as (

    select
        cluster_id,
        recency_level,
        value_level

    from {{ ref('dim_clusters') }}

    where is_current

),

levers as (

    select
        trim(recency_level) as recency_level,
        trim(value_level) as value_level,
        trim(lever) as lever

    from {{ ref('plan_levers') }}

),

assumptions as (

    select
        lever,
        action_words,
        effect_low,
        effect_middle,
        effect_high,
        effect_source

    from {{ ref('plan_assumptions') }}

),

customer_segments as (

    select
        customer_id,
        cluster_id

    from {{ ref('fct_customer_segments') }}

    where
        is_current
        and cluster_id is not null

),

rfm as (

    select
        customer_id,
        frequency,
        return_rate

    from {{ ref('fct_customer_rfm') }}

    where is_current

),

forecasts as (

    select
        customer_id,
        horizon_days,
        expected_orders,
        expected_amount

    from {{ ref('rpt_customer_forecast') }}

),

recommendations as (

    select
        customer_id,
        stock_code,
        score

    from {{ ref('rpt_product_recommendations') }}

    where recommendation_rank = 1

),

products as (

    select
        stock_code,
        order_count,
        net_amount

    from {{ ref('dim_products') }}

    where
        order_count > 0
        and net_amount > 0

),

quarters as (

    select
        cluster_id,
        buyer_share,
        amount_per_buyer,
        one_time_buyer_share,
        amount_per_one_time_buyer,
        amount_deviation

    from {{ ref('int_segment_quarters_counted') }}

),

-- What a product brings per order that holds it.
offers as (

    select
        recommendations.customer_id,
        recommendations.score
        * cast(products.net_amount as double) / products.order_count as amount_per_order

    from recommendations

    inner join products
        on recommendations.stock_code = products.stock_code

),

customers as (

    select
        customer_segments.cluster_id,
        rfm.frequency,
        rfm.return_rate,
        cast(forecasts.expected_amount as double)
        * {{ plan_days() }} / forecasts.horizon_days as expected_amount,
        forecasts.expected_orders
        * {{ plan_days() }} / forecasts.horizon_days as expected_orders,
        offers.amount_per_order

    from customer_segments

    inner join rfm
        on customer_segments.customer_id = rfm.customer_id

    left outer join forecasts
        on customer_segments.customer_id = forecasts.customer_id

    left outer join offers
        on customer_segments.customer_id = offers.customer_id

),

-- Rounded, since threads add doubles up in any order.
sized as (

    select
        cluster_id,
        count(*) as customer_count,
        sum(case when frequency = 1 then 1 else 0 end) as one_time_count,
        round(avg(return_rate), 9) as return_rate,
        round(sum(expected_amount), 4) as expected_amount,
        round(sum(expected_orders), 9) as expected_orders,
        -- What a customer is offered in each of their orders, by how many they make: a
        -- customer with nothing to be offered adds nothing.
        round(sum(coalesce(amount_per_order, 0) * expected_orders), 9)
            as offered_amount,
        count(amount_per_order) as offered_count

    from customers

    group by cluster_id

),

shop as (

    select round(avg(return_rate), 9) as return_rate

    from customers

),

judged as (

    select
        segments.cluster_id,
        segments.segment_name,
        segments.recommended_action,
        segments.segment_rank,
        sized.one_time_count,
        sized.return_rate,
        shop.return_rate as shop_return_rate,
        sized.expected_amount,
        sized.expected_orders,
        sized.offered_amount,
        sized.offered_count,
        quarters.buyer_share,
        quarters.amount_per_buyer,
        quarters.one_time_buyer_share,
        quarters.amount_per_one_time_buyer,
        quarters.amount_deviation,
        coalesce(sized.customer_count, 0) as customer_count,
        case
            when
                sized.return_rate > 0
                and sized.return_rate
                >= {{ var('plan_service_multiple') }} * shop.return_rate
                then 'service'
            else levers.lever
        end as lever

    from segments

    inner join clusters
        on segments.cluster_id = clusters.cluster_id

    cross join shop

    left outer join levers
        on
            clusters.recency_level = levers.recency_level
            and clusters.value_level = levers.value_level

    left outer join sized
        on segments.cluster_id = sized.cluster_id

    left outer join quarters
        on segments.cluster_id = quarters.cluster_id

),

-- An effect of one's own moves low and high in proportion, and no share passes 1.
effects as (

    select
        lever,
        action_words,
        coalesce(
            {%- for lever, effect in own_effects.items() %}
            case when lever = '{{ lever }}' then cast({{ effect }} as double) end,
            {%- endfor %}
            effect_middle
        ) as assumed_effect,
        effect_low / effect_middle as low_ratio,
        effect_high / effect_middle as high_ratio,
        coalesce(
            {%- for lever in own_effects %}
            case when lever = '{{ lever }}' then 'set by the var plan_effects' end,
            {%- endfor %}
            effect_source
        ) as effect_source

    from assumptions

),

final as (

    select
        -- keys
        judged.cluster_id,

        -- attributes
        judged.segment_name,
        judged.lever,
        effects.action_words,
        judged.recommended_action as action,
        effects.effect_source,

        -- measures
        judged.segment_rank,
        judged.customer_count,
        cast(
            case
                when judged.lever = 'second_order'
                    then coalesce(judged.one_time_count, 0)
                else judged.customer_count
            end as bigint
        ) as contacted_count,
        cast(coalesce(judged.expected_amount, 0) as decimal(18, 4)) as baseline_amount,
        judged.expected_orders,
        judged.offered_amount,
        judged.offered_count,
        judged.return_rate,
        judged.shop_return_rate,
        judged.buyer_share,
        judged.amount_per_buyer,
        judged.one_time_buyer_share,
        judged.amount_per_one_time_buyer,
        judged.amount_deviation,
        effects.assumed_effect,
        least(1, round(effects.assumed_effect * effects.low_ratio, 9))
            as assumed_effect_low,
        least(1, round(effects.assumed_effect * effects.high_ratio, 9))
            as assumed_effect_high

    from judged

    left outer join effects
        on judged.lever = effects.lever

)

select * from final
