-- Amounts are added up as they are, so lines that are used must not name different
-- currencies.

with

currencies as (

    select
        currency_code,
        count(*) as line_count

    from {{ ref('int_lines_classified') }}

    where
        is_usable
        and currency_code is not null

    group by currency_code

),

counted as (

    select count(*) as currency_count

    from currencies

)

select
    currencies.currency_code,
    currencies.line_count

from currencies

cross join counted

where counted.currency_count > 1
