{#- dbt-spark's own warns that it cannot order; Spark 4 can. -#}
{% macro spark__listagg(measure, delimiter_text, order_by_clause, limit_num) -%}

    {%- if limit_num -%}
        {{ exceptions.raise_compiler_error("listagg on Spark takes no limit_num") }}
    {%- endif -%}

    listagg({{ measure }}, {{ delimiter_text }})
    {%- if order_by_clause %} within group ({{ order_by_clause }}){% endif %}

{%- endmacro %}
