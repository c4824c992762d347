-- One row per customer with an RFM score x snapshot date: the segment they were in
-- then, by the current model.
-- Answers: how did a customer, or a segment, come to be what it is?
{{ config(materialized='view' if target.type == 'duckdb' else 'table') }}

with

customers as (

    select *

    from {{ ref('int_customers_placed') }}

),

final as (

    select
        -- keys
        customer_id,
        snapshot_date,
        model_id,
        cluster_id,
        runner_up_cluster_id,

        -- measures
        distance_to_centroid,
        runner_up_margin,

        -- flags
        is_current

    from customers

)

select * from final
