-- A customer is in every snapshot from the first month end after their first line on.

with

customers as (

    select
        customer_id,
        first_line_at

    from {{ ref('int_customers_totalled') }}

),

snapshots as (

    select snapshot_date

    from {{ ref('int_snapshot_dates') }}

    where
        is_month_end
        or is_current

),

rfm as (

    select
        customer_id,
        snapshot_date

    from {{ ref('fct_customer_rfm') }}

),

expected as (

    select
        customers.customer_id,
        snapshots.snapshot_date

    from customers

    inner join snapshots
        on customers.first_line_at < snapshots.snapshot_date

)

select
    expected.customer_id as expected_customer_id,
    rfm.customer_id

from expected

full outer join rfm
    on
        expected.customer_id = rfm.customer_id
        and expected.snapshot_date = rfm.snapshot_date

where
    expected.customer_id is null
    or rfm.customer_id is null
