{#- The levers that the action plan knows how to reckon with. -#}
{% macro plan_levers() %}
    {{- return(["win_back", "second_order", "basket_upsell", "loyalty", "service"]) -}}
{% endmacro %}
