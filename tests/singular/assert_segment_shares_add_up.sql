-- The shares of customers, of monetary value and of returns each add up to 1, where
-- there is any.

with

segments as (

    select
        customer_count,
        monetary_value,
        returned_amount,
        customer_share,
        monetary_share,
        returned_share

    from {{ ref('dim_segments') }}

),

added as (

    select
        sum(customer_count) as customer_count,
        sum(monetary_value) as monetary_value,
        sum(returned_amount) as returned_amount,
        sum(customer_share) as customer_share,
        sum(monetary_share) as monetary_share,
        sum(returned_share) as returned_share

    from segments

)

select
    customer_share,
    monetary_share,
    returned_share

from added

where
    abs(customer_share - case when customer_count > 0 then 1 else 0 end) > 0.000001
    or abs(monetary_share - case when monetary_value > 0 then 1 else 0 end) > 0.000001
    or abs(returned_share - case when returned_amount > 0 then 1 else 0 end) > 0.000001
