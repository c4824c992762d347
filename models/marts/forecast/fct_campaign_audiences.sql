-- One row per customer x campaign: whom to write to, and who is held out at random so
-- that the campaign can be measured. Every customer with a segment is in the campaign
-- of that segment and month.

with

customer_segments as (

    select
        customer_id,
        cluster_id,
        segment_name,
        recommended_action,
        snapshot_date

    from {{ ref('dim_customer_segments') }}

    where cluster_id is not null

),

plans as (

    select
        cluster_id,
        lever

    from {{ ref('rpt_action_plan') }}

),

forecasts as (

    select
        customer_id,
        expected_orders,
        expected_amount

    from {{ ref('rpt_customer_forecast') }}

),

named as (

    select
        *,
        replace(lower(segment_name), ' ', '-') as segment_slug,
        substring(cast(snapshot_date as string), 1, 7) as audience_month

    from customer_segments

),

-- Nothing but the customer, the segment and the salt decides, so that no rerun, new
-- customer, order of rows or machine moves anybody. Chr(31) parts the values.
hashed as (

    select
        *,
        md5(concat_ws(
            chr(31),
            '{{ var("campaign_salt") }}',
            segment_slug,
            customer_id
        )) as assignment_hash

    from named

),

assigned as (

    select
        *,
        {{ hash_bucket('assignment_hash') }} as control_bucket

    from hashed

),

final as (

    select
        -- keys
        concat(assigned.segment_slug, '-', assigned.audience_month) as campaign_id,
        assigned.customer_id,
        assigned.cluster_id,

        -- attributes
        concat(assigned.segment_name, ', ', assigned.audience_month) as campaign_name,
        assigned.segment_name,
        plans.lever,
        assigned.recommended_action,

        -- measures
        assigned.control_bucket,
        forecasts.expected_orders,
        forecasts.expected_amount,

        -- flags
        assigned.control_bucket < 10000 * {{ var('campaign_control_share') }}
            as is_control,

        -- times
        assigned.snapshot_date as audience_date

    from assigned

    left outer join plans
        on assigned.cluster_id = plans.cluster_id

    left outer join forecasts
        on assigned.customer_id = forecasts.customer_id

)

select * from final
