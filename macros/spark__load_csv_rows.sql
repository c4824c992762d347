{#- The rows of a seed in one statement. dbt-spark's own leaves apostrophes as they are,
    and makes the text None of a missing value. -#}
{% macro spark__load_csv_rows(model, agate_table) %}

    {%- set types = model["config"].get("column_types", {}) -%}

    {%- set sql -%}
    insert into {{ this.render() }}
    select
        {%- for name in agate_table.column_names %}
        cast(
            col{{ loop.index }}
            as {{ types.get(name, adapter.convert_type(agate_table, loop.index0)) }}
        )
        {{- "," if not loop.last }}
        {%- endfor %}
    from values
    {%- for row in agate_table.rows %}
        (
        {%- for value in row -%}
            {{ spark_text(value) }}{{ ", " if not loop.last }}
        {%- endfor -%}
        ){{ "," if not loop.last }}
    {%- endfor %}
    {%- endset -%}

    {%- do adapter.add_query(sql, abridge_sql_log=True) -%}
    {{ return(sql) }}

{% endmacro %}


{#- A value as a text that Spark reads back; null stays null. -#}
{% macro spark_text(value) -%}
    {%- if value is none -%} cast(null as string)
    {%- else -%} '{{ value | string | replace("\\", "\\\\") | replace("'", "\\'") }}'
    {%- endif -%}
{%- endmacro %}
