-- One row per percentile of the customers, 0 to 100, smallest amounts first: the Lorenz
-- curve of revenue, with the share of the best customers and the Gini coefficient.
-- Answers: how much hangs on a few?
--
-- Customers are those with an order that counts. One whose refunds outweigh the
-- purchases counts as bringing nothing: a negative amount would bend the curve below 0.

with

customers as (

    select
        customer_id,
        greatest(monetary_value, 0) as amount

    from {{ ref('fct_customer_rfm') }}

    where
        is_current
        and frequency > 0

),

ranked as (

    select
        amount,
        row_number() over (order by amount, customer_id) as customer_rank,
        sum(amount) over (
            order by amount, customer_id
            rows between unbounded preceding and current row
        ) as amount_so_far

    from customers

),

totals as (

    select
        count(*) as customer_count,
        sum(case when amount = 0 then 1 else 0 end) as worthless_customer_count,
        nullif(cast(sum(amount) as double), 0) as total_amount,
        cast(sum(customer_rank * amount) as double) as ranked_amount

    from ranked

    having count(*) > 0

),

series as (

    {{ dbt.generate_series(101) }}

),

-- A percentile seldom falls on a customer: the curve is straight from one to the next.
percentiles as (

    select
        cast(series.generated_number as bigint) - 1 as percentile,
        cast(
            floor((series.generated_number - 1) * totals.customer_count / 100) as bigint
        ) as whole_customers,
        cast((series.generated_number - 1) * totals.customer_count % 100 as double)
        / 100 as part_customer,
        totals.customer_count,
        totals.worthless_customer_count,
        totals.total_amount,
        totals.ranked_amount

    from series

    cross join totals

),

curve as (

    select
        percentiles.percentile,
        percentiles.customer_count,
        percentiles.worthless_customer_count,
        -- With i the rank from below: 2 sum(i x) / (n sum(x)) - (n + 1) / n.
        2 * percentiles.ranked_amount
        / (percentiles.customer_count * percentiles.total_amount)
        - cast(percentiles.customer_count + 1 as double) / percentiles.customer_count
            as gini,
        (
            cast(coalesce(reached.amount_so_far, 0) as double)
            + percentiles.part_customer
            * cast(coalesce(next_ranked.amount, 0) as double)
        ) / percentiles.total_amount as lowest_amount_share

    from percentiles

    left outer join ranked as reached
        on percentiles.whole_customers = reached.customer_rank

    left outer join ranked as next_ranked
        on percentiles.whole_customers + 1 = next_ranked.customer_rank

),

final as (

    select
        -- keys
        curve.percentile,

        -- measures
        cast(curve.percentile as double) / 100 as customer_share,
        curve.lowest_amount_share,
        1 - opposite.lowest_amount_share as best_amount_share,
        curve.gini,
        curve.customer_count,
        cast(curve.worthless_customer_count as bigint) as worthless_customer_count

    from curve

    inner join curve as opposite
        on curve.percentile = 100 - opposite.percentile

)

select * from final
