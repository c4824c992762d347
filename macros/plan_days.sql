{#- Days of the quarter that the action plan is made for: thirteen weeks, so that every
    weekday is in it equally often. -#}
{% macro plan_days() %}
    {{- return(91) -}}
{% endmacro %}
