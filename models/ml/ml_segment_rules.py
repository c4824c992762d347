"""One row per cluster model x rule: what a shallow tree says of who is in a cluster.

Only reads and writes here. The method is `retail_segments.reasons`. A model keeps the
rules it was given when it was fitted.
"""

import pandas as pd
from retail_segments.cluster_models import FIT_SIZE, label_customers
from retail_segments.engines import draw
from retail_segments.memory import recall


def model(dbt, session):
    dbt.config(materialized="table")

    models = dbt.ref("ml_cluster_models").df()
    current = models[models["is_current"]]
    known = recall(session, str(dbt.this))
    if known is not None:
        known = known[known["model_id"].isin(models["model_id"])]
        if current.empty or current["model_id"].iloc[0] in set(known["model_id"]):
            return known

    # Imported late: a build that fits nothing need not wait for scikit-learn.
    from retail_segments.reasons import explain_clusters

    customers = draw(
        dbt.ref("fct_customer_rfm").filter("is_current and unscored_reason is null"),
        FIT_SIZE,
    )
    labels = label_customers(models, customers, key="customer_id")
    rules = explain_clusters(
        customers.merge(labels, on="customer_id"),
        features=list(current["feature"].unique()),
        rules_per_cluster=dbt.config.meta_get("rules_per_cluster"),
        random_state=dbt.config.meta_get("random_state"),
    )
    model_ids = current["model_id"].unique().repeat(len(rules))
    rules.insert(0, "model_id", pd.array(model_ids, dtype="string"))
    return pd.concat([known, rules], ignore_index=True)
