-- Which segment grew last month, and why? Customers of each segment at the last two
-- month ends, who came and who left, and what brought them.

with

month_ends as (

    select max(snapshot_date) as month_end

    from {{ ref('fct_customer_rfm') }}

    where is_month_end

),

moves as (

    select
        migration.from_segment_name,
        migration.to_segment_name,
        migration.cause,
        migration.customer_count,
        migration.is_move

    from {{ ref('rpt_segment_migration') }} as migration

    inner join month_ends
        on migration.to_date = month_ends.month_end

),

-- A move is counted where it ends and where it began.
ends as (

    select
        to_segment_name as segment_name,
        0 as customers_before,
        customer_count as customers_after,
        case when is_move then customer_count else 0 end as came,
        case when cause = 'new' then customer_count else 0 end as came_new,
        case when cause = 'bought' then customer_count else 0 end as came_by_buying,
        case when cause = 'aged' then customer_count else 0 end as came_by_ageing,
        0 as went

    from moves

    union all

    select
        from_segment_name as segment_name,
        customer_count as customers_before,
        0 as customers_after,
        0 as came,
        0 as came_new,
        0 as came_by_buying,
        0 as came_by_ageing,
        case when is_move then customer_count else 0 end as went

    from moves

)

select
    segment_name,
    sum(customers_before) as customers_before,
    sum(customers_after) as customers_after,
    sum(customers_after) - sum(customers_before) as growth,
    sum(came) as came,
    sum(came_new) as came_new,
    sum(came_by_buying) as came_by_buying,
    sum(came_by_ageing) as came_by_ageing,
    sum(went) as went

from ends

where segment_name is not null

group by segment_name

order by
    growth desc,
    segment_name asc
