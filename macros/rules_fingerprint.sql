{#- What, beside the lines themselves, decides what is computed line by line: the models
    and seeds tagged `change_groups` as they are written, and the vars. -#}
{% macro rules_fingerprint() -%}

    {%- set parts = [
        var("purchase_basis"), var("source_table"), var("source_columns") | string
    ] -%}
    {%- if execute -%}
        {%- for node in graph.nodes.values() | sort(attribute="unique_id")
            if "change_groups" in node.tags -%}
            {%- do parts.append(node.name ~ node.checksum.checksum) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ local_md5(parts | join("|")) }}

{%- endmacro %}
