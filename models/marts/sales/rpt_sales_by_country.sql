-- One row per country as delivered, under the name and codes that maps and other tables
-- know: what was sold there. Answers: where do we sell?

with

invoices as (

    select
        customer_id,
        coalesce(country_name, 'Unspecified') as country_name,
        gross_amount,
        returned_amount,
        net_amount,
        counted_amount,
        is_counted,
        is_guest

    from {{ ref('int_invoices_totalled') }}

),

countries as (

    select
        delivered_name,
        country,
        iso_alpha2,
        iso_alpha3,
        continent,
        region

    from {{ ref('countries') }}

),

sold as (

    select
        country_name,
        sum(gross_amount) as gross_amount,
        sum(returned_amount) as returned_amount,
        sum(net_amount) as net_amount,
        sum(counted_amount) as counted_amount,
        sum(case when is_counted then 1 else 0 end) as order_count,
        sum(case when is_counted and is_guest then 1 else 0 end) as guest_order_count,
        count(distinct case when is_counted then customer_id end) as customer_count

    from invoices

    group by country_name

),

final as (

    select
        -- keys
        sold.country_name,

        -- attributes
        coalesce(countries.country, sold.country_name) as country,
        countries.iso_alpha2,
        countries.iso_alpha3,
        countries.continent,
        countries.region,

        -- measures
        cast(sold.gross_amount as decimal(18, 4)) as gross_amount,
        cast(sold.returned_amount as decimal(18, 4)) as returned_amount,
        cast(sold.net_amount as decimal(18, 4)) as net_amount,
        cast(sold.counted_amount as decimal(18, 4)) as counted_amount,
        cast(sold.order_count as bigint) as order_count,
        cast(sold.guest_order_count as bigint) as guest_order_count,
        sold.customer_count,
        cast(sold.counted_amount as double)
        / nullif(sold.order_count, 0) as average_order_value,
        cast(sold.counted_amount as double)
        / nullif(cast(sum(sold.counted_amount) over () as double), 0) as amount_share,
        cast(
            rank() over (order by sold.counted_amount desc) as bigint
        ) as amount_rank

    from sold

    left outer join countries
        on lower(sold.country_name) = lower(countries.delivered_name)

)

select * from final
