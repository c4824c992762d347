-- One row per stock code that any line names: its one name, what it sold and how much
-- of that came back. Answers: what do we sell?

with

lines as (

    select
        stock_code,
        product_description,
        quantity,
        line_amount,
        line_type = 'purchase' as is_purchase,
        is_usable,
        is_product,
        is_product_repeated,
        invoiced_at

    from {{ ref('int_lines_classified') }}

    where stock_code is not null

),

allocations as (

    select
        stock_code,
        allocated_quantity,
        allocated_amount

    from {{ ref('int_returns_allocated') }}

    where purchase_fingerprint is not null

),

-- An order of a product is a line, but for the few invoices that have it on several.
repeated_orders as (

    select distinct
        invoice_number,
        customer_id,
        stock_code

    from {{ ref('int_lines_classified') }}

    where
        line_type = 'purchase'
        and is_product_repeated

),

customer_products as (

    select stock_code

    from {{ ref('int_customer_products_totalled') }}

    where first_purchased_at is not null

),

-- What names and sales want of all lines, in one pass over them.
described as (

    select
        stock_code,
        product_description,
        sum(case when is_purchase then 1 else 0 end) as purchase_line_count,
        sum(case when is_usable then 1 else 0 end) as usable_line_count,
        max(case when is_product then 1 else 0 end) as products,
        sum(case when is_purchase then quantity else 0 end) as purchased_quantity,
        sum(case when is_purchase then line_amount else 0 end) as gross_amount,
        sum(case when is_purchase and not is_product_repeated then 1 else 0 end)
            as single_order_count,
        min(case when is_purchase then invoiced_at end) as first_sold_at,
        max(case when is_purchase then invoiced_at end) as last_sold_at,
        max(invoiced_at) as last_used_at

    from lines

    group by
        stock_code,
        product_description

),

-- The name is the description on most purchase lines, the latest of them on a tie.
-- Remarks such as "damaged" stand on lines that were set aside and come last.
ranked as (

    select
        stock_code,
        product_description,
        row_number() over (
            partition by stock_code
            order by
                purchase_line_count desc,
                usable_line_count desc,
                last_used_at desc,
                product_description asc
        ) as description_rank,
        count(*) over (partition by stock_code) as description_count

    from described

    where product_description is not null

),

names as (

    select
        stock_code,
        product_description,
        description_count

    from ranked

    where description_rank = 1

),

codes as (

    select
        stock_code,
        max(products) = 1 as is_product,
        sum(purchased_quantity) as purchased_quantity,
        sum(gross_amount) as gross_amount,
        sum(single_order_count) as single_order_count,
        min(first_sold_at) as first_sold_at,
        max(last_sold_at) as last_sold_at

    from described

    group by stock_code

),

returned as (

    select
        stock_code,
        sum(allocated_quantity) as returned_quantity,
        sum(allocated_amount) as returned_amount

    from allocations

    group by stock_code

),

repeated as (

    select
        stock_code,
        count(*) as order_count

    from repeated_orders

    group by stock_code

),

customers as (

    select
        stock_code,
        count(*) as customer_count

    from customer_products

    group by stock_code

),

final as (

    select
        -- keys
        codes.stock_code,

        -- attributes
        coalesce(names.product_description, codes.stock_code) as product_name,

        -- measures
        coalesce(names.description_count, 0) as description_count,
        cast(
            codes.single_order_count + coalesce(repeated.order_count, 0) as bigint
        ) as order_count,
        coalesce(customers.customer_count, 0) as customer_count,
        cast(codes.purchased_quantity as bigint) as purchased_quantity,
        cast(coalesce(returned.returned_quantity, 0) as bigint) as returned_quantity,
        cast(codes.gross_amount as decimal(18, 4)) as gross_amount,
        cast(coalesce(returned.returned_amount, 0) as decimal(18, 4))
            as returned_amount,
        cast(
            codes.gross_amount - coalesce(returned.returned_amount, 0)
            as decimal(18, 4)
        ) as net_amount,
        cast(coalesce(returned.returned_amount, 0) as double)
        / nullif(cast(codes.gross_amount as double), 0) as return_rate,

        -- flags
        codes.is_product,

        -- times
        codes.first_sold_at,
        codes.last_sold_at

    from codes

    left outer join names
        on codes.stock_code = names.stock_code

    left outer join returned
        on codes.stock_code = returned.stock_code

    left outer join repeated
        on codes.stock_code = repeated.stock_code

    left outer join customers
        on codes.stock_code = customers.stock_code

)

select * from final
