-- A draw strays from its share by no more than five standard deviations, which happens
-- by chance less than once in a million.

select
    campaign_id,
    count(*) as customer_count,
    sum(case when is_control then 1 else 0 end) as control_count

from {{ ref('fct_campaign_audiences') }}

group by campaign_id

having
    power(
        sum(case when is_control then 1 else 0 end)
        - count(*) * {{ var('campaign_control_share') }},
        2
    )
    > 25 * count(*) * {{ var('campaign_control_share') }}
    * (1 - {{ var('campaign_control_share') }})
