-- One row per segment of the current model: the lever that suits it, what that may add
-- to the next quarter, what it costs, and whether a test could show it. Answers: how do
-- we lift next quarter's sales, and is the target within reach?

-- Standard normal quantiles: of 0.975, for a two-sided test at 5 %, and of 0.8, for a
-- power of 80 %.
{%- set significance_z = 1.959963984540054 %}
{%- set power_z = 0.8416212335729143 %}
-- A larger control group is no number that anybody could act on.
{%- set largest_control = 1000000000 %}
{%- set effects = ["effect_low", "effect_middle", "effect_high"] %}

with

segments as (

    select *

    from {{ ref('int_segments_planned') }}

),

-- The figure that an effect multiplies, and what an effect of 1 would add.
based as (

    select
        *,
        case
            when customer_count = 0 then 'no_customers'
            when contacted_count = 0 then 'no_one_time_buyers'
            when lever = 'win_back' and coalesce(buyer_share, 0) = 0
                then 'no_history'
            when lever = 'second_order' and coalesce(one_time_buyer_share, 0) = 0
                then 'no_history'
            when
                lever in ('loyalty', 'basket_upsell', 'service')
                and (baseline_amount <= 0 or coalesce(expected_orders, 0) <= 0)
                then 'no_orders_expected'
            when lever = 'basket_upsell' and offered_count = 0
                then 'no_recommendations'
            when lever = 'service' and return_rate >= 1 then 'all_returned'
        end as no_plan_reason,
        case lever
            when 'win_back' then buyer_share
            when 'second_order' then one_time_buyer_share
            when 'basket_upsell' then offered_amount / nullif(expected_orders, 0)
            when 'loyalty' then expected_orders / nullif(customer_count, 0)
            when 'service' then return_rate
        end as base_rate,
        case lever
            when 'win_back'
                then 'Share who came back within a quarter of themselves'
            when 'second_order'
                then 'Share of its one-time buyers who bought again within a quarter'
            when 'basket_upsell'
                then 'Chance of the top recommendation times its price, per order'
            when 'loyalty' then 'Orders per customer expected within the quarter'
            when 'service' then 'Mean share that its customers send back'
        end as base_rate_meaning,
        case lever
            when 'win_back' then contacted_count * buyer_share * amount_per_buyer
            when 'second_order'
                then
                    contacted_count
                    * one_time_buyer_share
                    * amount_per_one_time_buyer
            when 'basket_upsell' then offered_amount
            when 'loyalty' then cast(baseline_amount as double)
            when 'service'
                then
                    cast(baseline_amount as double)
                    * return_rate
                    / nullif(1 - return_rate, 0)
        end as full_effect_amount,
        lever in ('win_back', 'second_order') as is_about_buying,
        cast(sum(baseline_amount) over () as decimal(18, 4)) as shop_baseline_amount

    from segments

),

-- A share of buyers cannot be lifted above 1.
capped as (

    select
        *,
        case
            when is_about_buying
                then least(assumed_effect_low, 1 / nullif(base_rate, 0) - 1)
            else assumed_effect_low
        end as effect_low,
        case
            when is_about_buying
                then least(assumed_effect, 1 / nullif(base_rate, 0) - 1)
            else assumed_effect
        end as effect_middle,
        case
            when is_about_buying
                then least(assumed_effect_high, 1 / nullif(base_rate, 0) - 1)
            else assumed_effect_high
        end as effect_high

    from based

),

lifted as (

    select
        *,
        {%- for effect in effects %}
        case
            when no_plan_reason is null
                then cast(
                    round(full_effect_amount * {{ effect }}, 4) as decimal(18, 4)
                )
        end as {{ effect }}_amount,
        {%- endfor %}
        case
            when no_plan_reason is null
                then cast(
                    {{ var('plan_contact_cost') }} * contacted_count
                    as decimal(18, 4)
                )
        end as contact_cost

    from capped

),

-- Customers per arm. Two proportions where the effect is on who buys, with the variance
-- pooled under no effect (Fleiss, Levin and Paik 2003, Statistical methods for rates
-- and proportions, 4.2); two means where it is on the amount per customer.
tested as (

    select
        *,
        {{ as_money(
            var('plan_margin') ~ ' * cast(effect_middle_amount as double)'
            ~ ' - cast(contact_cost as double)'
        ) }} as expected_profit,
        case
            when effect_middle_amount is null or effect_middle_amount <= 0 then null
            when is_about_buying
                then power(
                    {{ significance_z }}
                    * sqrt(
                        2 * (base_rate * (1 + effect_middle / 2))
                        * (1 - base_rate * (1 + effect_middle / 2))
                    )
                    + {{ power_z }}
                    * sqrt(
                        base_rate * (1 - base_rate)
                        + base_rate * (1 + effect_middle)
                        * greatest(0, 1 - base_rate * (1 + effect_middle))
                    ),
                    2
                ) / power(base_rate * effect_middle, 2)
            else
                2 * power(({{ significance_z }} + {{ power_z }}) * amount_deviation, 2)
                / power(cast(effect_middle_amount as double) / contacted_count, 2)
        end as needed_control

    from lifted

),

judged as (

    select
        *,
        coalesce(expected_profit > 0, false) as is_worthwhile,
        case
            when needed_control <= {{ largest_control }}
                then cast(greatest(2, ceiling(round(needed_control, 6))) as bigint)
        end as control_count,
        case
            when shop_baseline_amount > 0
                then cast(
                    {{ var('plan_target') }} * shop_baseline_amount as decimal(18, 4)
                )
        end as target_amount,
        case
            when no_plan_reason is null
                then {{ as_money(
                    var('plan_margin') ~ ' * cast(effect_middle_amount as double)'
                    ~ ' / contacted_count'
                ) }}
        end as largest_contact_cost

    from tested

),

