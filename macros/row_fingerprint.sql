{#- A whole number of 63 bits made of the values of a row. It tells rows apart within one
    warehouse and one version of the engine; it is no key for anyone to keep. -#}
{% macro row_fingerprint(columns) -%}
    {{ adapter.dispatch("row_fingerprint", "retail_segments")(columns) }}
{%- endmacro %}

{% macro default__row_fingerprint(columns) -%}
    cast(hash({{ columns | join(", ") }}) >> 1 as bigint)
{%- endmacro %}

{% macro spark__row_fingerprint(columns) -%}
    shiftrightunsigned(xxhash64({{ columns | join(", ") }}), 1)
{%- endmacro %}
