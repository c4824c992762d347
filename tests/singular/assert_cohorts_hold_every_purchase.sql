-- Customers, orders and amounts of all cohorts, by their cells and by the last of them,
-- that are not those of the customers, of the control totals and of the lines.

with

cells as (

    select
        cohort_date,
        periods_since,
        cohort_size,
        order_count,
        gross_amount,
        returned_amount,
        net_amount,
        cumulative_order_count,
        cumulative_gross_amount,
        cumulative_net_amount

    from {{ ref('rpt_cohort_retention') }}

),

last_periods as (

    select
        cohort_date,
        max(periods_since) as periods_since

    from cells

    group by cohort_date

),

by_cell as (

    select
        coalesce(sum(case when periods_since = 0 then cohort_size end), 0)
            as customer_count,
        coalesce(sum(order_count), 0) as order_count,
        coalesce(sum(gross_amount), 0) as gross_amount,
        coalesce(sum(gross_amount - returned_amount), 0) as net_amount

    from cells

),

by_cohort as (

    select
        coalesce(sum(cells.cohort_size), 0) as customer_count,
        coalesce(sum(cells.cumulative_order_count), 0) as order_count,
        coalesce(sum(cells.cumulative_gross_amount), 0) as gross_amount,
        coalesce(sum(cells.cumulative_net_amount), 0) as net_amount

    from cells

    inner join last_periods
        on
            cells.cohort_date = last_periods.cohort_date
            and cells.periods_since = last_periods.periods_since

),

customers as (

    select
        coalesce(sum(case when frequency > 0 then 1 end), 0) as customer_count,
        coalesce(sum(frequency), 0) as order_count,
        coalesce(sum(monetary_value), 0) as net_amount

    from {{ ref('fct_customer_rfm') }}

    where is_current

),

control_totals as (

    select
        sum(case when measure = 'counted_order_count' then total end) as order_count,
        sum(case when measure = 'counted_amount' then total end) as net_amount

    from {{ ref('rpt_control_totals') }}

    where layer = 'orders_counted'

),

invoices as (

    select
        customer_id,
        invoice_number,
        sum(line_amount) as gross_amount

    from {{ ref('int_invoice_parts_totalled') }}

    where
        is_counted
        and customer_id is not null

    group by
        customer_id,
        invoice_number

    having sum(counted_quantity) > 0

),

lines as (

    select coalesce(sum(gross_amount), 0) as gross_amount

    from invoices

),

both_ways as (

    select
        'cells' as counted_by,
        customer_count,
        order_count,
        gross_amount,
        net_amount

    from by_cell

    union all

    select
        'cohorts' as counted_by,
        customer_count,
        order_count,
        gross_amount,
        net_amount

    from by_cohort

)

select
    both_ways.*,
    customers.customer_count as known_customer_count,
    customers.order_count as known_order_count,
    customers.net_amount as known_net_amount,
    lines.gross_amount as line_gross_amount

from both_ways

cross join customers

cross join control_totals

cross join lines

where
    both_ways.customer_count != customers.customer_count
    or both_ways.order_count != customers.order_count
    or both_ways.order_count != control_totals.order_count
    or both_ways.net_amount != customers.net_amount
    or both_ways.net_amount != control_totals.net_amount
    or both_ways.gross_amount != lines.gross_amount
