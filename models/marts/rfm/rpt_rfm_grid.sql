-- One row per group x recency score x frequency score, of today: how many customers
-- have the two scores, and what they are worth; 0 where nobody has. Groups are
-- everybody, and beside them countries and segments. Answers: where do our customers
-- stand?

with

customers as (

    select
        customer_id,
        r_score,
        f_score,
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

scores as (

    select distinct
        cast(substr(cast(rfm_code as string), 1, 1) as bigint) as r_score,
        cast(substr(cast(rfm_code as string), 2, 1) as bigint) as f_score

    from {{ ref('rfm_segments') }}

),

kept as (

    select
        members.group_kind,
        members.group_name,
        customers.r_score,
        customers.f_score,
        customers.recency_days,
        customers.frequency,
        customers.monetary_value

    from customers

    inner join members
        on customers.customer_id = members.customer_id

),

cells as (

    select
        group_kind,
        group_name,
        r_score,
        f_score,
        count(*) as customer_count,
        sum(monetary_value) as monetary_value,
        avg(cast(recency_days as double)) as mean_recency_days,
        avg(cast(frequency as double)) as mean_frequency

    from kept

    group by
        group_kind,
        group_name,
        r_score,
        f_score

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
        scores.r_score,
        scores.f_score,

        -- measures
        coalesce(cells.customer_count, 0) as customer_count,
        cast(coalesce(cells.customer_count, 0) as double)
        / totals.customer_count as customer_share,
        cast(coalesce(cells.monetary_value, 0) as decimal(18, 4)) as monetary_value,
        cast(coalesce(cells.monetary_value, 0) as double)
        / nullif(cast(totals.monetary_value as double), 0) as monetary_share,
        cells.mean_recency_days,
        cells.mean_frequency

    from totals

    cross join scores

    left outer join cells
        on
            totals.group_kind = cells.group_kind
            and totals.group_name = cells.group_name
            and scores.r_score = cells.r_score
            and scores.f_score = cells.f_score

)

select * from final
