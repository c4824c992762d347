{#- Lower (side "-") or upper (side "+") end of the 95 % score interval of a share: so many
    of so many. Stays within 0 and 1 and is right for small numbers too. Wilson (1927),
    Probable inference, the law of succession, and statistical inference, Journal of the
    American Statistical Association 22. -#}
{% macro wilson_bound(successes, trials, side) %}

    {%- set z = 1.959963984540054 -%}
    {%- set n = "cast(" ~ trials ~ " as double)" -%}
    {%- set share = "(" ~ successes ~ " / " ~ n ~ ")" -%}

    least(cast(1 as double), greatest(cast(0 as double), (
        {{ share }} + {{ z * z / 2 }} / {{ n }}
        {{ side }} {{ z }} * sqrt(
            {{ share }} * (1 - {{ share }}) / {{ n }}
            + {{ z * z / 4 }} / ({{ n }} * {{ n }})
        )
    ) / (1 + {{ z * z }} / {{ n }})))

{%- endmacro %}
