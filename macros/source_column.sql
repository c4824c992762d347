{#- The delivered column of an attribute. The landing folder has them all; a warehouse
    table has the names that `source_columns` maps, and may lack the optional ones. -#}
{% macro source_column(attribute, is_optional=false) -%}

    {#- Anything but a mapping is refused by `validate_vars`, once models are parsed. -#}
    {%- set names = var("source_columns") if var("source_columns") is mapping else {} -%}

    {%- if not var("source_table") -%} {{ attribute }}
    {%- elif names.get(attribute) -%}
        {#- What the engine quotes with is doubled within the name. -#}
        {%- set mark = adapter.quote("")[0] -%}
        {{ adapter.quote(names[attribute] | replace(mark, mark ~ mark)) }}
    {%- elif is_optional and not source_has(attribute) -%} cast(null as string)
    {%- else -%} {{ attribute }}
    {%- endif -%}

{%- endmacro %}
