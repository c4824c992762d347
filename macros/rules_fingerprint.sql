{#- What, beside the rows themselves, decides what is computed change group by change
    group: the models and seeds of a tag as they are written, and the vars. -#}
{% macro rules_fingerprint(tag="change_groups") -%}

    {%- set parts = [
        var("purchase_basis"), var("source_table"), var("source_columns") | string
    ] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() | sort(attribute="unique_id")
            if tag in node.tags -%}
            {%- do parts.append(node.name ~ node.checksum.checksum) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ local_md5(parts | join("|")) }}

{%- endmacro %}
