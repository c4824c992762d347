{#- The change groups (customers, and invoices of guests) that a model has to compute: on
    an incremental build those whose fingerprint in `parent` is not the one that the
    model's own rows carry, otherwise all. `condition` leaves out groups of which the
    model never has a row; `column` is what the parent calls the group. -#}
{% macro changed_groups(parent, condition="true", column="change_group") -%}

    select distinct
        {{ column }}{{ " as change_group" if column != "change_group" }},
        group_fingerprint

    from {{ parent }}

    where
        {{ condition }}
        {%- if is_incremental() and has_change_groups() %}
        and group_fingerprint not in (
            select distinct group_fingerprint

            from {{ this }}
        )
        {%- endif %}

{%- endmacro %}


{#- Of a CTE before it is grouped: on an incremental build leaves out the rows of groups
    that are not computed, which a join further down would drop as well, but late. -#}
{% macro of_groups_to_do(column="change_group") -%}

    {%- if is_incremental() -%}
    {{ column }} in (select change_group from groups_to_do)
    {%- else -%}
    true
    {%- endif -%}

{%- endmacro %}


{#- Takes the rows of such groups out of the model, those of groups that are gone too: a
    pre-hook, in one transaction with the insert that follows. -#}
{% macro forget_changed_groups(parent, condition="true") -%}

    {%- if is_incremental() -%}
    {%- if this.name == "int_lines_classified" -%}
        {%- do say_changed_groups(parent) -%}
    {%- endif -%}
    delete from {{ this }}
    {%- if has_change_groups() %}

    where group_fingerprint not in (
        select distinct group_fingerprint

        from {{ parent }}

        where {{ condition }}
    )
    {%- endif -%}
    {%- endif -%}

{%- endmacro %}


{#- Whether the model's table was written by a version that knew change groups. -#}
{% macro has_change_groups() -%}
    {{ return("group_fingerprint" in
        adapter.get_columns_in_relation(this) | map(attribute="name")) }}
{%- endmacro %}


{#- Says once in a build how much of the lines it computes anew. -#}
{% macro say_changed_groups(parent) -%}

    {%- set counts = run_query(
        "select count(*), (select count(*) from (" ~ changed_groups(parent) ~ ")) from "
        ~ parent
    ).rows[0] -%}
    {%- do log(
        "Lines are computed anew for " ~ "{:,}".format(counts[1] | int) ~ " of "
        ~ "{:,}".format(counts[0] | int) ~ " customers and guests' invoices"
        ~ (": a rule has changed, or all of their lines"
            if counts[1] == counts[0] and counts[0] > 0 else ""),
        info=true
    ) -%}

{%- endmacro %}
