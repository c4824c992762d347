{#- Write, audit, publish. What a build makes is kept from readers until every gate of it
    has passed; then the whole warehouse file is copied aside and swapped in by one rename.
    `audit.unproven` has one row per node that the published copy waits for. DuckDB files
    only: docs/operations.md says what other services do. -#}

{#- Before anything runs: all that the run is about to change is unproven, so that a
    process that is killed leaves a note of it. -#}
{% macro note_what_is_built() %}

    {%- if execute and can_publish()
        and flags.WHICH in ("build", "run", "seed", "snapshot") -%}
        {%- do run_query("create schema if not exists audit") -%}
        {%- set outcomes = unproven_nodes() -%}
        {%- for node_id in selected_resources
            if node_id.split(".")[0] in ("model", "seed", "snapshot", "test") -%}
            {%- do outcomes.update({node_id: "not finished"}) -%}
        {%- endfor -%}
        {%- do write_unproven(outcomes) -%}
    {%- endif -%}

{% endmacro %}


{#- After everything: what passed is proven, what did not is not. Of a table that was made
    anew every gate has to pass again, and what reads it has to be made anew too, or
    readers would get a mix. What daily builds leave alone waits for the next full one. -#}
{% macro publish_if_proven(results) %}

    {%- if execute and can_publish()
        and flags.WHICH in ("build", "run", "seed", "snapshot", "test") -%}
        {%- set waited_for = unproven_nodes() -%}
        {%- set outcomes = dict(waited_for) -%}
        {%- set made = [] -%}
        {%- set ran = [] -%}
        {%- for result in results -%}
            {%- set node_id = result.node.unique_id -%}
            {%- set status = result.status | string -%}
            {%- do ran.append(node_id) -%}
            {%- if status in ("success", "pass", "warn", "no-op") -%}
                {%- do outcomes.pop(node_id, none) -%}
                {%- if result.node.resource_type in ("model", "seed", "snapshot") -%}
                    {%- do made.append(node_id) -%}
                {%- endif -%}
            {%- elif node_id.split(".")[0] in ("model", "seed", "snapshot", "test") -%}
                {%- do outcomes.update({node_id: status}) -%}
            {%- endif -%}
        {%- endfor -%}
        {%- for node in later_nodes(made)
            if node.unique_id not in ran and not is_weekly(node) -%}
            {%- do outcomes.update({node.unique_id: "not run"}) -%}
        {%- endfor -%}
        {%- do write_unproven(outcomes) -%}
        {%- if not outcomes and (made or waited_for) -%}
            {%- do run_query("checkpoint") -%}
            {%- set problem = run_query("select publish_warehouse()")[0][0] -%}
            {%- if problem -%}
                {%- do write_unproven(waited_for) -%}
                {%- do exceptions.raise_compiler_error(problem) -%}
            {%- endif -%}
        {%- endif -%}
    {%- endif -%}

{% endmacro %}


{#- What a developer builds under a prefix is for nobody else; and a project that installs
    this one may do without the plugin that copies the file. -#}
{% macro can_publish() %}

    {%- if target.type != "duckdb" or target.schema not in ("main", "default") -%}
        {{ return(false) }}
    {%- endif -%}
    {{ return(has_function("publish_warehouse")) }}

{% endmacro %}


{#- Whether the plugin has given DuckDB a function of ours. -#}
{% macro has_function(name) %}

    {%- if target.type != "duckdb" -%}
        {{ return(false) }}
    {%- endif -%}
    {{ return(
        run_query("select 1 from duckdb_functions() where function_name = '" ~ name ~ "'")
        | length > 0
    ) }}

{% endmacro %}


{#- What the published copy waits for, by node; nodes that are no more do not count. -#}
{% macro unproven_nodes() %}

    {%- set outcomes = {} -%}
    {%- set known = run_query(
        "select 1 from duckdb_tables() where database_name = current_database()"
        " and schema_name = 'audit' and table_name = 'unproven'"
    ) -%}
    {%- if known | length -%}
        {%- for row in run_query("select node_id, outcome from audit.unproven")
            if row[0] in graph.nodes -%}
            {%- do outcomes.update({row[0]: row[1]}) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(outcomes) }}

{% endmacro %}


{#- In one statement, so that a kill leaves the note of before or of after. -#}
{% macro write_unproven(outcomes) %}

    {%- set rows = [] -%}
    {%- for node_id, outcome in outcomes.items() | sort -%}
        {%- do rows.append("('" ~ node_id ~ "', '" ~ outcome ~ "')") -%}
    {%- endfor -%}
    {%- do run_query(
        "create or replace table audit.unproven as select * from (values "
        ~ (rows or ["('', '')"]) | join(", ") ~ ") as nodes (node_id, outcome)"
        ~ " where node_id <> ''"
    ) -%}

{% endmacro %}


{#- The models that read what was made, directly or through others, and the gates on what
    was made. -#}
{% macro later_nodes(made) %}

    {%- set reached = dict.fromkeys(made) -%}
    {%- set later = {} -%}
    {%- for _step in graph.nodes -%}
        {%- set count = reached | length -%}
        {%- for node_id, node in graph.nodes.items()
            if node.resource_type in ("model", "snapshot") and node_id not in reached
            and node.depends_on.nodes | select("in", reached) | list -%}
            {%- do reached.update({node_id: none}) -%}
            {%- do later.update({node_id: node}) -%}
        {%- endfor -%}
        {%- if reached | length == count -%} {%- break -%} {%- endif -%}
    {%- endfor -%}
    {%- for node_id, node in graph.nodes.items() if node.resource_type == "test"
        and node.depends_on.nodes | select("in", made) | list -%}
        {%- do later.update({node_id: node}) -%}
    {%- endfor -%}
    {{ return(later.values()) }}

{% endmacro %}


{#- Whether a node, or for a gate a table that it reads, is left to full builds. -#}
{% macro is_weekly(node) %}

    {%- set tags = node.tags | list -%}
    {%- if node.resource_type == "test" -%}
        {%- for parent in node.depends_on.nodes if parent in graph.nodes -%}
            {%- do tags.extend(graph.nodes[parent].tags) -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return("weekly" in tags) }}

{% endmacro %}
