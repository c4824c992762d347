-- One row per segment x country: how many customers a mailing in that country's language
-- would reach, and what they are worth. A model of your own on top of the package's.

with

customers as (

    select
        customer_id,
        segment_name,
        monetary_value

    from {{ ref('retail_segments', 'dim_customer_segments') }}

    where segment_name is not null

),

countries as (

    select
        customer_id,
        country_name

    from {{ ref('retail_segments', 'dim_customers') }}

),

final as (

    select
        customers.segment_name,
        coalesce(countries.country_name, 'unknown') as country_name,

        count(*) as customer_count,
        sum(customers.monetary_value) as monetary_value

    from customers

    inner join countries
        on customers.customer_id = countries.customer_id

    group by
        customers.segment_name,
        coalesce(countries.country_name, 'unknown')

)

select * from final
