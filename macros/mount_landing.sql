{#- On Spark a source is a view over the landing folder, made anew before each run, since a
    file that has arrived may bring new columns. DuckDB reads the folder as it is. -#}
{% macro mount_landing() %}

    {%- if execute and has_session()
        and flags.WHICH in ("build", "run", "test", "show", "compile") -%}
        {%- for source_name, table_name, folder in [
            ("online_retail", "lines", ""), ("campaigns", "audiences", "/campaigns"),
        ] -%}
            {%- set files = landing_files(folder) -%}
            {%- set view = source_name ~ "." ~ table_name -%}
            {%- do run_query("create schema if not exists " ~ source_name) -%}
            {%- if adapter.has_files(files) -%}
                {%- do run_query(
                    "create or replace view " ~ view
                    ~ " as select * from parquet.`" ~ files | replace("`", "``") ~ "`"
                ) -%}
            {%- else -%}
                {%- do run_query("drop view if exists " ~ view) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}

{% endmacro %}


{#- The Parquet files of a folder below the landing folder, as Hadoop names them. -#}
{% macro landing_files(folder="") -%}
    {{- modules.re.sub(
        "([][{}*?\\\\])", "\\\\\\1", env_var("LANDING_PATH", "landing")
    ) ~ folder ~ "/*.parquet" -}}
{%- endmacro %}
