-- Lines dated after tomorrow, somewhere on earth, are no sales yet: one of them would
-- move the as-of date, and with it everybody's recency, by years. Nor does a line that
-- is known lie on the as-of date or after it.

select
    last_line_date,
    as_of_date

from {{ ref('int_as_of_date') }}

where
    last_line_date > cast(
        {{ dbt.dateadd('day', 1, dbt.current_timestamp()) }} as date
    )
    or last_line_date >= as_of_date
