-- One row: the day at whose start everything is seen. Given by the var as_of_date, or
-- the day after the last line that can be read. Later lines are not known yet, so they
-- do not move the other two days either.
{{ config(tags=['change_groups']) }}

with

lines as (

    select invoiced_at

    from {{ ref('stg_online_retail__lines') }}
    {%- if var('as_of_date') %}

    where invoiced_at < cast('{{ var("as_of_date") }}' as date)
    {%- endif %}

),

final as (

    select
        {%- if var('as_of_date') %}
        cast('{{ var("as_of_date") }}' as date) as as_of_date,
        {%- else %}
        cast(
            {{ dbt.dateadd('day', 1, 'cast(max(invoiced_at) as date)') }} as date
        ) as as_of_date,
        {%- endif %}
        cast(min(invoiced_at) as date) as first_line_date,
        cast(max(invoiced_at) as date) as last_line_date

    from lines

)

select * from final
