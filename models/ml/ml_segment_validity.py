"""One row per origin x grouping x target: how much of what followed is explained.

Only reads and writes here. The method is `retail_segments.validity`. Where nothing has
changed since the last build, its rows are returned as they are.
"""

from retail_segments.memory import recall_unchanged
from retail_segments.validity import (
    COLUMNS,
    MAX_CUSTOMERS,
    fingerprint_inputs,
    measure_validity,
)


def model(dbt, session):
    dbt.config(materialized="table")

    outcomes = dbt.ref("int_customers_outcomes")
    customers = (
        dbt.ref("int_customers_snapshotted")
        .filter("is_origin and unscored_reason is null")
        .project("*, snapshot_date as origin_date")
        .join(
            outcomes.filter(f"sample_number <= {MAX_CUSTOMERS}"),
            "customer_id, origin_date",
        )
        .project(", ".join(COLUMNS))
        .order("origin_date, customer_id")
        .df()
    )
    chosen = dbt.ref("rpt_cluster_candidates").filter("is_chosen").df()
    settings = {
        "features": dbt.config.meta_get("features"),
        "transform": dbt.config.meta_get("transform"),
        "n_clusters": int(chosen["k"].iloc[0]) if len(chosen) else None,
        "random_state": dbt.config.meta_get("random_state"),
        "n_init": dbt.config.meta_get("n_init"),
    }
    fingerprint = fingerprint_inputs(customers, **settings)
    kept = recall_unchanged(session, str(dbt.this), fingerprint)
    if kept is not None:
        return kept
    return measure_validity(customers, **settings).assign(fingerprint=fingerprint)
