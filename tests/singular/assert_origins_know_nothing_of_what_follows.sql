-- What a back-test knows of a customer ends before its origin, and what is to be
-- foretold lies wholly before the as-of date.

with

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

outcomes as (

    select
        customer_id,
        origin_date,
        outcome_end_date

    from {{ ref('int_customers_outcomes') }}

),

snapshots as (

    select
        customer_id,
        snapshot_date,
        last_purchase_at

    from {{ ref('int_customers_snapshotted') }}

    where is_origin

)

select
    outcomes.customer_id,
    outcomes.origin_date,
    outcomes.outcome_end_date,
    snapshots.last_purchase_at

from outcomes

inner join snapshots
    on
        outcomes.customer_id = snapshots.customer_id
        and outcomes.origin_date = snapshots.snapshot_date

cross join as_of

where
    snapshots.last_purchase_at >= outcomes.origin_date
    or outcomes.outcome_end_date <= outcomes.origin_date
    or outcomes.outcome_end_date > as_of.as_of_date
