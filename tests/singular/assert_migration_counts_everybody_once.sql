-- Snapshots after the first at which the customers, or the amounts, of the migration
-- table are not those of all known customers.

with

snapshots as (

    select
        snapshot_date,
        count(*) as customer_count,
        sum(monetary_value) as monetary_value

    from {{ ref('fct_customer_rfm') }}

    group by snapshot_date

),

migration as (

    select
        to_date,
        sum(customer_count) as customer_count,
        sum(monetary_value) as monetary_value

    from {{ ref('rpt_segment_migration') }}

    group by to_date

),

first_snapshot as (

    select min(snapshot_date) as snapshot_date

    from snapshots

)

select
    snapshots.snapshot_date,
    snapshots.customer_count,
    migration.customer_count as migrated_customer_count,
    snapshots.monetary_value,
    migration.monetary_value as migrated_monetary_value

from snapshots

full outer join migration
    on snapshots.snapshot_date = migration.to_date

cross join first_snapshot

where
    (
        snapshots.snapshot_date > first_snapshot.snapshot_date
        or snapshots.snapshot_date is null
    )
    and (
        migration.to_date is null
        or snapshots.snapshot_date is null
        or snapshots.customer_count <> migration.customer_count
        or snapshots.monetary_value <> migration.monetary_value
    )
