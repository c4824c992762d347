-- One row per band of order values, from the lowest that has an order to the highest:
-- bands of 1, 2, 5, 10, 20, 50 ..., about even on a log scale. Answers: how large are
-- our orders?

{%- set edges = [] %}
{%- for exponent in range(0, 9) %}
{%- for step in [1, 2, 5] %}
{%- do edges.append(step * 10 ** exponent) %}
{%- endfor %}
{%- endfor %}

with

invoices as (

    select
        counted_amount,
        is_guest,
        -- 0: nothing or less. 1: below the first edge.
        case
            when counted_amount <= 0 then 0
            {%- for edge in edges | reverse %}
            when counted_amount >= {{ edge }} then {{ loop.revindex + 1 }}
            {%- endfor %}
            else 1
        end as band_number

    from {{ ref('int_invoices_totalled') }}

    where is_counted

),

bands as (

    select
        0 as band_number,
        cast(null as bigint) as lower_amount,
        cast(0 as bigint) as upper_amount,
        '0 or less' as band_name

    union all

    select
        1 as band_number,
        cast(0 as bigint) as lower_amount,
        cast({{ edges[0] }} as bigint) as upper_amount,
        'below {{ edges[0] }}' as band_name
    {%- for edge in edges %}

    union all

    select
        {{ loop.index + 1 }} as band_number,
        cast({{ edge }} as bigint) as lower_amount,
        {%- if loop.last %}
        cast(null as bigint) as upper_amount,
        '{{ "{:,}".format(edge) }} or more' as band_name
        {%- else %}
        cast({{ loop.nextitem }} as bigint) as upper_amount,
        '{{ "{:,}".format(edge) }} to {{ "{:,}".format(loop.nextitem) }}' as band_name
        {%- endif %}
    {%- endfor %}

),

counted as (

    select
        band_number,
        count(*) as order_count,
        sum(case when is_guest then 1 else 0 end) as guest_order_count,
        sum(counted_amount) as counted_amount

    from invoices

    group by band_number

),

limits as (

    select
        min(band_number) as first_band,
        max(band_number) as last_band

    from counted

),

filled as (

    select
        bands.band_number,
        bands.band_name,
        bands.lower_amount,
        bands.upper_amount,
        coalesce(counted.order_count, 0) as order_count,
        coalesce(counted.guest_order_count, 0) as guest_order_count,
        coalesce(counted.counted_amount, 0) as counted_amount

    from bands

    inner join limits
        on bands.band_number between limits.first_band and limits.last_band

    left outer join counted
        on bands.band_number = counted.band_number

),

running as (

    select
        *,
        cast(sum(order_count) over () as double) as all_order_count,
        cast(sum(counted_amount) over () as double) as all_counted_amount,
        cast(sum(order_count) over (
            order by band_number
            rows between unbounded preceding and current row
        ) as double) as order_count_so_far,
        cast(sum(counted_amount) over (
            order by band_number
            rows between unbounded preceding and current row
        ) as double) as counted_amount_so_far

    from filled

),

final as (

    select
        -- keys
        cast(band_number as bigint) as band_number,

        -- attributes
        band_name,

        -- measures
        cast(lower_amount as decimal(18, 4)) as lower_amount,
        cast(upper_amount as decimal(18, 4)) as upper_amount,
        cast(order_count as bigint) as order_count,
        cast(guest_order_count as bigint) as guest_order_count,
        cast(counted_amount as decimal(18, 4)) as counted_amount,
        cast(order_count as double) / all_order_count as order_share,
        cast(counted_amount as double) / nullif(all_counted_amount, 0) as amount_share,
        order_count_so_far / all_order_count as cumulative_order_share,
        counted_amount_so_far / nullif(all_counted_amount, 0)
            as cumulative_amount_share

    from running

)

select * from final
