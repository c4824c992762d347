"""One row per customer with a purchase: what they will order and spend, from today on.

Only reads and writes here. The method is `retail_segments.customer_forecasts`.
"""

from retail_segments import customer_forecasts as method
from retail_segments.engines import restrict, score
from retail_segments.forecast_scores import LIBRARIES
from retail_segments.forecasting import COLUMNS, LEARNING_SIZE, read_origins
from retail_segments.memory import recall_unchanged, take_fingerprint

ORDER = "origin_date, sample_number"
SAMPLE = f"sample_number <= {LEARNING_SIZE}"


def model(dbt, session):
    dbt.config(materialized="table")

    everyone = (
        dbt.ref("int_forecast_histories")
        .join(dbt.ref("int_forecast_origins"), "origin_date")
        .join(dbt.ref("int_forecast_outcomes"), "origin_date, customer_id", how="left")
    )
    known = restrict(everyone, f"is_current or {SAMPLE}", on_spark=SAMPLE)
    histories = known.order(ORDER).project(COLUMNS).df()
    origins = (
        dbt.ref("int_forecast_origins")
        .join(dbt.ref("int_forecast_seasons"), "origin_date")
        .order("origin_date")
        .df()
    )
    chosen = dbt.ref("rpt_forecast_methods").filter("is_chosen").df()
    settings = {
        "methods": chosen.set_index("target")["method"].to_dict(),
        "groups": dbt.ref("rpt_forecast_calibration")
        .filter("is_current")
        .order("method, group_number")
        .df(),
        "discount_rate": dbt.config.meta_get("discount_rate"),
    }
    fingerprint = take_fingerprint(
        histories,
        origins,
        settings["groups"],
        settings={**settings["methods"], "discount_rate": settings["discount_rate"]},
        methods=method.MODULES,
        libraries=LIBRARIES,
    )
    kept = recall_unchanged(session, str(dbt.this), fingerprint)
    if kept is not None:
        return kept

    pasts, current = read_origins(histories, origins)
    return score(
        everyone.filter("is_current").order(ORDER).project(COLUMNS),
        lambda batch: method.forecast_customers(
            batch["customer_id"], method.among(current, batch), pasts, **settings
        ).assign(fingerprint=fingerprint),
        {**method.TYPES, "fingerprint": "string"},
    )
