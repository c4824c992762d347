{#- No value of a column lies outside its range; null is in it. One test for all columns
    of a model, since each test costs dbt more than the query costs the engine. -#}
{% test accepted_ranges(model, ranges) %}

{%- if ranges is not mapping or not ranges -%}
    {{ exceptions.raise_compiler_error(
        "accepted_ranges on " ~ model ~ ": give ranges, a mapping of columns"
    ) }}
{%- endif -%}
{%- for column_name, bounds in ranges.items()
    if bounds is not mapping or not bounds
    or bounds | reject("in", ["min_value", "max_value"]) | list -%}
    {{ exceptions.raise_compiler_error(
        "accepted_ranges on " ~ model ~ ", " ~ column_name
        ~ ": give min_value, max_value or both"
    ) }}
{%- endfor %}

select {{ ranges | join(", ") }}

from {{ model }}

where
    false
    {%- for column_name, bounds in ranges.items() %}
    {%- if "min_value" in bounds %}
    or {{ column_name }} < {{ bounds["min_value"] }}
    {%- endif %}
    {%- if "max_value" in bounds %}
    or {{ column_name }} > {{ bounds["max_value"] }}
    {%- endif %}
    {%- endfor %}

{% endtest %}
