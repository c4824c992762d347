{#- The columns of fct_customer_rfm that customers may be clustered on. -#}
{% macro clusterable_features() %}

    {%- do return([
        "recency_days", "frequency", "monetary_value", "product_count", "tenure_days",
        "days_between_orders", "average_order_value", "items_per_order", "return_rate",
    ]) -%}

{% endmacro %}
