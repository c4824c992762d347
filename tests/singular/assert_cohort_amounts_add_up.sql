-- Cells whose cumulative figures are not those of the cell before and their own, or
-- whose amounts come from no order. Cumulative orders and gross amounts never fall.

with

cells as (

    select
        cohort_date,
        periods_since,
        active_customers,
        order_count,
        gross_amount,
        returned_amount,
        net_amount,
        cumulative_order_count,
        cumulative_gross_amount,
        cumulative_net_amount

    from {{ ref('rpt_cohort_retention') }}

),

paired as (

    select
        cells.*,
        coalesce(earlier.cumulative_order_count, 0) as earlier_order_count,
        coalesce(earlier.cumulative_gross_amount, 0) as earlier_gross_amount,
        coalesce(earlier.cumulative_net_amount, 0) as earlier_net_amount

    from cells

    left outer join cells as earlier
        on
            cells.cohort_date = earlier.cohort_date
            and cells.periods_since = earlier.periods_since + 1

)

select *

from paired

where
    cumulative_order_count != earlier_order_count + order_count
    or cumulative_gross_amount != earlier_gross_amount + gross_amount
    or cumulative_net_amount != earlier_net_amount + net_amount
    or cumulative_order_count < earlier_order_count
    or cumulative_gross_amount < earlier_gross_amount
    or net_amount != gross_amount - returned_amount
    or (order_count = 0) != (active_customers = 0)
    or (order_count = 0 and (gross_amount != 0 or net_amount != 0))
