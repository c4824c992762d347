{#- The squared distance of a customer to a centroid, both given by the name of their
    CTE: features of fct_customer_rfm, and rows of `centroids_by_feature`. To nine
    decimals, so that `retail_segments.clustering.nearest_centroids`, which may add up in
    another order, finds the same nearest. -#}
{% macro squared_distance(customers, centroids) %}

    round(
        {%- for feature in clusterable_features() %}
        {{ "+ " if not loop.first }}coalesce(power(
            (
                case
                    when {{ centroids }}.transform = 'log1p'
                        then ln(1 + cast({{ customers }}.{{ feature }} as double))
                    else cast({{ customers }}.{{ feature }} as double)
                end - {{ centroids }}.{{ feature }}_mean
            ) / {{ centroids }}.{{ feature }}_deviation
            - {{ centroids }}.{{ feature }}_z,
            2
        ), 0)
        {%- endfor %},
        9
    )

{% endmacro %}
