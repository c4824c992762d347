-- One row per return line x purchase line it reverses, and one row with a null purchase
-- for the units of a return that found none. Answers: what was sent back, and how long
-- after it was bought?
{{ config(materialized='view' if target.type == 'duckdb' else 'table') }}

with

allocations as (

    select *

    from {{ ref('int_returns_allocated') }}

),

final as (

    select
        -- keys
        return_allocation_id,
        return_line_id,
        purchase_line_id,
        customer_id,
        stock_code,

        -- attributes
        unmatched_reason,

        -- measures
        allocated_quantity,
        allocated_amount,
        days_to_return,

        -- times
        returned_at

    from allocations

)

select * from final
