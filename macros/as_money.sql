{#- A double as money, with four decimals. Engines differ in how a cast takes a tie, half a
    unit of the last place: DuckDB to the even side, Spark up. -#}
{% macro as_money(expression) -%}
    {{ return(adapter.dispatch("as_money", "retail_segments")(expression)) }}
{%- endmacro %}


{% macro default__as_money(expression) -%}
    cast({{ expression }} as decimal(18, 4))
{%- endmacro %}


{% macro spark__as_money(expression) -%}
    cast(rint(({{ expression }}) * 10000) / 10000 as decimal(18, 4))
{%- endmacro %}
