-- One row per attribute of the delivered lines: what is missing, unreadable, written in
-- several ways, or far from the rest. Answers: how good is what we were given?

{%- set texts = [
    (1, "invoice_no"), (2, "stock_code"), (3, "description"), (7, "customer_id"),
    (8, "country"), (9, "currency"), (10, "store"),
] %}
{%- set numbers = [(4, "quantity"), (6, "unit_price")] %}
-- A value is far off where 0.6745 x its distance from the median exceeds this many
-- median absolute deviations: the modified z-score of Iglewicz and Hoaglin (1993).
{%- set z_limit = 3.5 %}

with

texts as (

    select
        invoice_no,
        stock_code,
        description,
        customer_id,
        country,
        currency,
        store

    from {{ ref('stg_online_retail__texts') }}

),

lines as (

    select
        quantity,
        unit_price,
        invoiced_at,
        raw_quantity,
        raw_invoice_date,
        raw_unit_price

    from {{ ref('stg_online_retail__lines') }}

),

-- Equal values of a column are counted first; all else is told from these few rows.
counted as (
    {%- for number, column in texts %}

    select
        {{ number }} as column_number,
        {{ column }} as text_value,
        cast(null as decimal(18, 4)) as number_value,
        cast(null as timestamp) as time_value,
        false as is_unreadable,
        count(*) as line_count

    from texts

    group by {{ column }}

    union all
    {%- endfor %}
    {%- for number, column in numbers %}

    select
        {{ number }} as column_number,
        cast(null as string) as text_value,
        cast({{ column }} as decimal(18, 4)) as number_value,
        cast(null as timestamp) as time_value,
        raw_{{ column }} is not null as is_unreadable,
        count(*) as line_count

    from lines

    group by
        {{ column }},
        raw_{{ column }} is not null

    union all
    {%- endfor %}

    select
        5 as column_number,
        cast(null as string) as text_value,
        cast(null as decimal(18, 4)) as number_value,
        invoiced_at as time_value,
        raw_invoice_date is not null as is_unreadable,
        count(*) as line_count

    from lines

    group by
        invoiced_at,
        raw_invoice_date is not null

),

judged as (

    select
        *,
        coalesce(trim(text_value) = '', false) as is_blank,
        text_value is null
        and number_value is null
        and time_value is null
        and not is_unreadable as is_null,
        coalesce(
            text_value,
            cast(number_value as string),
            cast(time_value as string)
        ) as shown_value,
        -- Without case and spaces.
        nullif(lower(replace(text_value, ' ', '')), '') as plain_text

    from counted

),

columns_counted as (

    select
        column_number,
        sum(line_count) as line_count,
        sum(case when is_null then line_count else 0 end) as null_count,
        sum(case when is_blank then line_count else 0 end) as blank_count,
        sum(case when is_unreadable then line_count else 0 end) as unreadable_count,
        sum(case when shown_value is not null and not is_blank then 1 else 0 end)
            as distinct_count,
        coalesce(
            min(case when not is_blank then text_value end),
            regexp_replace(cast(min(number_value) as string), '[.]0+$', ''),
            cast(min(time_value) as string)
        ) as first_value,
        coalesce(
            max(case when not is_blank then text_value end),
            regexp_replace(cast(max(number_value) as string), '[.]0+$', ''),
            cast(max(time_value) as string)
        ) as last_value

    from judged

    group by column_number

),

plain_texts as (

    select
        column_number,
        plain_text,
        concat(min(text_value), ' | ', max(text_value)) as example,
        sum(line_count) as line_count

    from judged

    where plain_text is not null

    group by
        column_number,
        plain_text

    having count(*) > 1

),

spellings as (

    select
        column_number,
        count(*) as respelt_value_count,
        sum(line_count) as respelt_line_count,
        min(example) as respelt_example

    from plain_texts

    group by column_number

),

