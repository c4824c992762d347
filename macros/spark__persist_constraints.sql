{#- Parquet tables hold no constraints, so those of the contract are looked at once the
    table is made: the build stops there where a value is missing. -#}
{% macro spark__persist_constraints(relation, model) %}

    {%- set required = [] -%}
    {%- for column in model.columns.values() -%}
        {%- for constraint in column.constraints if constraint.type == "not_null" -%}
            {%- do required.append(column.name) -%}
        {%- endfor -%}
    {%- endfor -%}

    {%- if config.get("contract").enforced and required -%}
        {%- set query -%}
            select
            {%- for name in required %}
                count(*) - count({{ name }}) as {{ name }}{{ "," if not loop.last }}
            {%- endfor %}
            from {{ relation }}
        {%- endset -%}
        {%- set counts = run_query(query).rows[0].values() -%}
        {%- for name in required -%}
            {%- if counts[loop.index0] -%}
                {%- do exceptions.raise_compiler_error(
                    relation ~ " breaks its contract: " ~ name ~ " is null in "
                    ~ counts[loop.index0] ~ " row(s)"
                ) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}

{% endmacro %}
