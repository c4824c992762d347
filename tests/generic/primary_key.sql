{#- The columns tell rows apart: none of them is ever missing, and no two rows share them
    all. Others that are never missing are looked at in the same pass. -#}
{% test primary_key(model, columns, others_not_null=[]) %}

{%- for given in [columns, others_not_null] if given is string or given is mapping -%}
    {{ exceptions.raise_compiler_error(
        "primary_key on " ~ model ~ ": give columns and others_not_null, lists"
    ) }}
{%- endfor -%}
{%- if not columns -%}
    {{ exceptions.raise_compiler_error(
        "primary_key on " ~ model ~ ": give columns, a list"
    ) }}
{%- endif %}

select
    {{ columns | join(", ") }},
    count(*) as row_count
    {%- for column in others_not_null %},
    count({{ column }}) as {{ column }}_count
    {%- endfor %}

from {{ model }}

group by {{ columns | join(", ") }}

having
    count(*) > 1
    {%- for column in columns %}
    or {{ column }} is null
    {%- endfor %}
    {%- for column in others_not_null %}
    or count({{ column }}) < count(*)
    {%- endfor %}

{% endtest %}
