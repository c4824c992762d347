-- Kinds of groups whose cells of the RFM grid, or whose RFM segments, do not hold every
-- customer with a score, and what they are worth, once.

with

customers as (

    select
        count(*) as customer_count,
        sum(monetary_value) as monetary_value

    from {{ ref('fct_customer_rfm') }}

    where
        is_current
        and rfm_code is not null

),

tables as (

    select
        'rpt_rfm_grid' as table_name,
        group_kind,
        customer_count,
        monetary_value

    from {{ ref('rpt_rfm_grid') }}

    union all

    select
        'rpt_rfm_segments' as table_name,
        group_kind,
        customer_count,
        monetary_value

    from {{ ref('rpt_rfm_segments') }}

),

added_up as (

    select
        table_name,
        group_kind,
        sum(customer_count) as customer_count,
        sum(monetary_value) as monetary_value

    from tables

    group by
        table_name,
        group_kind

)

select
    added_up.table_name,
    added_up.group_kind,
    customers.customer_count,
    added_up.customer_count as group_customer_count

from added_up

cross join customers

where
    added_up.customer_count != customers.customer_count
    or added_up.monetary_value != customers.monetary_value
