{#- Whether dbt builds on a Spark session of its own, where files can be looked into and
    Python models run. dbt says nothing of the connection's method; our adapter does. -#}
{% macro has_session() %}

    {{ return(
        target.type == "spark" and adapter.has_session is defined
        and adapter.has_session()
    ) }}

{% endmacro %}
