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

purchases as (

    select
        customer_id,
        stock_code,
        net_amount

    from {{ ref('fct_invoice_lines') }}

    where
        line_type = 'purchase'
        and not is_guest

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

bought as (

    select
        customer_id,
        stock_code,
        sum(net_amount) as net_amount

    from purchases

    group by
        customer_id,
        stock_code

),

ranked as (

    select
        bought.customer_id,
        products.product_name,
        row_number() over (
            partition by bought.customer_id
            order by bought.net_amount desc, bought.stock_code asc
        ) as product_rank

    from bought

    inner join products
        on bought.stock_code = products.stock_code

    where bought.net_amount > 0

),

favourites as (

    select
        customer_id,
        max(case when product_rank = 1 then product_name end) as first_product,
        max(case when product_rank = 2 then product_name end) as second_product,
        max(case when product_rank = 3 then product_name end) as third_product

    from ranked

    where product_rank <= 3

    group by customer_id

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
                favourites.first_product,
                favourites.second_product,
                favourites.third_product
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

    left outer join segments
        on customers.customer_id = segments.customer_id

)

select * from final
