{#- Whether a launch has been recorded. Most shops have none, and then there is no table
    to read. -#}
{% macro has_campaigns() %}

    {%- if not execute -%} {{ return(false) }} {%- endif -%}
    {{ return(has_landed_files("/campaigns")) }}

{% endmacro %}
