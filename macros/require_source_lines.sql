{#- Stops the run with a sentence when there is nothing to read. -#}
{% macro require_source_lines() %}

    {%- if execute and target.type == "duckdb" and not var("source_table")
        and flags.WHICH in ("build", "run", "test", "freshness") -%}
        {%- set folder = env_var("LANDING_PATH", "landing") -%}
        {%- set files = run_query(
            "select count(*) from glob('"
            ~ folder | replace("'", "''") | replace("[", "[[]") ~ "/*.parquet')"
        ) -%}
        {%- if files.columns[0].values()[0] == 0 -%}
            {%- do exceptions.raise_compiler_error(
                "No invoice lines are loaded: '" ~ folder ~ "' holds no Parquet file."
                ~ " Load a file with `retail-segments load FILE`, make demo lines with"
                ~ " `retail-segments demo`, or run `make build`, which does."
            ) -%}
        {%- endif -%}
    {%- endif -%}

{% endmacro %}
