-- One row per cluster model x cluster: the name that its place earns it, what that
-- means and what to do. Answers: what were segments called, under an earlier model too?

with

cluster_models as (

    select
        model_id,
        cluster_id,
        cluster_size,
        recency_z,
        frequency_z,
        monetary_z,
        name_recency_z,
        name_value_z,
        is_current

    from {{ ref('ml_cluster_models') }}

),

-- Users edit both seeds; a stray space is no level of its own.
levels as (

    select
        trim(measure) as measure,
        trim(level) as level_name,
        lower_z,
        upper_z

    from {{ ref('segment_levels') }}

),

rules as (

    select
        trim(recency_level) as recency_level,
        trim(value_level) as value_level,
        trim(segment_name) as segment_name,
        trim(meaning) as meaning,
        trim(strategy) as strategy,
        trim(recommended_action) as recommended_action,
        trim(second_action) as second_action,
        trim(third_action) as third_action

    from {{ ref('segment_rules') }}

),

-- The position is the same on each feature's row of a cluster. Rounded, so that the
-- last bit of a mean does not move a cluster over a level's edge.
clusters as (

    select distinct
        cluster_id,
        model_id,
        cluster_size,
        round(recency_z, 9) as recency_z,
        round((frequency_z + monetary_z) / 2, 9) as value_z,
        round(name_recency_z, 9) as name_recency_z,
        round(name_value_z, 9) as name_value_z,
        -- As RFM scores add up: recent, often, much.
        round(frequency_z + monetary_z - recency_z, 9) as rfm_z,
        is_current

    from cluster_models

),

-- A cluster without a position or a rule stays, without a name, and the contract stops
-- the build: better than one that is missing without a word.
placed as (

    select
        clusters.*,
        rules.recency_level,
        rules.value_level,
        rules.segment_name as base_name,
        rules.meaning as base_meaning,
        rules.strategy,
        rules.recommended_action,
        rules.second_action,
        rules.third_action,
        count(*) over (
            partition by
                clusters.model_id, rules.recency_level, rules.value_level
        ) as namesake_count,
        row_number() over (
            partition by
                clusters.model_id, rules.recency_level, rules.value_level
            order by clusters.name_value_z desc, clusters.cluster_id asc
        ) as namesake_rank,
        row_number() over (
            partition by clusters.model_id
            order by clusters.rfm_z desc, clusters.cluster_id asc
        ) as segment_rank

    from clusters

    left outer join levels as recency_levels
        on
            recency_levels.measure = 'recency'
            and (
                recency_levels.lower_z is null
                or clusters.name_recency_z > recency_levels.lower_z
            )
            and (
                recency_levels.upper_z is null
                or clusters.name_recency_z <= recency_levels.upper_z
            )

    left outer join levels as value_levels
        on
            value_levels.measure = 'value'
            and (
                value_levels.lower_z is null
                or clusters.name_value_z > value_levels.lower_z
            )
            and (
                value_levels.upper_z is null
                or clusters.name_value_z <= value_levels.upper_z
            )

    left outer join rules
        on
            recency_levels.level_name = rules.recency_level
            and value_levels.level_name = rules.value_level

),

-- Clusters in the same place are told apart by what they are worth.
named as (

    select
        *,
        case
            when namesake_count = 1 then base_name
            when namesake_count = 2 and namesake_rank = 1
                then concat(base_name, ', higher value')
            when namesake_count = 2 then concat(base_name, ', lower value')
            else
                concat(
                    base_name,
                    ', value rank ',
                    cast(namesake_rank as string),
                    ' of ',
                    cast(namesake_count as string)
                )
        end as segment_name,
        case
            when namesake_count = 1 then base_meaning
            when namesake_count = 2 and namesake_rank = 1
                then concat(base_meaning, ' The more valuable of two such segments.')
            when namesake_count = 2
                then concat(base_meaning, ' The less valuable of two such segments.')
            else
                concat(
                    base_meaning,
                    ' By value, number ',
                    cast(namesake_rank as string),
                    ' of ',
                    cast(namesake_count as string),
                    ' such segments.'
                )
        end as meaning

    from placed

),

final as (

    select
        -- keys
        model_id,
        cast(cluster_id as bigint) as cluster_id,

        -- attributes
        recency_level,
        value_level,
        segment_name,
        meaning,
        strategy,
        recommended_action,
        second_action,
        third_action,

        -- measures
        cast(segment_rank as bigint) as segment_rank,
        cast(cluster_size as bigint) as cluster_size,
        recency_z,
        value_z,

        -- flags
        is_current

    from named

)

select * from final
