{#- Stops the run with a sentence when a var cannot be used. Runs before anything
    else, so that a typing error costs a second and leaves the warehouse as it was. -#}
{% macro validate_vars() %}

    {%- set known = [
        "as_of_date", "purchase_basis", "cohort_period", "cluster_count",
        "cluster_count_min", "cluster_count_max", "cluster_smallest_share",
        "cluster_smallest_jaccard", "cluster_smallest_silhouette",
        "cluster_largest_davies_bouldin", "cluster_transform", "cluster_features",
        "cluster_seed", "cluster_starts", "cluster_model", "cluster_drift_limit",
        "cluster_drift_accepted", "cluster_rules", "basket_smallest_support",
        "basket_smallest_confidence", "basket_largest_size", "forecast_horizon_days",
        "forecast_origin_count", "forecast_interval", "forecast_discount_rate",
        "campaign_control_share", "campaign_salt", "plan_target", "plan_margin",
        "plan_contact_cost", "plan_service_multiple", "plan_effects", "source_table",
        "source_columns", "freshness_warn_days", "freshness_error_days",
    ] -%}
    {%- set features = clusterable_features() -%}
    {%- set attributes = [
        "invoice_no", "stock_code", "description", "quantity", "invoice_date",
        "unit_price", "customer_id", "country", "currency", "store",
    ] -%}
    {%- set problems = [] -%}

    {#- dbt renders the text of a var wherever it is used, so that what is in braces would
        run. What was given is looked at before any var is used. -#}
    {%- for name, given in invocation_args_dict.get("vars", {}).items()
        if name in known and modules.re.search("[{][{%#]", given | string) -%}
        {%- do problems.append(
            name ~ " holds Jinja, '" ~ given ~ "'; give a plain value"
        ) -%}
    {%- endfor -%}
    {%- if problems -%} {{ refuse_vars(problems) }} {%- endif -%}

    {#- A misspelt var would otherwise be ignored without a word. Vars of other
        projects pass when this one is installed as a package. -#}
    {%- if project_name == "retail_segments" -%}
        {%- for name in invocation_args_dict.get("vars", {}) if name not in known -%}
            {%- do problems.append(
                "var '" ~ name ~ "' is unknown; known are " ~ known | join(", ")
            ) -%}
        {%- endfor -%}
    {%- endif -%}

    {%- set as_of_date = var("as_of_date") | string -%}
    {%- if as_of_date -%}
        {%- set parts = modules.re.fullmatch(
            "([0-9]{4})-([0-9]{2})-([0-9]{2})", as_of_date
        ) -%}
        {%- set is_date = namespace(value=false) -%}
        {%- if parts -%}
            {%- set year, month, day = parts.groups() | map("int") -%}
            {%- set lengths = [
                31,
                29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28,
                31, 30, 31, 30, 31, 31, 30, 31, 30, 31,
            ] -%}
            {%- if 1990 <= year <= 2101 and 1 <= month <= 12
                and 1 <= day <= lengths[month - 1] -%}
                {%- set is_date.value = true -%}
            {%- endif -%}
        {%- endif -%}
        {%- if not is_date.value -%}
            {%- do problems.append(
                "as_of_date is '" ~ as_of_date ~ "'; give a day as yyyy-mm-dd, or ''"
            ) -%}
        {%- endif -%}
    {%- endif -%}

    {%- for name, choices in {
        "purchase_basis": ["net", "textbook"],
        "cohort_period": ["month", "week", "quarter"],
        "cluster_transform": ["log1p", "none"],
        "cluster_model": ["refit", "frozen"],
    }.items() if var(name) not in choices -%}
        {%- do problems.append(
            name ~ " is '" ~ var(name) ~ "'; give " ~ choices | join(" or ")
        ) -%}
    {%- endfor -%}

    {#- 1 is equal to true, and no choice. -#}
    {%- if var("cluster_drift_accepted") is not boolean -%}
        {%- do problems.append(
            "cluster_drift_accepted is '" ~ var("cluster_drift_accepted")
            ~ "'; give true or false"
        ) -%}
    {%- endif -%}

    {%- for name, lowest, highest in [
        ("cluster_count_min", 2, 10),
        ("cluster_count_max", 2, 10),
        ("cluster_seed", 0, 4294967295),
        ("cluster_starts", 1, 1000),
        ("cluster_rules", 1, 10),
        ("basket_largest_size", 2, 1000000),
        ("forecast_horizon_days", 7, 365),
        ("forecast_origin_count", 1, 12),
        ("freshness_warn_days", 0, 36600),
        ("freshness_error_days", 0, 36600),
    ] if var(name) is not integer or var(name) is boolean
        or not lowest <= var(name) <= highest -%}
        {%- do problems.append(
            name ~ " is '" ~ var(name) ~ "'; give a whole number from "
            ~ lowest ~ " to " ~ highest
        ) -%}
    {%- endfor -%}

    {%- set count = var("cluster_count") -%}
    {%- if count != "auto" and (
        count is not integer or count is boolean or not 2 <= count <= 10
    ) -%}
        {%- do problems.append(
            "cluster_count is '" ~ count
            ~ "'; give auto or a whole number from 2 to 10"
        ) -%}
    {%- endif -%}

    {%- set largest = var("cluster_count_max") -%}
    {%- for name in ("cluster_count", "cluster_count_min")
        if largest is integer and var(name) is integer and 2 <= largest < var(name) -%}
        {%- do problems.append(
            name ~ " is " ~ var(name) ~ ", above cluster_count_max, which is " ~ largest
        ) -%}
    {%- endfor -%}

    {%- for name, lowest, highest in [
        ("cluster_smallest_share", 0, 0.5),
        ("cluster_drift_limit", 0, 1),
        ("cluster_smallest_jaccard", 0, 1),
        ("cluster_smallest_silhouette", -1, 1),
        ("cluster_largest_davies_bouldin", 0, 1000),
        ("basket_smallest_confidence", 0, 1),
        ("forecast_interval", 0.5, 0.99),
        ("forecast_discount_rate", 0, 1),
        ("campaign_control_share", 0, 0.9),
        ("plan_target", 0, 10),
        ("plan_margin", 0, 1),
        ("plan_contact_cost", 0, 1000000),
        ("plan_service_multiple", 1, 1000),
    ] if var(name) is not number or var(name) is boolean
        or not lowest <= var(name) <= highest -%}
        {%- do problems.append(
            name ~ " is '" ~ var(name) ~ "'; give a number from "
            ~ lowest ~ " to " ~ highest
        ) -%}
    {%- endfor -%}

    {%- set support = var("basket_smallest_support") -%}
    {%- if support is not number or support is boolean or not 0.0001 <= support <= 1 -%}
        {%- do problems.append(
            "basket_smallest_support is '" ~ support
            ~ "'; give a share from 0.0001 to 1"
        ) -%}
    {%- endif -%}

    {%- set salt = var("campaign_salt") -%}
    {%- if salt is not string or not modules.re.fullmatch("\\w+", salt) -%}
        {%- do problems.append(
            "campaign_salt is '" ~ salt
            ~ "'; give a word of letters, digits and underscores"
        ) -%}
    {%- endif -%}

    {%- set levers = plan_levers() -%}
    {%- if var("plan_effects") is not mapping -%}
        {%- do problems.append(
            "plan_effects is '" ~ var("plan_effects")
            ~ "'; give a mapping such as {win_back: 0.15}"
        ) -%}
    {%- else -%}
        {%- for lever, effect in var("plan_effects").items()
            if lever not in levers or effect is not number or effect is boolean
            or not 0 < effect <= 1 -%}
            {%- do problems.append(
                "plan_effects gives '" ~ lever ~ "' the effect '" ~ effect
                ~ "'; give one or more of " ~ levers | join(", ")
                ~ " a share above 0 and up to 1"
            ) -%}
        {%- endfor -%}
    {%- endif -%}

    {%- set chosen = var("cluster_features") -%}
    {%- if chosen is string or chosen is mapping or chosen is not sequence
        or not chosen or chosen | reject("in", features) | list
        or chosen | unique | list | length != chosen | length -%}
        {%- do problems.append(
            "cluster_features is '" ~ chosen ~ "'; give a list of one or more of "
            ~ features | join(", ") ~ ", each once"
        ) -%}
    {%- endif -%}

    {%- set source_table = var("source_table") -%}
    {%- if source_table is not string or (
        source_table
        and not modules.re.fullmatch("\\w+(\\.\\w+){0,2}", source_table)
    ) -%}
        {%- do problems.append(
            "source_table is '" ~ source_table
            ~ "'; give table, schema.table or database.schema.table"
        ) -%}
    {%- endif -%}

    {%- if var("source_columns") is not mapping -%}
        {%- do problems.append(
            "source_columns is '" ~ var("source_columns")
            ~ "'; give a mapping such as {invoice_no: Invoice}"
        ) -%}
    {%- else -%}
        {%- for name, column in var("source_columns").items()
            if name not in attributes or column is not string or not column
            or modules.re.search("[\\x00-\\x1f\\x7f]", column) -%}
            {%- do problems.append(
                "source_columns maps '" ~ name ~ "' to '" ~ column
                ~ "'; map one or more of " ~ attributes | join(", ") ~ " to a column"
            ) -%}
        {%- endfor -%}
    {%- endif -%}

    {%- if problems -%} {{ refuse_vars(problems) }} {%- endif -%}

{% endmacro %}


{% macro refuse_vars(problems) %}

    {%- do exceptions.raise_compiler_error(
        "Vars that cannot be used:\n  - " ~ problems | join("\n  - ")
    ) -%}

{% endmacro %}
