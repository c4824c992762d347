"""One row per customer with a purchase: what they will order and spend, from today on.

Only reads and writes here. The method is `retail_segments.customer_forecasts`.
"""

from retail_segments.customer_forecasts import MODULES, forecast_customers
from retail_segments.forecast_scores import LIBRARIES
from retail_segments.forecasting import COLUMNS, LEARNING_SIZE, read_origins
from retail_segments.memory import recall_unchanged, take_fingerprint


def model(dbt, session):
    dbt.config(materialized="table")

    histories = (
        dbt.ref("int_forecast_histories")
        .join(dbt.ref("int_forecast_origins"), "origin_date")
        .filter(f"is_current or sample_number <= {LEARNING_SIZE}")
        .join(dbt.ref("int_forecast_outcomes"), "origin_date, customer_id", how="left")
        .order("origin_date, sample_number")
        .project(COLUMNS)
        .df()
    )
    origins = (
        dbt.ref("int_forecast_origins")
        .join(dbt.ref("int_forecast_seasons"), "origin_date")
        .order("origin_date")
        .df()
    )
    chosen = dbt.ref("rpt_forecast_methods").filter("is_chosen").df()
    methods = chosen.set_index("target")["method"].to_dict()
    groups = (
        dbt.ref("rpt_forecast_calibration")
        .filter("is_current")
        .order("method, group_number")
        .df()
    )
    discount_rate = dbt.config.meta_get("discount_rate")
    fingerprint = take_fingerprint(
        histories,
        origins,
        groups,
        settings={**methods, "discount_rate": discount_rate},
        methods=MODULES,
        libraries=LIBRARIES,
    )
    kept = recall_unchanged(session, str(dbt.this), fingerprint)
    if kept is not None:
        return kept

    pasts, current = read_origins(histories, origins)
    latest = histories["origin_date"] == origins["origin_date"].max()
    return forecast_customers(
        histories.loc[latest, "customer_id"],
        current,
        pasts,
        methods=methods,
        groups=groups,
        discount_rate=discount_rate,
    ).assign(fingerprint=fingerprint)
