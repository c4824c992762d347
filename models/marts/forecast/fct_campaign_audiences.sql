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
        concat(segment_slug, '-', audience_month) as campaign_id,
        customer_id,
        cluster_id,

        -- attributes
        concat(segment_name, ', ', audience_month) as campaign_name,
        segment_name,
        recommended_action,

        -- measures
        control_bucket,

        -- flags
        control_bucket < 10000 * {{ var('campaign_control_share') }} as is_control,

        -- times
        snapshot_date as audience_date

    from assigned

)

select * from final
