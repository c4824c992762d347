{#- The delivered column of an attribute. The landing folder has them all; a warehouse
    table has the names that `source_columns` maps, and may lack the optional ones. -#}
{% macro source_column(attribute, is_optional=false) -%}

    {%- set mapped = var("source_columns").get(attribute) -%}
    {%- if not var("source_table") -%} {{ attribute }}
    {%- elif mapped -%} {{ adapter.quote(mapped | replace('"', '""')) }}
    {%- elif is_optional -%} cast(null as string)
    {%- else -%} {{ attribute }}
    {%- endif -%}

{%- endmacro %}
