{#- A double as money, with four decimals. Engines differ in how a cast rounds a tie, half a
    unit of the last place: DuckDB multiplies first and rounds what comes of that, Spark
    reads the number as it is printed. -#}
{% macro as_money(expression) -%}
    {{ return(adapter.dispatch("as_money", "retail_segments")(expression)) }}
{%- endmacro %}


{% macro default__as_money(expression) -%}
    cast({{ expression }} as decimal(18, 4))
{%- endmacro %}


{% macro spark__as_money(expression) -%}
    cast(
        sign({{ expression }}) * floor(abs({{ expression }}) * 10000 + 0.5) / 10000
        as decimal(18, 4)
    )
{%- endmacro %}
