-- One row per day of recommending x customer x source x product: the ten best products
-- of each source that the customer has not just bought and that are still on sale.

{{ config(materialized='view') }}

with

owned as (

    select
        made_on_date,
        customer_id,
        drawn_from,
        stock_code,
        antecedent,
        score,
        source_rank

    from {{ ref('int_recommendations_owned') }}

),

followed as (

    select
        made_on_date,
        customer_id,
        drawn_from,
        stock_code,
        antecedent,
        score,
        source_rank

    from {{ ref('int_recommendations_followed') }}

),

popular as (

    select
        made_on_date,
        customer_id,
        drawn_from,
        stock_code,
        antecedent,
        score,
        source_rank

    from {{ ref('int_recommendations_popular') }}

),

final as (

    select *

    from owned

    union all

    select *

    from followed

    union all

    select *

    from popular

)

select * from final
