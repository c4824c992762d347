{#- True where so many baskets are frequent: at least the share basket_smallest_support
    of all, and at least five, since fewer say nothing in a small segment. -#}
{% macro is_frequent(basket_count, all_basket_count) -%}
    {{ basket_count }} >= 5
    and {{ basket_count }} >= {{ var('basket_smallest_support') }} * {{ all_basket_count }}
{%- endmacro %}
