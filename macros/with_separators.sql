{#- An amount as a whole number in words, 1234567 as 1,234,567, up to twelve digits and a
    remainder in front. Made of substrings, since engines have no format in common. -#}
{% macro with_separators(amount) %}

    {%- set text -%}
        cast(cast(abs(round({{ amount }})) as bigint) as string)
    {%- endset -%}
    {%- set length = "length(" ~ text ~ ")" -%}

    concat(
        case when round({{ amount }}) < 0 then '-' else '' end,
        case
            {%- for groups in (3, 2, 1) %}
            when {{ length }} > {{ 3 * groups }}
                then concat(
                    substring({{ text }}, 1, {{ length }} - {{ 3 * groups }})
                    {%- for group in range(groups, 0, -1) %},
                    ',',
                    substring({{ text }}, {{ length }} - {{ 3 * group - 1 }}, 3)
                    {%- endfor %}
                )
            {%- endfor %}
            else {{ text }}
        end
    )

{%- endmacro %}
