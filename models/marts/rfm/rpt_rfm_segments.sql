-- One row per group x RFM segment, of today: how many customers carry the name, and
-- what they are worth; 0 where nobody does. Groups are everybody, and beside them
-- countries and segments. Answers: how many champions do we have, and how many are at
-- risk?

with

customers as (

    select
        customer_id,
        rfm_segment,
        recency_days,
        frequency,
        monetary_value

    from {{ ref('fct_customer_rfm') }}

    where
        is_current
        and rfm_code is not null

),

members as (

    select
        customer_id,
        group_kind,
        group_name

    from {{ ref('int_customers_grouped') }}

    union all

    select
        customer_id,
        'all' as group_kind,
        'All' as group_name

    from {{ ref('dim_customers') }}

),

names as (

    select distinct rfm_segment

    from {{ ref('rfm_segments') }}

),

kept as (

    select
        members.group_kind,
        members.group_name,
        customers.rfm_segment,
        customers.recency_days,
        customers.frequency,
        customers.monetary_value

    from customers

    inner join members
        on customers.customer_id = members.customer_id

),

named as (

    select
        group_kind,
        group_name,
        rfm_segment,
        count(*) as customer_count,
        sum(monetary_value) as monetary_value,
        avg(cast(recency_days as double)) as mean_recency_days,
        avg(cast(frequency as double)) as mean_frequency

    from kept

    group by
        group_kind,
        group_name,
        rfm_segment

),

totals as (

    select
        group_kind,
        group_name,
        count(*) as customer_count,
        sum(monetary_value) as monetary_value

    from kept

    group by
        group_kind,
        group_name

),

final as (

    select
        -- keys
        totals.group_kind,
        totals.group_name,
        names.rfm_segment,

        -- measures
        coalesce(named.customer_count, 0) as customer_count,
        cast(coalesce(named.customer_count, 0) as double)
        / totals.customer_count as customer_share,
        cast(coalesce(named.monetary_value, 0) as decimal(18, 4)) as monetary_value,
        cast(coalesce(named.monetary_value, 0) as double)
        / nullif(cast(totals.monetary_value as double), 0) as monetary_share,
        named.mean_recency_days,
        named.mean_frequency

    from totals

    cross join names

    left outer join named
        on
            totals.group_kind = named.group_kind
            and totals.group_name = named.group_name
            and names.rfm_segment = named.rfm_segment

)

select * from final
