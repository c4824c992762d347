{#- Around the query of a data test whose rows are sentences, in a column `problem`.
    Where there are any, the test stops with them: dbt itself would only say how many
    rows there were, and a user who edited a seed has to know which. -#}
{% macro in_words(heading) %}

    {%- set query = caller() -%}

    {%- if execute and flags.WHICH in ("build", "test") -%}
        {%- set problems = run_query(
            "select problem from (" ~ query ~ ") as problems order by problem"
        ).columns[0].values() -%}
        {%- if problems -%}
            {%- do exceptions.raise_compiler_error(
                heading ~ ":\n  - " ~ problems | join("\n  - ")
            ) -%}
        {%- endif -%}
    {%- endif -%}

    {{- query -}}

{% endmacro %}
