-- One row per group x calendar month in which it bought, the groups being countries
-- and, beside them, segments: rpt_sales_monthly for parts of the customers, guests a
-- part of their own. The groups of a kind add up to it. Answers: whose business grows?

-- Those of int_customers_grouped, which is empty where all are guests.
{%- set kinds = ['country', 'segment'] %}

with

invoices as (

    select
        customer_id,
        gross_amount,
        returned_amount,
        net_amount,
        counted_amount,
        is_counted,
        is_first_order,
        cast({{ dbt.date_trunc('month', 'ordered_at') }} as date) as sales_month

    from {{ ref('int_invoices_totalled') }}

),

members as (

    select
        customer_id,
        group_kind,
        group_name

    from {{ ref('int_customers_grouped') }}

),

kinds as (

    {%- for kind in kinds %}
    select '{{ kind }}' as group_kind
    {% if not loop.last %}
    union all
    {% endif %}
    {%- endfor %}

),

grouped as (

    select
        members.group_kind,
        members.group_name,
        invoices.*

    from invoices

    inner join members
        on invoices.customer_id = members.customer_id

    union all

    select
        kinds.group_kind,
        'Guests' as group_name,
        invoices.*

    from invoices

    cross join kinds

    where invoices.customer_id is null

),

totalled as (

    select
        group_kind,
        group_name,
        sales_month,
        sum(gross_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(counted_amount) as counted_amount,
        sum(case when is_counted then 1 else 0 end) as order_count,
        count(distinct case when is_counted then customer_id end) as customer_count,
        sum(case when is_first_order then 1 else 0 end) as new_customer_count

    from grouped

    group by
        group_kind,
        group_name,
        sales_month

),

final as (

    select
        -- keys
        group_kind,
        group_name,
        sales_month,

        -- measures
        cast(gross_amount as decimal(18, 4)) as gross_amount,
        cast(returned_amount as decimal(18, 4)) as returned_amount,
        cast(net_amount as decimal(18, 4)) as net_amount,
        cast(counted_amount as decimal(18, 4)) as counted_amount,
        cast(order_count as bigint) as order_count,
        customer_count,
        cast(new_customer_count as bigint) as new_customer_count,
        cast(customer_count - new_customer_count as bigint)
            as returning_customer_count,
        cast(counted_amount as double) / nullif(order_count, 0) as average_order_value

    from totalled

)

select * from final
