{#- Lays the rows of a cluster model out as one row per cluster, with a mean, a deviation
    and a centroid per feature; null for features that the model does not use. -#}
{% macro centroids_by_feature(models) %}

    select
        {{ models }}.model_id,
        {{ models }}.cluster_id,
        max({{ models }}.transform) as transform
        {%- for feature in clusterable_features() -%}
        {%- for part in ["mean", "deviation", "z"] -%}
        ,
        max(
            case
                when {{ models }}.feature = '{{ feature }}'
                    then {{ models }}.{{ "centroid_z" if part == "z" else "feature_" ~ part }}
            end
        ) as {{ feature }}_{{ part }}
        {%- endfor -%}
        {%- endfor %}

    from {{ models }}

    group by
        {{ models }}.model_id,
        {{ models }}.cluster_id

{% endmacro %}
