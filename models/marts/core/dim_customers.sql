-- One row per known customer with any usable line: what they bought, kept and sent
-- back, what they like, and the keys of their segments. Answers: who are our best
-- customers?

with

customers as (

    select
        customer_id,
        country_name,
        line_count,
        country_count,
        order_count,
        returned_order_count,
        purchased_quantity,
        returned_quantity,
        gross_amount,
        returned_amount,
        net_amount,
        unmatched_return_amount,
        other_amount,
        first_order_at,
        last_order_at,
        first_line_at,
        last_line_at

    from {{ ref('int_customers_totalled') }}

),

favourites as (

    select
        customer_id,
        first_stock_code,
        second_stock_code,
        third_stock_code

    from {{ ref('int_favourites_picked') }}

),

products as (

    select
        stock_code,
        product_name

    from {{ ref('dim_products') }}

),

segments as (

    select
        customer_id,
        cluster_id,
        segment_name,
        rfm_code,
        rfm_segment

    from {{ ref('dim_customer_segments') }}

),

final as (

    select
        -- keys
        customers.customer_id,
        segments.cluster_id,
        segments.rfm_code,

        -- attributes
        customers.country_name,
        segments.segment_name,
        segments.rfm_segment,
        nullif(
            concat_ws(
                '; ',
                first_products.product_name,
                second_products.product_name,
                third_products.product_name
            ),
            ''
        ) as favourite_products,

        -- measures
        customers.order_count,
        customers.returned_order_count,
        customers.line_count,
        customers.country_count,
        customers.purchased_quantity,
        customers.returned_quantity,
        customers.gross_amount,
        customers.returned_amount,
        customers.net_amount,
        customers.unmatched_return_amount,
        customers.other_amount,
        cast(customers.returned_amount as double)
        / nullif(cast(customers.gross_amount as double), 0) as return_rate,

        -- flags
        customers.order_count > 1 as is_repeat_customer,

        -- times
        customers.first_order_at,
        customers.last_order_at,
        customers.first_line_at,
        customers.last_line_at

    from customers

    left outer join favourites
        on customers.customer_id = favourites.customer_id

    left outer join products as first_products
        on favourites.first_stock_code = first_products.stock_code

    left outer join products as second_products
        on favourites.second_stock_code = second_products.stock_code

    left outer join products as third_products
        on favourites.third_stock_code = third_products.stock_code

    left outer join segments
        on customers.customer_id = segments.customer_id

)

select * from final
