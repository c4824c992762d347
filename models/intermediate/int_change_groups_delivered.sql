-- One row per change group: a known customer, or a guest's invoice. Its fingerprint is
-- another one as soon as a line of the group, or a rule, is. Incremental models compare
-- it with that of their own rows, and so heal whatever an interrupted build left.
{{ config(tags=['change_groups']) }}

with

lines as (

    select
        change_group,
        content_fingerprint,
        source_file,
        source_row,
        invoiced_at

    from {{ ref('stg_online_retail__lines') }}

),

as_of as (

    select as_of_date

    from {{ ref('int_as_of_date') }}

),

-- Sums do not depend on the order in which lines are read.
summed as (

    select
        lines.change_group,
        count(*) as line_count,
        sum(cast({{ row_fingerprint([
            'lines.content_fingerprint', 'lines.source_file', 'lines.source_row',
        ]) }} as decimal(38, 0))) as fingerprint_sum,
        -- A later as-of date lets these in.
        sum(case when lines.invoiced_at >= as_of.as_of_date then 1 else 0 end)
            as later_line_count,
        sum(
            case
                when lines.invoiced_at >= as_of.as_of_date
                    then cast(lines.content_fingerprint as decimal(38, 0))
                else 0
            end
        ) as later_fingerprint_sum

    from lines

    cross join as_of

    group by lines.change_group

),

final as (

    select
        -- keys
        change_group,

        -- attributes
        {{ row_fingerprint([
            'change_group', 'line_count', 'fingerprint_sum', 'later_line_count',
            'later_fingerprint_sum', "'" ~ rules_fingerprint() ~ "'",
        ]) }} as group_fingerprint,

        -- measures
        line_count

    from summed

)

select * from final
