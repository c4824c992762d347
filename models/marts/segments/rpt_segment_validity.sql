-- One row per origin x grouping x target, and one over all origins: how much of what
-- customers did next the segments foretell, and how others compare. Answers: are the
-- segments good for anything?

with

validity as (

    select
        scope,
        origin_date,
        outcome_end_date,
        grouping,
        target,
        scored_customer_count,
        customer_count,
        group_count,
        buyer_share,
        explained_variance,
        lower_bound,
        upper_bound,
        difference_to_segments,
        difference_lower_bound,
        difference_upper_bound,
        unmeasured_reason

    from {{ ref('ml_segment_validity') }}

),

ceilings as (

    select
        scope,
        target,
        explained_variance

    from validity

    where
        grouping = 'boosting'
        and explained_variance > 0

),

final as (

    select
        -- keys
        validity.scope,
        validity.grouping,
        validity.target,

        -- attributes
        -- Judged by the interval of the difference, which both groupings share the
        -- customers of: intervals of their own may overlap where one is better.
        case
            when validity.unmeasured_reason is not null then 'not measured'
            when validity.grouping = 'segments' then 'the segments themselves'
            when validity.difference_to_segments is null
                then 'no segments to compare with'
            when validity.difference_lower_bound > 0
                then 'explains more than the segments'
            when validity.difference_upper_bound < 0
                then 'explains less than the segments'
            else 'no clear difference from the segments'
        end as verdict,
        cast(validity.unmeasured_reason as string) as unmeasured_reason,

        -- measures
        validity.scored_customer_count,
        validity.customer_count,
        cast(validity.group_count as bigint) as group_count,
        validity.buyer_share,
        validity.explained_variance,
        validity.lower_bound,
        validity.upper_bound,
        validity.difference_to_segments,
        validity.difference_lower_bound,
        validity.difference_upper_bound,
        round(validity.explained_variance / ceilings.explained_variance, 9)
            as ceiling_share,

        -- flags
        validity.unmeasured_reason is null as is_enough,
        validity.customer_count < validity.scored_customer_count as is_sampled,

        -- times
        cast(validity.origin_date as date) as origin_date,
        cast(validity.outcome_end_date as date) as outcome_end_date

    from validity

    left outer join ceilings
        on
            validity.scope = ceilings.scope
            and validity.target = ceilings.target

)

select * from final
