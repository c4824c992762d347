"""One row per customer with an RFM score: the K-Means cluster they are in.

Only reads and writes here. The method is `retail_segments.clustering`, which knows
nothing of dbt and has its own tests in `tests/python/`.
"""

from retail_segments.clustering import assign_clusters


def model(dbt, session):  # noqa: ARG001
    dbt.config(materialized="table")

    customers = (
        dbt.ref("fct_customer_rfm")
        .filter("is_current and unscored_reason is null")
        .order("customer_id")
        .df()
    )

    return assign_clusters(
        customers,
        key="customer_id",
        features=dbt.config.meta_get("features"),
        value="monetary_value",
        as_of=str(customers["snapshot_date"].max())[:10],
        transform=dbt.config.meta_get("transform"),
        n_clusters=dbt.config.meta_get("n_clusters"),
        random_state=dbt.config.meta_get("random_state"),
        n_init=dbt.config.meta_get("n_init"),
    )
