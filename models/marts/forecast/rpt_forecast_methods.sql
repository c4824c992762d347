-- One row per target (orders, amount) x method: how near it came over the origins,
-- beside the baselines, and whether it is used. Answers: why should I believe the
-- forecast?

-- So many origins a method has to prove itself at.
{%- set smallest_origin_count = 3 %}

with

scores as (

    select
        cast(origin_date as date) as origin_date,
        method,
        metric,
        value,
        reason,
        is_degenerate

    from {{ ref('ml_forecast_scores') }}

    where group_number is null

),

origins as (

    select
        origin_date,
        is_current,
        is_scored

    from {{ ref('int_forecast_origins') }}

),

methods as (

    select
        method,
        method_rank,
        is_baseline,
        meaning

    from {{ ref('forecast_methods') }}

),

metrics as (

    select
        metric,
        target,
        is_larger_better

    from {{ ref('forecast_metrics') }}

    where decides

),

scored as (

    select
        scores.method,
        metrics.target,
        count(scores.value) as origin_count,
        round(avg(scores.value), 9) as mean_value

    from scores

    inner join origins
        on
            scores.origin_date = origins.origin_date
            and origins.is_scored

    inner join metrics
        on scores.metric = metrics.metric

    group by
        scores.method,
        metrics.target

),

origin_totals as (

    select count(*) as origin_count

    from origins

    where is_scored

),

-- A fit that degenerates at any of these days is not to be trusted on the next.
flaws as (

    select
        scores.method,
        {{ dbt.bool_or('coalesce(scores.is_degenerate, false)') }} as is_degenerate,
        max(case when origins.is_current then scores.reason end) as current_reason,
        max(scores.reason) as any_reason,
        {{ dbt.bool_or(
            "origins.is_current and coalesce(scores.metric, '') != 'unmeasured'"
        ) }} as is_possible

    from scores

    inner join origins
        on scores.origin_date = origins.origin_date

    where
        origins.is_scored
        or origins.is_current

    group by scores.method

),

compared as (

    select
        metrics.target,
        metrics.metric,
        metrics.is_larger_better,
        methods.method,
        methods.method_rank,
        methods.is_baseline,
        methods.meaning,
        coalesce(scored.origin_count, 0) as origin_count,
        origin_totals.origin_count as all_origin_count,
        scored.mean_value,
        coalesce(flaws.is_degenerate, false) as is_degenerate,
        coalesce(flaws.current_reason, flaws.any_reason) as reason,
        coalesce(flaws.is_possible, false) as is_possible,
        -- So that less is better in all.
        case
            when metrics.is_larger_better then -1 * scored.mean_value
            else scored.mean_value
        end as loss

    from methods

    cross join metrics

    cross join origin_totals

    left outer join scored
        on
            methods.method = scored.method
            and metrics.target = scored.target

    left outer join flaws
        on methods.method = flaws.method

),

-- Baselines that every origin has, as the others must have been tried there too.
baselines as (

    select
        target,
        min(loss) as loss

    from compared

    where
        is_baseline
        and is_possible
        and origin_count = all_origin_count

    group by target

),

judged as (

    select
        compared.*,
        baselines.loss as baseline_loss,
        compared.is_possible
        and not compared.is_degenerate
        and (
            (
                compared.origin_count = compared.all_origin_count
                and compared.all_origin_count >= {{ smallest_origin_count }}
                and (
                    compared.is_baseline
                    or coalesce(compared.loss < baselines.loss, false)
                )
            )
            -- With too few origins to tell, the simplest is used.
            or (
                compared.all_origin_count < {{ smallest_origin_count }}
                and compared.is_baseline
            )
        ) as is_fit

    from compared

    left outer join baselines
        on compared.target = baselines.target

),

ranked as (

    select
        *,
        row_number() over (
            partition by target
            order by
                case when is_fit then 0 else 1 end,
                case
                    when all_origin_count >= {{ smallest_origin_count }} then loss
                end,
                method_rank
        ) as choice_rank

    from judged

),

chosen as (

    select
        *,
        is_fit and choice_rank = 1 as is_chosen,
        cast(cast(round(mean_value, 4) as decimal(18, 4)) as string) as value_text,
        cast(
            cast(
                round(
                    case
                        when is_larger_better then -1 * baseline_loss
                        else baseline_loss
                    end, 4
                ) as decimal(18, 4)
            ) as string
        ) as baseline_text

    from ranked

),

final as (

    select
        -- keys
        target,
        method,

        -- attributes
        metric,
        meaning,
        case
            when
                is_chosen and all_origin_count < {{ smallest_origin_count }}
                then concat(
                    'used: the simplest, since there are only ',
                    cast(all_origin_count as string),
                    ' origins to compare methods at'
                )
            when is_chosen and is_baseline
                then concat(
                    'used: nothing beats this baseline, whose mean is ', value_text
                )
            when is_chosen
                then concat(
                    'used: its mean is ', value_text, ', the best of all; the best',
                    ' baseline has ', baseline_text
                )
            when is_degenerate
                then concat('not used: the fit degenerates: ', coalesce(reason, ''))
            when not is_possible
                then concat('not possible: ', coalesce(reason, 'nothing was forecast'))
            when all_origin_count < {{ smallest_origin_count }}
                then concat(
                    'not used: only ', cast(all_origin_count as string),
                    ' origins to prove itself at'
                )
            when origin_count < all_origin_count
                then concat(
                    'not used: measured at ', cast(origin_count as string), ' of ',
                    cast(all_origin_count as string), ' origins only',
                    case
                        when reason is not null then concat(': ', reason) else ''
                    end
                )
            when is_baseline
                then concat('not used: its mean is ', value_text, ', another is better')
            when is_fit
                then concat(
                    'not used: beats the baselines with ', value_text,
                    ', another is better'
                )
            else concat(
                'not used: its mean is ', value_text, ', no better than a baseline''s ',
                baseline_text
            )
        end as reason,

        -- measures
        origin_count,
        mean_value,

        -- flags
        is_baseline,
        is_degenerate,
        is_chosen

    from chosen

)

select * from final
