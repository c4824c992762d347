{#- A number from 0 to 9999 that a text is assigned by its MD5, given in hexadecimal: the
    first eight digits as a whole number, less the multiples of 10,000. Digits are looked
    up one by one, since DuckDB and Spark share no function that reads hexadecimal. -#}
{% macro hash_bucket(md5_hex) -%}

    cast(mod(
        {%- for position in range(1, 9) %}
        cast(
            instr('0123456789abcdef', substring({{ md5_hex }}, {{ position }}, 1)) - 1
            as bigint
        ) * {{ 16 ** (8 - position) }}
        {{- " +" if not loop.last }}
        {%- endfor %},
        10000
    ) as bigint)

{%- endmacro %}
