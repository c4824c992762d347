{#- Whether the landing folder, or a folder in it, holds a Parquet file. Engines that are
    reached over a network look into no folder. -#}
{% macro has_landed_files(folder="") %}

    {%- if target.type == "duckdb" -%}
        {%- set files = run_query(
            "select count(*) from glob('"
            ~ env_var("LANDING_PATH", "landing") | replace("'", "''") | replace("[", "[[]")
            ~ folder ~ "/*.parquet')"
        ) -%}
        {{ return(files.columns[0].values()[0] > 0) }}
    {%- endif -%}

    {{ return(
        has_session() and adapter.has_files(landing_files(folder))
    ) }}

{% endmacro %}
