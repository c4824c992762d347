-- One row per reason for setting lines aside: how many lines it took, and how much
-- money. Answers: what is missing from the figures, at a glance?

with

lines as (

    select
        reject_reason,
        line_amount,
        invoiced_at

    from {{ ref('fct_rejected_lines') }}

),

delivered as (

    select count(*) as line_count

    from {{ ref('int_lines_classified') }}

),

reasons as (

    select
        reject_reason,
        meaning

    from {{ ref('reject_reasons') }}

),

counted as (

    select
        reject_reason,
        count(*) as line_count,
        sum(line_amount) as line_amount,
        min(invoiced_at) as first_line_at,
        max(invoiced_at) as last_line_at

    from lines

    group by reject_reason

),

final as (

    select
        -- keys
        reasons.reject_reason,

        -- attributes
        reasons.meaning,

        -- measures
        coalesce(counted.line_count, 0) as line_count,
        cast(coalesce(counted.line_count, 0) as double)
        / nullif(delivered.line_count, 0) as line_share,
        cast(coalesce(counted.line_amount, 0) as decimal(18, 4)) as line_amount,

        -- times
        counted.first_line_at,
        counted.last_line_at

    from reasons

    cross join delivered

    left outer join counted
        on reasons.reject_reason = counted.reject_reason

)

select * from final