-- Campaigns that pay, the most profitable first.
queued as (

    select
        *,
        coalesce(sum(effect_middle_amount) over (
            partition by is_worthwhile
            order by expected_profit desc, cluster_id asc
            rows between unbounded preceding and 1 preceding
        ), 0) as amount_before

    from judged

),

-- What pays is taken until the target is reached. The rest of it is held in reserve.
chosen as (

    select
        *,
        is_worthwhile
        and coalesce(amount_before < target_amount, true) as is_in_plan,
        coalesce(contacted_count >= 2 * control_count, false) as is_detectable

    from queued

),

summed as (

    select
        *,
        cast(
            sum(
                case when is_in_plan then effect_middle_amount else 0 end
            ) over () as decimal(18, 4)
        ) as planned_uplift_amount

    from chosen

),

compared as (

    select
        *,
        planned_uplift_amount >= target_amount as is_target_reached,
        case
            when planned_uplift_amount > 0 and planned_uplift_amount < target_amount
                then
                    cast(target_amount as double)
                    / cast(planned_uplift_amount as double)
        end as needed_multiple,
        case
            when shop_baseline_amount > 0
                then
                    cast(planned_uplift_amount as double)
                    / cast(shop_baseline_amount as double)
        end as planned_share,
        cast(largest_contact_cost as decimal(18, 2)) as rounded_contact_cost,
        floor(cast(largest_contact_cost as decimal(18, 2))) as whole_contact_cost,
        {{ with_separators('control_count') }} as control_words

    from summed

),

worded as (

    select
        *,
        case
            when no_plan_reason = 'no_customers'
                then 'Nobody is in this segment today.'
            when no_plan_reason = 'no_one_time_buyers'
                then 'Nobody in this segment has bought once only.'
            when no_plan_reason = 'no_history'
                then 'No such customer is known to have come back within a quarter.'
            when no_plan_reason = 'no_orders_expected'
                then 'No sales are expected of this segment that could be lifted.'
            when no_plan_reason = 'no_recommendations'
                then 'There is no product to recommend to this segment.'
            when no_plan_reason = 'all_returned'
                then 'This segment sends back all that it buys.'
            else concat(
                action_words,
                ' ',
                {{ with_separators('contacted_count') }},
                case
                    when lever = 'second_order' and contacted_count = 1
                        then ' one-time buyer'
                    when lever = 'second_order' then ' one-time buyers'
                    when contacted_count = 1 then ' customer'
                    else ' customers'
                end,
                ': adds ',
                {{ with_separators('effect_low_amount') }},
                ' to ',
                {{ with_separators('effect_high_amount') }},
                ' to a baseline of ',
                {{ with_separators('baseline_amount') }},
                '; ',
                case when is_worthwhile then 'pays' else 'would pay' end,
                ' up to ',
                {{ with_separators('whole_contact_cost') }},
                right(cast(rounded_contact_cost as string), 3),
                ' per contact',
                case when is_worthwhile then '; ' else ', less than it costs; ' end,
                case
                    when control_count is null
                        then 'no control group could show it.'
                    when is_detectable
                        then concat('a control group of ', control_words, ' shows it.')
                    else concat(
                        'too few to show it, which takes ', control_words,
                        ' in each of two groups.'
                    )
                end
            )
        end as finding,
        case
            when target_amount is null
                then 'No sales are expected that could be lifted.'
            when planned_uplift_amount = 0 and target_amount > 0
                then 'No campaign pays, so the plan adds nothing.'
            else concat(
                'The plan adds ',
                cast(cast(100 * planned_share as decimal(18, 1)) as string),
                ' % to a baseline of ',
                {{ with_separators('shop_baseline_amount') }},
                case
                    when is_target_reached then ', and reaches the target of '
                    else ', of the '
                end,
                cast(
                    cast(100 * {{ var('plan_target') }} as decimal(18, 1)) as string
                ),
                ' %',
                case
                    when is_target_reached then '.'
                    else concat(
                        ' asked for; effects would have to be ',
                        cast(cast(needed_multiple as decimal(18, 1)) as string),
                        ' times as large.'
                    )
                end
            )
        end as plan_finding

    from compared

),

final as (

    select
        -- keys
        cluster_id,

        -- attributes
        segment_name,
        lever,
        action,
        case when no_plan_reason is null then base_rate_meaning end
            as base_rate_meaning,
        effect_source,
        no_plan_reason,
        finding,
        plan_finding,

        -- measures
        segment_rank,
        customer_count,
        contacted_count,
        baseline_amount,
        case
            when shop_baseline_amount > 0
                then
                    cast(baseline_amount as double)
                    / cast(shop_baseline_amount as double)
        end as baseline_share,
        case when no_plan_reason is null then base_rate end as base_rate,
        assumed_effect,
        assumed_effect_low,
        assumed_effect_high,
        effect_middle_amount as expected_uplift_amount,
        effect_low_amount as uplift_low,
        effect_high_amount as uplift_high,
        case
            when shop_baseline_amount > 0
                then
                    cast(effect_middle_amount as double)
                    / cast(shop_baseline_amount as double)
        end as uplift_share,
        largest_contact_cost,
        contact_cost,
        expected_profit,
        control_count,
        shop_baseline_amount,
        target_amount,
        planned_uplift_amount,
        needed_multiple,

        -- flags
        is_worthwhile,
        is_in_plan,
        is_detectable,
        is_target_reached

    from worded

)

select * from final
