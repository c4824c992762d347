-- Of a hundred lines or more, at least half can be used and some name a customer. Where
-- they do not, a column has been lost, however well each line is told apart by itself.
-- Copies and lines of later days say nothing of a column.

with

counted as (

    select
        count(*) as line_count,
        sum(case when is_usable then 1 else 0 end) as usable_count,
        count(customer_id) as known_count

    from {{ ref('int_lines_classified') }}

    where coalesce(reject_reason, '') not in ('exact_duplicate', 'after_as_of_date')

)

select
    line_count,
    usable_count,
    known_count

from counted

where
    line_count >= 100
    and (
        usable_count * 2 < line_count
        or known_count = 0
    )
