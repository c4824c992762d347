-- One row per stock code that any line names: its one name, what it sold and how much
-- of that came back. Answers: what do we sell?

with

lines as (

    select
        stock_code,
        product_description,
        is_usable,
        is_product,
        line_type,
        invoiced_at

    from {{ ref('int_lines_classified') }}

    where stock_code is not null

),

sales as (

    select
        stock_code,
        quantity,
        line_amount,
        returned_quantity,
        returned_amount,
        net_amount,
        is_product_repeated,
        invoiced_at

    from {{ ref('int_lines_netted') }}

    where line_type = 'purchase'

),

-- An order of a product is a line, but for the few invoices that have it on several.
repeated_orders as (

    select distinct
        invoice_number,
        customer_id,
        stock_code

    from {{ ref('int_lines_netted') }}

    where
        line_type = 'purchase'
        and is_product_repeated

),

customer_products as (

    select stock_code

    from {{ ref('int_customer_products_totalled') }}

    where first_purchased_at is not null

),

described as (

    select
        stock_code,
        product_description,
        sum(case when line_type = 'purchase' then 1 else 0 end)
            as purchase_line_count,
        sum(case when is_usable then 1 else 0 end) as usable_line_count,
        max(case when is_product then 1 else 0 end) as products,
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
        max(products) = 1 as is_product

    from described

    group by stock_code

),

totals as (

    select
        stock_code,
        sum(quantity) as purchased_quantity,
        sum(returned_quantity) as returned_quantity,
        sum(line_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(case when is_product_repeated then 0 else 1 end) as single_order_count,
        min(invoiced_at) as first_sold_at,
        max(invoiced_at) as last_sold_at

    from sales

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
            coalesce(totals.single_order_count, 0) + coalesce(repeated.order_count, 0)
            as bigint
        ) as order_count,
        coalesce(customers.customer_count, 0) as customer_count,
        cast(coalesce(totals.purchased_quantity, 0) as bigint) as purchased_quantity,
        cast(coalesce(totals.returned_quantity, 0) as bigint) as returned_quantity,
        cast(coalesce(totals.gross_amount, 0) as decimal(18, 4)) as gross_amount,
        cast(coalesce(totals.returned_amount, 0) as decimal(18, 4))
            as returned_amount,
        cast(coalesce(totals.net_amount, 0) as decimal(18, 4)) as net_amount,
        cast(totals.returned_amount as double)
        / nullif(cast(totals.gross_amount as double), 0) as return_rate,

        -- flags
        codes.is_product,

        -- times
        totals.first_sold_at,
        totals.last_sold_at

    from codes

    left outer join names
        on codes.stock_code = names.stock_code

    left outer join totals
        on codes.stock_code = totals.stock_code

    left outer join repeated
        on codes.stock_code = repeated.stock_code

    left outer join customers
        on codes.stock_code = customers.stock_code

)

select * from final
