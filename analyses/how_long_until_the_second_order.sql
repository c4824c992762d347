-- How long is it until the second order? The share of customers who have ordered on
-- another day after so many days, of those who first ordered longer ago than that:
-- nobody is counted as staying away who has not had the time.

with

as_of as (

    select max(snapshot_date) as as_of_date

    from {{ ref('fct_customer_rfm') }}

    where is_current

),

orders as (

    select
        customer_id,
        cast(ordered_at as date) as order_date,
        cast(min(ordered_at) over (partition by customer_id) as date) as first_date

    from {{ ref('fct_orders') }}

    where not is_guest

),

customers as (

    select
        customer_id,
        first_date,
        min(case when order_date > first_date then order_date end) as second_date

    from orders

    group by
        customer_id,
        first_date

),

waits as (

    select
        {{ dbt.datediff('customers.first_date', 'as_of.as_of_date', 'day') }}
            as days_observed,
        {{ dbt.datediff('customers.first_date', 'customers.second_date', 'day') }}
            as days_waited

    from customers

    cross join as_of

),

spans as (
    {%- for days in [7, 14, 30, 60, 90, 180, 270, 365] %}

    select {{ days }} as within_days
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

)

select
    spans.within_days,
    count(*) as customer_count,
    sum(case when waits.days_waited <= spans.within_days then 1 else 0 end)
        as returned_customers,
    avg(case when waits.days_waited <= spans.within_days then 1.0 else 0.0 end)
        as returned_share

from waits

inner join spans
    on waits.days_observed > spans.within_days

group by spans.within_days

order by spans.within_days
