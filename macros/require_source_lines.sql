{#- Stops the run with a sentence when there is nothing to read, or something that cannot
    be read. -#}
{% macro require_source_lines() %}

    {%- if execute and not var("source_table")
        and flags.WHICH in ("build", "run", "test", "freshness") and not has_landed_files() -%}
        {%- do exceptions.raise_compiler_error(
            "No invoice lines are loaded: '" ~ env_var("LANDING_PATH", "landing")
            ~ "' holds no Parquet file."
            ~ " Load a file with `retail-segments load FILE`, make demo lines with"
            ~ " `retail-segments demo`, or run `make build`, which does."
        ) -%}
    {%- endif -%}

    {%- if execute and flags.WHICH in ("build", "run", "test", "freshness")
        and has_function("landing_damage") -%}
        {%- set folders = ["/campaigns"] if var("source_table") else ["", "/campaigns"] -%}
        {%- for folder in folders -%}
            {%- set damage = run_query(
                "select landing_damage('"
                ~ env_var("LANDING_PATH", "landing") | replace("'", "''") ~ folder ~ "')"
            ).rows[0][0] -%}
            {%- if damage -%}
                {%- do exceptions.raise_compiler_error(damage) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}

{% endmacro %}
