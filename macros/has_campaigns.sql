{#- Whether a launch has been recorded. Most shops have none, and then there is no table
    to read. -#}
{% macro has_campaigns() %}

    {%- if not execute -%} {{ return(false) }} {%- endif -%}

    {%- if target.type != "duckdb" and not has_session() -%}
        {{ return(load_relation(source("campaigns", "audiences")) is not none) }}
    {%- endif -%}

    {{ return(has_landed_files("/campaigns")) }}

{% endmacro %}
