-- One row per known customer x kind of group: the country and the segment they belong
-- to. What marts that show parts of the customers share, so that a group is the same
-- people everywhere.

-- With fewer customers who bought, a single one would move a rate by more than five
-- points: such countries are folded into Other.
{%- set smallest_country = 20 %}

with

customers as (

    select
        customer_id,
        coalesce(country_name, 'Unknown') as country_name

    from {{ ref('dim_customers') }}

),

segments as (

    select
        customer_id,
        segment_name

    from {{ ref('dim_customer_segments') }}

),

buyers as (

    select customer_id

    from {{ ref('int_customers_cohorted') }}

    -- The first row of each customer.
    where period_date = cohort_date

),

countries as (

    select
        customers.country_name,
        case
            when count(buyers.customer_id) >= {{ smallest_country }}
                then customers.country_name
            else 'Other'
        end as group_name

    from customers

    left outer join buyers
        on customers.customer_id = buyers.customer_id

    group by customers.country_name

),

final as (

    select
        -- keys
        customers.customer_id,
        'country' as group_kind,

        -- attributes
        countries.group_name

    from customers

    inner join countries
        on customers.country_name = countries.country_name

    union all

    select
        -- keys
        customers.customer_id,
        'segment' as group_kind,

        -- attributes
        coalesce(segments.segment_name, 'No segment') as group_name

    from customers

    left outer join segments
        on customers.customer_id = segments.customer_id

)

select * from final
