"""One row per cluster model: how compact and how far apart its clusters are.

Only reads and writes here. The method is `retail_segments.clustering`.
"""

import pandas as pd
from retail_segments.clustering import score_clusters


def model(dbt, session):  # noqa: ARG001
    dbt.config(materialized="table")

    labels = dbt.ref("ml_customer_clusters").filter("cluster_id is not null")
    customers = (
        dbt.ref("fct_customer_rfm")
        .filter("is_current")
        .join(labels, "customer_id")
        .order("customer_id")
        .df()
    )
    columns = ["model_id", "cluster_count", "customer_count", "inertia", "silhouette"]
    columns += ["davies_bouldin", "calinski_harabasz"]
    if customers.empty:
        return pd.DataFrame(columns=columns, dtype="float64").astype({"model_id": str})

    scores = score_clusters(
        customers,
        customers["cluster_id"],
        features=dbt.config.meta_get("features"),
        transform=dbt.config.meta_get("transform"),
        random_state=dbt.config.meta_get("random_state"),
    )
    row = {
        "model_id": customers["model_id"].iloc[0],
        "cluster_count": customers["cluster_id"].nunique(),
        "customer_count": len(customers),
        **scores,
    }
    return pd.DataFrame([row], columns=columns)