numbers_counted as (

    select
        column_number,
        number_value,
        sum(line_count) as line_count

    from judged

    where number_value is not null

    group by
        column_number,
        number_value

),

-- The median is the value in the middle, the lower of the two where there are two.
placed as (

    select
        column_number,
        number_value,
        line_count,
        sum(line_count) over (
            partition by column_number
            order by number_value
            rows between unbounded preceding and current row
        ) as line_count_so_far,
        sum(line_count) over (partition by column_number) as all_line_count

    from numbers_counted

),

medians as (

    select
        column_number,
        min(number_value) as median_value

    from placed

    where 2 * line_count_so_far >= all_line_count

    group by column_number

),

deviations as (

    select
        placed.column_number,
        medians.median_value,
        placed.line_count,
        abs(placed.number_value - medians.median_value) as deviation

    from placed

    inner join medians
        on placed.column_number = medians.column_number

),

deviations_counted as (

    select
        column_number,
        median_value,
        deviation,
        sum(line_count) as line_count

    from deviations

    group by
        column_number,
        median_value,
        deviation

),

deviations_placed as (

    select
        *,
        sum(line_count) over (
            partition by column_number
            order by deviation
            rows between unbounded preceding and current row
        ) as line_count_so_far,
        sum(line_count) over (partition by column_number) as all_line_count

    from deviations_counted

),

spreads as (

    select
        column_number,
        median_value,
        min(deviation) as median_deviation

    from deviations_placed

    where 2 * line_count_so_far >= all_line_count

    group by
        column_number,
        median_value

),

-- Where more than half the values are equal the rule has no measure, and says nothing.
outliers as (

    select
        spreads.column_number,
        spreads.median_value,
        spreads.median_deviation,
        case
            when spreads.median_deviation > 0
                then sum(
                    case
                        when
                            0.6745 * deviations_counted.deviation
                            > {{ z_limit }} * spreads.median_deviation
                            then deviations_counted.line_count
                        else 0
                    end
                )
        end as outlier_count

    from spreads

    inner join deviations_counted
        on spreads.column_number = deviations_counted.column_number

    group by
        spreads.column_number,
        spreads.median_value,
        spreads.median_deviation

),

attributes as (
    {%- for number, column in (texts + numbers + [(5, "invoice_date")]) | sort %}

    select
        {{ number }} as column_number,
        '{{ column }}' as column_name
    {%- if not loop.last %}

    union all
    {%- endif %}
    {%- endfor %}

),

final as (

    select
        -- keys
        attributes.column_name,

        -- attributes
        columns_counted.first_value,
        columns_counted.last_value,
        spellings.respelt_example,

        -- measures
        cast(attributes.column_number as bigint) as column_number,
        cast(coalesce(columns_counted.line_count, 0) as bigint) as line_count,
        cast(coalesce(columns_counted.null_count, 0) as bigint) as null_count,
        cast(coalesce(columns_counted.blank_count, 0) as bigint) as blank_count,
        cast(coalesce(columns_counted.unreadable_count, 0) as bigint)
            as unreadable_count,
        cast(coalesce(columns_counted.distinct_count, 0) as bigint) as distinct_count,
        cast(
            coalesce(
                columns_counted.null_count
                + columns_counted.blank_count
                + columns_counted.unreadable_count, 0
            ) as double
        ) / nullif(columns_counted.line_count, 0) as missing_share,
        coalesce(spellings.respelt_value_count, 0) as respelt_value_count,
        cast(coalesce(spellings.respelt_line_count, 0) as bigint) as respelt_line_count,
        cast(outliers.median_value as decimal(18, 4)) as median_value,
        cast(outliers.median_deviation as decimal(18, 4)) as median_deviation,
        cast(outliers.outlier_count as bigint) as outlier_count

    from attributes

    left outer join columns_counted
        on attributes.column_number = columns_counted.column_number

    left outer join spellings
        on attributes.column_number = spellings.column_number

    left outer join outliers
        on attributes.column_number = outliers.column_number

)

select * from final
