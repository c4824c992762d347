{#- Whether the warehouse table has a column of an attribute's own name. -#}
{% macro source_has(attribute) -%}

    {%- if execute -%}
        {%- set columns = adapter.get_columns_in_relation(source("warehouse", "lines")) -%}
        {{ return(attribute in columns | map(attribute="name") | map("lower")) }}
    {%- endif -%}
    {{ return(false) }}

{%- endmacro %}
