-- One row per clustered customer: the rule that describes them, how clearly they are in
-- their segment, and the smallest single change that would move them to a better one.
-- Answers: why is this customer in this segment, and what would it take?
--
-- Along one feature, all else equal, the squared distances to two centroids differ by
-- a straight line, so two clusters meet in one point. The points at which a better
-- cluster meets one that is not are the only places where a customer can enter a better
-- segment; the first whole day, order or penny beyond each is scored like any customer,
-- and the smallest that does land in a better segment is kept.

with

customers as (

    select
        customer_id,
        recency_days,
        frequency,
        monetary_value,
        product_count,
        tenure_days,
        days_between_orders,
        average_order_value,
        items_per_order,
        return_rate

    from {{ ref('fct_customer_rfm') }}

    where
        is_current
        and unscored_reason is null

),

placed as (

    select
        customer_id,
        cluster_id,
        runner_up_cluster_id,
        model_id,
        distance_to_centroid,
        runner_up_margin

    from {{ ref('fct_customer_segments') }}

    where is_current

),

segments as (

    select
        cluster_id,
        segment_name,
        segment_rank

    from {{ ref('dim_segments') }}

),

rules as (

    select *

    from {{ ref('rpt_segment_rules') }}

),

models as (

    select
        model_id,
        cluster_id,
        transform,
        feature,
        feature_mean,
        feature_deviation,
        centroid_z

    from {{ ref('dim_cluster_centroids') }}

    where is_current

),

centroids as (
    {{ centroids_by_feature('models') }}
),

-- The three measures that a customer can change by the next purchase, if the model uses
-- them: the smallest step, and the direction that is an improvement.
measures as (

    select
        cluster_id,
        feature as measure,
        transform,
        feature_mean,
        feature_deviation,
        centroid_z,
        case when feature = 'recency_days' then -1 else 1 end as direction,
        case when feature = 'monetary_value' then 0.01 else 1 end as step

    from models

    where feature in ('recency_days', 'frequency', 'monetary_value')

),

distances as (

    select
        customers.*,
        placed.cluster_id as own_cluster_id,
        own.segment_rank as own_rank,
        centroids.cluster_id,
        segments.segment_rank,
        {{- squared_distance('customers', 'centroids') }} as squared_distance

    from customers

    inner join placed
        on customers.customer_id = placed.customer_id

    inner join segments as own
        on placed.cluster_id = own.cluster_id

    cross join centroids

    inner join segments
        on centroids.cluster_id = segments.cluster_id

),

located as (

    select
        distances.customer_id,
        distances.cluster_id,
        distances.own_rank,
        distances.segment_rank,
        distances.squared_distance,
        measures.measure,
        measures.transform,
        measures.feature_mean,
        measures.feature_deviation,
        measures.centroid_z,
        measures.direction,
        measures.step,
        case measures.measure
            when 'recency_days' then cast(distances.recency_days as double)
            when 'frequency' then cast(distances.frequency as double)
            else cast(distances.monetary_value as double)
        end as measured

    from distances

    inner join measures
        on distances.cluster_id = measures.cluster_id

),

scaled as (

    select
        *,
        (
            case when transform = 'log1p' then ln(1 + measured) else measured end
            - feature_mean
        ) / feature_deviation as z

    from located

),

-- A better cluster is nearer than all that are not from the last of its meetings with
-- them on, so the others are no places to enter it.
meetings as (

    select
        unimproved.customer_id,
        unimproved.measure,
        better.cluster_id,
        min(unimproved.measured) as measured,
        max(
            unimproved.direction
            * (
                (
                    better.squared_distance
                    - power(better.z - better.centroid_z, 2)
                    + power(better.centroid_z, 2)
                )
                - (
                    unimproved.squared_distance
                    - power(unimproved.z - unimproved.centroid_z, 2)
                    + power(unimproved.centroid_z, 2)
                )
            ) / (2 * (better.centroid_z - unimproved.centroid_z))
        ) as furthest_meeting

    from scaled as unimproved

    inner join scaled as better
        on
            unimproved.customer_id = better.customer_id
            and unimproved.measure = better.measure
            and unimproved.segment_rank >= unimproved.own_rank
            and better.segment_rank < better.own_rank
            and (better.centroid_z - unimproved.centroid_z) * unimproved.direction > 0

    group by
        unimproved.customer_id,
        unimproved.measure,
        better.cluster_id

),

in_units as (

    select
        meetings.customer_id,
        meetings.measure,
        meetings.measured,
        measures.direction,
        measures.step,
        case
            when measures.transform = 'log1p'
                -- Beyond this a number of days, orders or pounds makes no sense.
                then exp(least(
                    measures.direction * meetings.furthest_meeting
                    * measures.feature_deviation
                    + measures.feature_mean,
                    25
                )) - 1
            else
                measures.direction * meetings.furthest_meeting
                * measures.feature_deviation
                + measures.feature_mean
        end as meeting

    from meetings

    inner join measures
        on
            meetings.cluster_id = measures.cluster_id
            and meetings.measure = measures.measure

),

-- The last bits of a meeting point next to a whole step may put it on either side. A
-- tie goes to the smaller cluster number, and a penny may be too little to tell one.
steps as (

    select -1 as further

    union all

    select 0 as further

    union all

    select 1 as further

),

