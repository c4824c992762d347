{#- A layer's tables land in the schema of its name. A profile whose schema is not
    the default one prefixes it: `dev_ada` gives `dev_ada_marts`. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}

    {%- if custom_schema_name is none -%} {{ target.schema }}
    {%- elif target.schema in ("main", "default") -%} {{ custom_schema_name | trim }}
    {%- else -%} {{ target.schema }}_{{ custom_schema_name | trim }}
    {%- endif -%}

{%- endmacro %}
