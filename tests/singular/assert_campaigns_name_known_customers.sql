-- Of the customers of a campaign that has been launched, most have lines here: a record
-- of another shop, or ids written otherwise, would find that nobody bought.

with

audiences as (

    select
        campaign_id,
        customer_id,
        launched_date

    from {{ ref('stg_campaigns__audiences') }}

),

customers as (

    select customer_id

    from {{ ref('dim_customers') }}

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

)

select
    audiences.campaign_id,
    count(*) as customer_count,
    count(customers.customer_id) as known_count

from audiences

cross join as_of

left outer join customers
    on audiences.customer_id = customers.customer_id

where audiences.launched_date < as_of.as_of_date

group by audiences.campaign_id

having count(customers.customer_id) * 2 < count(*)
