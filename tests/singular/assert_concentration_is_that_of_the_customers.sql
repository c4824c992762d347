-- Shares and Gini coefficients that are not those of the customers, when these are
-- ranked from the best down, each as a part of what all bring: the same numbers by two
-- ways.

with

customers as (

    select
        customer_id,
        case when monetary_value > 0 then monetary_value else 0 end as amount

    from {{ ref('fct_customer_rfm') }}

    where
        is_current
        and frequency > 0

),

ranked as (

    select
        amount,
        row_number() over (order by amount desc, customer_id asc) as place

    from customers

),

totals as (

    select
        count(*) as customer_count,
        count(case when amount = 0 then 1 end) as worthless_customer_count,
        cast(sum(amount) as double) as total_amount,
        cast(sum((2 * place - 1) * amount) as double) as weighed_amount

    from ranked

),

percentiles as (

    select *

    from {{ ref('rpt_revenue_concentration') }}

    where
        percentile % 10 = 1
        or percentile in (0, 100)

),

-- How much of a customer is among the best: all, nothing, or a part.
parts as (

    select
        percentiles.percentile,
        cast(sum(
            ranked.amount * greatest(least(
                cast(percentiles.percentile * totals.customer_count as double) / 100
                - ranked.place + 1,
                1
            ), 0)
        ) as double) as best_amount

    from percentiles

    cross join totals

    cross join ranked

    group by percentiles.percentile

)

select
    percentiles.percentile,
    percentiles.best_amount_share,
    parts.best_amount / totals.total_amount as best_amount_share_of_customers,
    percentiles.gini

from percentiles

cross join totals

inner join parts
    on percentiles.percentile = parts.percentile

where
    percentiles.customer_count <> totals.customer_count
    or percentiles.worthless_customer_count <> totals.worthless_customer_count
    or (
        totals.total_amount > 0
        and (
            percentiles.best_amount_share is null
            or percentiles.lowest_amount_share is null
            or abs(
                percentiles.best_amount_share
                - parts.best_amount / totals.total_amount
            ) > 1e-9
            or abs(
                1 - totals.weighed_amount
                / (totals.customer_count * totals.total_amount)
                - percentiles.gini
            ) > 1e-9
        )
    )
    or (
        totals.total_amount = 0
        and (
            percentiles.best_amount_share is not null
            or percentiles.gini is not null
        )
    )
