"""One row per customer with an RFM score: the cluster that Python places them in.

Only reads and writes here. The method is `retail_segments.cluster_models`. People read
dim_customer_segments, which SQL fills from the same model; a gate says that both agree.
"""

from retail_segments.cluster_models import LABEL_TYPES, label_customers
from retail_segments.engines import score


def model(dbt, session):  # noqa: ARG001
    dbt.config(materialized="table")

    models = dbt.ref("ml_cluster_models").df()

    return score(
        dbt.ref("fct_customer_rfm")
        .filter("is_current and unscored_reason is null")
        .order("customer_id"),
        lambda customers: label_customers(models, customers, key="customer_id"),
        LABEL_TYPES,
    )
