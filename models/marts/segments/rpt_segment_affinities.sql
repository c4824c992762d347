-- One row per segment x kind x item: the products and the countries that a segment's
-- customers have more often than others (lift), and those it spends most on. Answers:
-- what to offer, and where they live?

{# An item must be had by this many customers, and by this many of the segment, before
   its lift is ranked: the share of a handful says little. -#}
{% set fewest_customers = 20 -%}
{% set fewest_in_segment = 5 -%}
{# Items kept of either ranking, for each segment and kind. -#}
{% set items_kept = 20 -%}

with

segments as (

    select
        cluster_id,
        segment_name

    from {{ ref('dim_segments') }}

),

customer_segments as (

    select
        customer_id,
        cluster_id

    from {{ ref('fct_customer_segments') }}

    where
        is_current
        and cluster_id is not null

),

-- What counts as a purchase, fees left out: nobody's favourite product is postage.
lines as (

    select
        customer_id,
        stock_code,
        counted_amount

    from {{ ref('fct_invoice_lines') }}

    where
        is_product
        and counted_quantity > 0

),

products as (

    select
        stock_code,
        product_name

    from {{ ref('dim_products') }}

),

customers as (

    select
        customer_id,
        country_name

    from {{ ref('int_customers_totalled') }}

    where country_name is not null

),

rfm as (

    select
        customer_id,
        monetary_value

    from {{ ref('fct_customer_rfm') }}

    where is_current

),

population as (

    select count(*) as customer_count

    from customer_segments

),

sized as (

    select
        cluster_id,
        count(*) as customer_count

    from customer_segments

    group by cluster_id

),

bought as (

    select
        customer_id,
        stock_code,
        sum(counted_amount) as amount

    from lines

    group by
        customer_id,
        stock_code

),

products_by_segment as (

    select
        customer_segments.cluster_id,
        bought.stock_code,
        count(*) as customer_count,
        sum(bought.amount) as amount

    from customer_segments

    inner join bought
        on customer_segments.customer_id = bought.customer_id

    group by
        customer_segments.cluster_id,
        bought.stock_code

),

countries_by_segment as (

    select
        customer_segments.cluster_id,
        customers.country_name,
        count(*) as customer_count,
        sum(rfm.monetary_value) as amount

    from customer_segments

    inner join customers
        on customer_segments.customer_id = customers.customer_id

    inner join rfm
        on customer_segments.customer_id = rfm.customer_id

    group by
        customer_segments.cluster_id,
        customers.country_name

),

items as (

    select
        products_by_segment.cluster_id,
        'product' as kind,
        products_by_segment.stock_code as item,
        products.product_name as item_name,
        products_by_segment.customer_count,
        products_by_segment.amount

    from products_by_segment

    inner join products
        on products_by_segment.stock_code = products.stock_code

    union all

    select
        cluster_id,
        'country' as kind,
        country_name as item,
        country_name as item_name,
        customer_count,
        amount

    from countries_by_segment

),

compared as (

    select
        *,
        sum(customer_count) over (partition by kind, item) as all_customer_count

    from items

),

lifted as (

    select
        compared.cluster_id,
        compared.kind,
        compared.item,
        compared.item_name,
        compared.customer_count,
        compared.amount,
        compared.all_customer_count,
        cast(compared.customer_count as double) / sized.customer_count
            as segment_share,
        cast(compared.all_customer_count as double) / population.customer_count
            as population_share,
        round(
            cast(compared.customer_count as double)
            * population.customer_count
            / sized.customer_count
            / compared.all_customer_count,
            9
        ) as lift,
        compared.all_customer_count >= {{ fewest_customers }}
        and compared.customer_count >= {{ fewest_in_segment }} as is_supported

    from compared

    inner join sized
        on compared.cluster_id = sized.cluster_id

    cross join population

),

ranked as (

    select
        *,
        case
            when is_supported
                then row_number() over (
                    partition by cluster_id, kind, is_supported
                    order by lift desc, customer_count desc, amount desc, item asc
                )
        end as lift_rank,
        row_number() over (
            partition by cluster_id, kind
            order by amount desc, customer_count desc, item asc
        ) as amount_rank

    from lifted

),

final as (

    select
        -- keys
        segments.cluster_id,
        ranked.kind,
        ranked.item,

        -- attributes
        segments.segment_name,
        ranked.item_name,

        -- measures
        ranked.customer_count,
        cast(ranked.all_customer_count as bigint) as all_customer_count,
        ranked.segment_share,
        ranked.population_share,
        ranked.lift,
        cast(ranked.amount as decimal(18, 4)) as amount,
        cast(ranked.lift_rank as bigint) as lift_rank,
        cast(ranked.amount_rank as bigint) as amount_rank,

        -- flags
        ranked.is_supported

    from ranked

    inner join segments
        on ranked.cluster_id = segments.cluster_id

    where
        ranked.lift_rank <= {{ items_kept }}
        or ranked.amount_rank <= {{ items_kept }}

)

select * from final
