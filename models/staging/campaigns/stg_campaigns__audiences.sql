-- One row per customer x launched campaign, as recorded when the audience was exported.
-- No rows where nothing has been launched.

{%- set audiences = source('campaigns', 'audiences') %}

with

source as (

    {% if has_campaigns() -%}
    select
        campaign_id,
        customer_id,
        is_control,
        launched_date,
        window_days

    from {{ audiences }}
    {%- else -%}
    select
        cast(null as string) as campaign_id,
        cast(null as string) as customer_id,
        cast(null as boolean) as is_control,
        cast(null as date) as launched_date,
        cast(null as bigint) as window_days

    where false
    {%- endif %}

),

final as (

    select
        -- keys
        cast(campaign_id as string) as campaign_id,
        cast(customer_id as string) as customer_id,

        -- measures
        cast(window_days as bigint) as window_days,

        -- flags
        cast(is_control as boolean) as is_control,

        -- times
        cast(launched_date as date) as launched_date

    from source

)

select * from final
