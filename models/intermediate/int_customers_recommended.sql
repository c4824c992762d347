-- One row per day of recommending x customer: how many baskets there are of the
-- customer, and the RFM segment of that day.

with

items as (

    select
        basket_number,
        customer_id,
        origin_date,
        is_counted,
        is_counted_at_origin

    from {{ ref('int_baskets_itemised') }}

),

segments as (

    select
        customer_id,
        snapshot_date,
        rfm_segment

    from {{ ref('int_customers_snapshotted') }}

    where
        rfm_segment is not null
        and (
            is_current
            or is_origin
        )

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

customer_baskets as (

    select
        as_of.as_of_date as made_on_date,
        items.customer_id,
        count(distinct items.basket_number) as basket_count

    from items

    cross join as_of

    where items.is_counted

    group by
        as_of.as_of_date,
        items.customer_id

    union all

    select
        origin_date as made_on_date,
        customer_id,
        count(distinct basket_number) as basket_count

    from items

    where is_counted_at_origin

    group by
        origin_date,
        customer_id

),

final as (

    select
        -- keys
        customer_baskets.made_on_date,
        customer_baskets.customer_id,

        -- attributes
        segments.rfm_segment,

        -- measures
        customer_baskets.basket_count

    from customer_baskets

    left outer join segments
        on
            customer_baskets.customer_id = segments.customer_id
            and customer_baskets.made_on_date = segments.snapshot_date

)

select * from final
