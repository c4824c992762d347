{#- No row lacks a value in any of the columns. One test for all columns of a model, since
    each test costs dbt more than the query costs the engine. -#}
{% test columns_not_null(model, columns) %}

{%- if columns is string or columns is mapping or not columns -%}
    {{ exceptions.raise_compiler_error(
        "columns_not_null on " ~ model ~ ": give columns, a list"
    ) }}
{%- endif %}

select {{ columns | join(", ") }}

from {{ model }}

where
    {%- for column_name in columns %}
    {{ "or " if not loop.first }}{{ column_name }} is null
    {%- endfor %}

{% endtest %}
