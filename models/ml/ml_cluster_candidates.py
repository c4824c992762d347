"""One row per algorithm x number of clusters: what it finds, measured.

Only reads and writes here. The method is `retail_segments.candidates`. The table of the
build before is kept where nothing has changed since, or the models are frozen.
"""

from retail_segments.candidates import FIT_SIZE, TYPES, compare_candidates
from retail_segments.engines import draw
from retail_segments.memory import keep, recall


def model(dbt, session):
    dbt.config(materialized="table")

    previous = recall(session, str(dbt.this))
    features = dbt.config.meta_get("features")
    customers = dbt.ref("fct_customer_rfm")
    if dbt.config.meta_get("cluster_model") == "frozen":
        return keep(previous, TYPES)

    return compare_candidates(
        draw(
            customers.filter("is_current and unscored_reason is null").project(
                ", ".join(["customer_id", *features])
            ),
            FIT_SIZE,
        ),
        key="customer_id",
        features=features,
        transform=dbt.config.meta_get("transform"),
        largest_k=dbt.config.meta_get("largest_k"),
        n_init=dbt.config.meta_get("n_init"),
        smallest_share=dbt.config.meta_get("smallest_share"),
        random_state=dbt.config.meta_get("random_state"),
        previous=previous,
    )
