"""One row per cluster model x cluster x feature: every model that was ever fitted here.

Only reads and writes here. The method is `retail_segments.cluster_models`; what it
returned at the last build is handed to it again, so that models outlive builds.
"""

from retail_segments.cluster_models import FIT_SIZE, ModelSettings, update_models
from retail_segments.engines import draw, fitter
from retail_segments.memory import recall


def model(dbt, session):
    dbt.config(materialized="table")

    candidates = dbt.ref("rpt_cluster_candidates").filter("is_chosen").df()
    as_of = dbt.ref("int_as_of_date").df()["as_of_date"].iloc[0]
    customers = dbt.ref("fct_customer_rfm").filter(
        "is_current and unscored_reason is null"
    )
    chosen = candidates.iloc[0] if len(candidates) else {}

    return update_models(
        recall(session, str(dbt.this)),
        draw(customers, FIT_SIZE),
        key="customer_id",
        as_of=str(as_of)[:10],
        settings=ModelSettings(
            mode=dbt.config.meta_get("mode"),
            features=dbt.config.meta_get("features"),
            transform=dbt.config.meta_get("transform"),
            cluster_count=dbt.config.meta_get("cluster_count"),
            purchase_basis=dbt.config.meta_get("purchase_basis"),
            random_state=dbt.config.meta_get("random_state"),
            n_init=dbt.config.meta_get("n_init"),
            drift_limit=dbt.config.meta_get("drift_limit"),
            is_drift_accepted=dbt.config.meta_get("is_drift_accepted"),
        ),
        n_clusters=int(chosen["k"]) if len(chosen) else None,
        metrics=chosen,
        fit_clusters=fitter(customers),
    )
