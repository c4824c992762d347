{#- When the newest invoice line was written, for `dbt source freshness`. Dates that
    cannot be, or lie in the future, would make a stalled feed look fresh for years. -#}
{% macro newest_line(source) %}

    {%- set invoiced_at = "try_cast(" ~ source_column("invoice_date") ~ " as timestamp)" -%}

    select max({{ invoiced_at }})

    from {{ source }}

    where
        year({{ invoiced_at }}) between 1990 and 2100
        and {{ invoiced_at }} < {{ dbt.dateadd("day", 1, dbt.current_timestamp()) }}

{% endmacro %}
