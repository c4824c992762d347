"""One row per origin x method x metric, and group: how near each forecast came.

Only reads and writes here. The method is `retail_segments.forecast_scores`. Where
nothing has changed since the last build, its rows are returned as they are.
"""

from retail_segments.forecast_scores import (
    LIBRARIES,
    MEASURED_SIZE,
    MODULES,
    score_methods,
)
from retail_segments.forecasting import COLUMNS, read_origins
from retail_segments.memory import recall_unchanged, take_fingerprint


def model(dbt, session):
    dbt.config(materialized="table")

    histories = (
        dbt.ref("int_forecast_histories")
        .filter(f"sample_number <= {MEASURED_SIZE}")
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
    settings = {
        "scored": dbt.config.meta_get("scored"),
        "interval": dbt.config.meta_get("interval"),
    }
    fingerprint = take_fingerprint(
        histories,
        origins,
        settings=settings,
        methods=MODULES,
        libraries=LIBRARIES,
    )
    kept = recall_unchanged(session, str(dbt.this), fingerprint)
    if kept is not None:
        return kept

    pasts, current = read_origins(histories, origins)
    return score_methods(pasts, current, **settings).assign(fingerprint=fingerprint)
