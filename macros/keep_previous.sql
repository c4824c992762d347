{#- Before a Python model runs on Spark: its own table is put aside, since dbt-spark drops
    it first, and some models build upon what they returned before. Where the last run
    failed there is no table, and what was put aside then stays. -#}
{% macro keep_previous() %}

    {%- if execute and has_session() -%}
        {%- set table = load_relation(this) -%}
        {%- if table is not none -%}
            {%- do run_query("drop table if exists " ~ this ~ "__previous") -%}
            {%- do run_query("alter table " ~ this ~ " rename to " ~ this ~ "__previous") -%}
        {%- endif -%}
    {%- endif -%}

{% endmacro %}
