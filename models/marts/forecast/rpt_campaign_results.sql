-- One row per launched campaign: what the treated bought in its window and what the
-- control group bought, which differ by the campaign and by chance alone. Everybody
-- counts in the group that was drawn, reached by the mail or not. Answers: did the
-- campaign work, and what did it bring in?

-- Of the normal distribution, for an interval that holds 95 % of the time.
{%- set z = 1.959964 %}

with

audiences as (

    select
        campaign_id,
        customer_id,
        is_control,
        launched_date,
        window_days

    from {{ ref('stg_campaigns__audiences') }}

),

orders as (

    select
        customer_id,
        counted_amount,
        ordered_at

    from {{ ref('int_orders_counted') }}

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

windowed as (

    select
        campaign_id,
        customer_id,
        is_control,
        launched_date,
        cast(
            {{ dbt.dateadd('day', 'window_days', 'launched_date') }} as date
        ) as window_end_date

    from audiences

),

-- Who bought nothing counts too, with nothing. 19 digits, so that squares have room.
customers as (

    select
        windowed.campaign_id,
        windowed.customer_id,
        windowed.is_control,
        windowed.launched_date,
        windowed.window_end_date,
        count(orders.customer_id) as order_count,
        cast(coalesce(sum(orders.counted_amount), 0) as decimal(19, 4)) as amount

    from windowed

    left outer join orders
        on
            windowed.customer_id = orders.customer_id
            and windowed.launched_date <= orders.ordered_at
            and windowed.window_end_date > orders.ordered_at

    group by
        windowed.campaign_id,
        windowed.customer_id,
        windowed.is_control,
        windowed.launched_date,
        windowed.window_end_date

),

-- Squares are added up as decimals, so that their order does not matter.
counted as (

    select
        campaign_id,
        launched_date,
        window_end_date,
        sum(case when is_control then 0 else 1 end) as treated_count,
        sum(case when is_control then 1 else 0 end) as control_count,
        sum(case when not is_control and order_count > 0 then 1 else 0 end)
            as treated_buyer_count,
        sum(case when is_control and order_count > 0 then 1 else 0 end)
            as control_buyer_count,
        sum(case when is_control then 0 else order_count end) as treated_order_count,
        sum(case when is_control then order_count else 0 end) as control_order_count,
        sum(case when is_control then 0 else amount end) as treated_amount,
        sum(case when is_control then amount else 0 end) as control_amount,
        sum(case when is_control then 0 else amount * amount end) as treated_squares,
        sum(case when is_control then amount * amount else 0 end) as control_squares

    from customers

    group by
        campaign_id,
        launched_date,
        window_end_date

),

per_customer as (

    select
        counted.*,
        as_of.as_of_date,
        counted.window_end_date <= as_of.as_of_date as is_finished,
        cast(counted.treated_count as double) as n_treated,
        cast(counted.control_count as double) as n_control,
        counted.treated_buyer_count / nullif(cast(counted.treated_count as double), 0)
            as treated_buyer_share,
        counted.control_buyer_count / nullif(cast(counted.control_count as double), 0)
            as control_buyer_share,
        cast(counted.treated_amount as double)
        / nullif(cast(counted.treated_count as double), 0) as treated_mean,
        cast(counted.control_amount as double)
        / nullif(cast(counted.control_count as double), 0) as control_mean,
        -- In the smaller group, if the campaign did nothing.
        (counted.treated_buyer_count + counted.control_buyer_count)
        * cast(least(counted.treated_count, counted.control_count) as double)
        / (counted.treated_count + counted.control_count) as expected_buyer_count,
        least(counted.treated_count, counted.control_count) as smaller_count

    from counted

    cross join as_of

),

reasoned as (

    select
        *,
        case
            when not is_finished then 'not_finished'
            when control_count = 0 then 'no_control'
            when treated_count = 0 then 'nobody_treated'
            when treated_buyer_count + control_buyer_count = 0 then 'nobody_bought'
            when smaller_count < 30 or expected_buyer_count < 5 then 'too_few'
        end as unmeasured_reason

    from per_customer

),

-- Standard errors: of two proportions, unpooled; of two means with one variance, which
-- is what the draw itself would give to a campaign that does nothing. With variances of
-- their own (Welch), a few giants, who are all in one group, make the error too small.
spread as (

    select
        *,
        treated_buyer_share - control_buyer_share as share_uplift,
        treated_mean - control_mean as mean_uplift,
        sqrt(
            treated_buyer_share * (1 - treated_buyer_share) / n_treated
            + control_buyer_share * (1 - control_buyer_share) / n_control
        ) as share_error,
        sqrt(
            greatest(
                cast(treated_squares as double)
                - n_treated * treated_mean * treated_mean
                + cast(control_squares as double)
                - n_control * control_mean * control_mean,
                0
            )
            / (n_treated + n_control - 2)
            * (1 / n_treated + 1 / n_control)
        ) as mean_error

    from reasoned

    where unmeasured_reason is null

),

measured as (

    select
        campaign_id,
        n_treated,
        share_uplift,
        share_uplift - {{ z }} * share_error as share_low,
        share_uplift + {{ z }} * share_error as share_high,
        mean_uplift,
        mean_uplift - {{ z }} * mean_error as mean_low,
        mean_uplift + {{ z }} * mean_error as mean_high,
        -- Where nearly everybody buys, the interval of the share is too narrow.
        smaller_count - expected_buyer_count >= 5 as has_others

    from spread

),

judged as (

    select
        *,
        mean_low > 0 or mean_high < 0 as is_significant,
        has_others and (share_low > 0 or share_high < 0) as is_share_significant

    from measured

),

final as (

    select
        -- keys
        reasoned.campaign_id,

        -- attributes
        case
            when reasoned.unmeasured_reason = 'not_finished'
                then 'Not finished yet.'
            when reasoned.unmeasured_reason = 'no_control'
                then 'Cannot be measured: nobody was held out.'
            when reasoned.unmeasured_reason = 'nobody_treated'
                then 'Cannot be measured: everybody was held out.'
            when reasoned.unmeasured_reason = 'nobody_bought'
                then 'Nobody bought, treated or not.'
            when reasoned.unmeasured_reason = 'too_few'
                then 'Cannot be measured: too few customers or buyers.'
            when judged.mean_low > 0
                then 'Worked: the treated spent more than the control group.'
            when judged.mean_high < 0
                then 'Did harm: the treated spent less than the control group.'
            when judged.is_share_significant and judged.share_uplift > 0
                then 'More of the treated bought; that they spent more is not shown.'
            when judged.is_share_significant
                then 'Fewer of the treated bought; that they spent less is not shown.'
            else 'No effect is shown: the difference may be chance.'
        end as result,
        reasoned.unmeasured_reason,

        -- measures
        cast(reasoned.treated_count as bigint) as treated_count,
        cast(reasoned.control_count as bigint) as control_count,
        cast(reasoned.treated_buyer_count as bigint) as treated_buyer_count,
        cast(reasoned.control_buyer_count as bigint) as control_buyer_count,
        cast(reasoned.treated_order_count as bigint) as treated_order_count,
        cast(reasoned.control_order_count as bigint) as control_order_count,
        cast(reasoned.treated_amount as decimal(18, 4)) as treated_amount,
        cast(reasoned.control_amount as decimal(18, 4)) as control_amount,
        reasoned.treated_order_count / nullif(reasoned.n_treated, 0)
            as treated_orders_per_customer,
        reasoned.control_order_count / nullif(reasoned.n_control, 0)
            as control_orders_per_customer,
        {{ as_money('reasoned.treated_mean') }} as treated_amount_per_customer,
        {{ as_money('reasoned.control_mean') }} as control_amount_per_customer,
        reasoned.treated_buyer_share,
        reasoned.control_buyer_share,
        judged.share_uplift as buyer_share_uplift,
        judged.share_low as buyer_share_uplift_low,
        judged.share_high as buyer_share_uplift_high,
        {{ as_money('judged.mean_uplift') }} as amount_uplift,
        {{ as_money('judged.mean_low') }} as amount_uplift_low,
        {{ as_money('judged.mean_high') }} as amount_uplift_high,
        {{ as_money('judged.mean_uplift * judged.n_treated') }}
            as incremental_amount,
        {{ as_money('judged.mean_low * judged.n_treated') }}
            as incremental_amount_low,
        {{ as_money('judged.mean_high * judged.n_treated') }}
            as incremental_amount_high,

        -- flags
        reasoned.is_finished,
        judged.is_significant,
        judged.is_share_significant as is_buyer_share_significant,

        -- times
        reasoned.launched_date as window_start_date,
        reasoned.window_end_date

    from reasoned

    left outer join judged
        on reasoned.campaign_id = judged.campaign_id

)

select * from final
