{#- No two rows share all the columns. Rows where one of them is null are left out. -#}
{% test unique_combination(model, columns) %}

{%- if columns is string or columns | length < 2 -%}
    {{ exceptions.raise_compiler_error(
        "unique_combination on " ~ model ~ ": give columns, a list of two or more"
    ) }}
{%- endif -%}

select
    {{ columns | join(", ") }},
    count(*) as row_count

from {{ model }}

where
    {%- for column in columns %}
    {{ "and " if not loop.first }}{{ column }} is not null
    {%- endfor %}

group by {{ columns | join(", ") }}

having count(*) > 1

{% endtest %}
