{#- Whether a launch has been recorded. Most shops have none, and then there is no table
    to read. -#}
{% macro has_campaigns() %}

    {%- if not execute -%} {{ return(false) }} {%- endif -%}

    {%- if target.type != "duckdb" -%}
        {{ return(load_relation(source("campaigns", "audiences")) is not none) }}
    {%- endif -%}

    {%- set files = run_query(
        "select count(*) from glob('"
        ~ env_var("LANDING_PATH", "landing") | replace("'", "''") | replace("[", "[[]")
        ~ "/campaigns/*.parquet')"
    ) -%}
    {{ return(files.columns[0].values()[0] > 0) }}

{% endmacro %}