proposals as (

    select distinct
        in_units.customer_id,
        in_units.measure,
        in_units.measured,
        cast(
            case
                when in_units.direction < 0
                    then floor(in_units.meeting) - steps.further
                else
                    (ceil(in_units.meeting / in_units.step) + steps.further)
                    * in_units.step
            end as decimal(28, 2)
        ) as proposed

    from in_units

    cross join steps

    where
        abs(in_units.meeting) < 10000000000
        and (
            steps.further = 0
            or (steps.further = 1 and in_units.step < 1)
            or abs(
                in_units.meeting / in_units.step
                - round(in_units.meeting / in_units.step)
            ) <= 1e-6 * greatest(1, abs(in_units.meeting / in_units.step))
        )

),

changed as (

    select
        customers.customer_id,
        proposals.measure,
        proposals.proposed,
        case
            when proposals.measure = 'recency_days' then proposals.proposed
            else customers.recency_days
        end as recency_days,
        case
            when proposals.measure = 'frequency' then proposals.proposed
            else customers.frequency
        end as frequency,
        case
            when proposals.measure = 'monetary_value' then proposals.proposed
            else customers.monetary_value
        end as monetary_value,
        customers.product_count,
        customers.tenure_days,
        customers.days_between_orders,
        customers.average_order_value,
        customers.items_per_order,
        customers.return_rate,
        abs(cast(proposals.proposed as double) - proposals.measured) as size_of_change

    from proposals

    inner join customers
        on proposals.customer_id = customers.customer_id

    where
        (
            proposals.measure = 'recency_days'
            and proposals.proposed >= 1
            and proposals.proposed < proposals.measured
        )
        or (
            proposals.measure <> 'recency_days'
            and proposals.proposed > proposals.measured
        )

),

rescored as (

    select
        changed.customer_id,
        changed.measure,
        changed.proposed,
        changed.size_of_change,
        centroids.cluster_id,
        {{- squared_distance('changed', 'centroids') }} as squared_distance

    from changed

    cross join centroids

),

-- Distances have nine decimals, so that less than the ninth decides a tie.
reached as (

    select
        customer_id,
        measure,
        proposed,
        min(size_of_change) as size_of_change,
        min_by(cluster_id, squared_distance + cluster_id * 1e-11) as cluster_id

    from rescored

    group by
        customer_id,
        measure,
        proposed

),

verified as (

    select
        reached.customer_id,
        reached.measure,
        reached.proposed,
        reached.size_of_change,
        reached.cluster_id,
        row_number() over (
            partition by reached.customer_id, reached.measure
            order by reached.size_of_change, reached.proposed
        ) as change_rank

    from reached

    inner join placed
        on reached.customer_id = placed.customer_id

    inner join segments as own
        on placed.cluster_id = own.cluster_id

    inner join segments as better
        on reached.cluster_id = better.cluster_id

    where better.segment_rank < own.segment_rank

),

-- What is smallest is told in standard deviations of the model, since days, orders and
-- money have no common unit.
weighed as (

    select
        verified.customer_id,
        verified.measure,
        verified.proposed,
        verified.size_of_change,
        verified.cluster_id,
        row_number() over (
            partition by verified.customer_id
            order by
                round(abs(
                    case
                        when scaled.transform = 'log1p'
                            then ln(1 + cast(verified.proposed as double))
                        else cast(verified.proposed as double)
                    end
                    - scaled.feature_mean - scaled.z * scaled.feature_deviation
                ) / scaled.feature_deviation, 9),
                verified.measure
        ) as size_rank

    from verified

    inner join placed
        on verified.customer_id = placed.customer_id

    inner join scaled
        on
            verified.customer_id = scaled.customer_id
            and verified.measure = scaled.measure
            and placed.cluster_id = scaled.cluster_id

    where verified.change_rank = 1

),

changes as (

    select
        customer_id,
        max(case when measure = 'recency_days' then size_of_change end) as fewer_days,
        max(case when measure = 'frequency' then size_of_change end) as more_orders,
        max(case when measure = 'monetary_value' then size_of_change end)
            as more_amount,
        max(case when size_rank = 1 then measure end) as smallest_change,
        max(case when size_rank = 1 then proposed end) as smallest_change_to,
        max(case when size_rank = 1 then cluster_id end) as better_cluster_id

    from weighed

    group by customer_id

),

-- The rules' leaves part the customers, so one rule holds for each. No feature is below
-- 0, nor beyond the bound that stands for none.
ruled as (

    select
        customers.customer_id,
        rules.rule_number,
        rules.conditions,
        rules.cluster_id as rule_cluster_id

    from customers

    cross join rules

    where
        true
        {%- for feature in clusterable_features() %}
        and customers.{{ feature }} > coalesce(rules.{{ feature }}_above, -1)
        and customers.{{ feature }} <= coalesce(rules.{{ feature }}_up_to, 1e18)
        {%- endfor %}

),

final as (

    select
        -- keys
        placed.customer_id,
        placed.cluster_id,
        placed.runner_up_cluster_id,
        changes.better_cluster_id,
        ruled.rule_number,
        placed.model_id,

        -- attributes
        own.segment_name,
        ruled.conditions as rule_conditions,
        better.segment_name as better_segment_name,
        changes.smallest_change,

        -- measures
        placed.distance_to_centroid,
        placed.runner_up_margin,
        cast(changes.smallest_change_to as double) as smallest_change_to,
        cast(changes.fewer_days as bigint) as fewer_days,
        cast(changes.more_orders as bigint) as more_orders,
        cast(changes.more_amount as decimal(18, 4)) as more_amount,

        -- flags
        ruled.rule_cluster_id = placed.cluster_id as is_rule_right

    from placed

    inner join segments as own
        on placed.cluster_id = own.cluster_id

    left outer join changes
        on placed.customer_id = changes.customer_id

    left outer join segments as better
        on changes.better_cluster_id = better.cluster_id

    left outer join ruled
        on placed.customer_id = ruled.customer_id

)

select * from final
