-- The map of RFM codes holds each of the 125 codes once and eleven names.

with

digits as (

    select all_digits.digit
    from (values (1), (2), (3), (4), (5)) as all_digits (digit)

),

codes as (

    select
        cast(
            100 * recency.digit + 10 * frequency.digit + monetary.digit as string
        ) as rfm_code

    from digits as recency

    cross join digits as frequency

    cross join digits as monetary

),

mapped as (

    select
        rfm_code,
        rfm_segment

    from {{ ref('rfm_segments') }}

)

select
    coalesce(codes.rfm_code, mapped.rfm_code) as rfm_code,
    'not in both the map and the 125 codes' as problem

from codes

full outer join mapped
    on codes.rfm_code = mapped.rfm_code

where
    codes.rfm_code is null
    or mapped.rfm_code is null

union all

select
    cast(count(distinct rfm_segment) as string) as rfm_code,
    'names instead of eleven' as problem

from mapped

having count(distinct rfm_segment) != 11
