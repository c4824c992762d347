{#- dbt takes schema names from your project alone. This hands the naming on to the
    package: schemas are `marts`, `staging`, and so on, not `main_marts`. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ retail_segments.generate_schema_name(custom_schema_name, node) }}
{%- endmacro %}
