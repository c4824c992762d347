-- One row per customer with an RFM score x origin of the back-tests: what they bought
-- from that day on. Apart from the features, so that none of them can see it.

with

customers as (

    select
        customer_id,
        snapshot_date

    from {{ ref('int_customers_snapshotted') }}

    where
        is_origin
        and unscored_reason is null

),

origins as (

    select
        snapshot_date,
        outcome_end_date

    from {{ ref('int_snapshot_dates') }}

    where is_origin

),

orders as (

    select
        customer_id,
        counted_amount,
        ordered_at

    from {{ ref('int_orders_counted') }}

),

bought as (

    select
        orders.customer_id,
        origins.snapshot_date,
        count(*) as order_count,
        sum(orders.counted_amount) as counted_amount

    from orders

    inner join origins
        on
            orders.ordered_at >= origins.snapshot_date
            and orders.ordered_at < origins.outcome_end_date

    group by
        orders.customer_id,
        origins.snapshot_date

),

final as (

    select
        -- keys
        customers.customer_id,
        customers.snapshot_date as origin_date,

        -- attributes
        origins.outcome_end_date,

        -- measures
        -- Back-tests of a large shop measure a sample: the first of this order, which
        -- is the same in every build and has nothing to do with how somebody buys.
        row_number() over (
            partition by customers.snapshot_date
            order by md5(customers.customer_id), customers.customer_id
        ) as sample_number,
        count(*) over (partition by customers.snapshot_date) as scored_customer_count,
        coalesce(bought.order_count, 0) as next_order_count,
        cast(coalesce(bought.counted_amount, 0) as decimal(18, 4)) as next_amount,

        -- flags
        bought.order_count is not null as has_bought

    from customers

    inner join origins
        on customers.snapshot_date = origins.snapshot_date

    left outer join bought
        on
            customers.customer_id = bought.customer_id
            and customers.snapshot_date = bought.snapshot_date

)

select * from final
