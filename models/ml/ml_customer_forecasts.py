"""One row per customer with a purchase: what they will order and spend, from today on.

Only reads and writes here. The method is `retail_segments.customer_forecasts`. Where
nothing has changed since the last build, its rows are returned as they are.
"""

from retail_segments.customer_forecasts import (
    MODULES,
    forecast_customers,
    read_calibration,
)
from retail_segments.forecast_scores import LIBRARIES
from retail_segments.forecasting import COLUMNS, LEARNING_SIZE, read_origins
from retail_segments.memory import recall, take_fingerprint


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
    chosen = dbt.ref("rpt_forecast_methods").filter("is_chosen").order("target").df()
    methods = dict(zip(chosen["target"], chosen["method"], strict=True))
    groups = (
        dbt.ref("rpt_forecast_calibration")
        .filter("is_current")
        .order("method, group_number")
        .df()
    )
    settings = {"discount_rate": dbt.config.meta_get("discount_rate")}
    fingerprint = take_fingerprint(
        histories,
        origins,
        groups,
        settings={**settings, **methods},
        methods=MODULES,
        libraries=LIBRARIES,
    )
    before = recall(session, str(dbt.this))
    if before is not None and set(before["fingerprint"]) == {fingerprint}:
        # The table, not the frame, which forgets the types of columns without a value.
        return session.table(str(dbt.this))

    pasts, current = read_origins(histories, origins)
    latest = histories["origin_date"] == origins["origin_date"].max()
    return forecast_customers(
        histories.loc[latest, "customer_id"],
        current,
        pasts,
        orders_method=methods["orders"],
        amount_method=methods["amount"],
        calibration=read_calibration(groups, methods["amount"]),
        **settings,
    ).assign(fingerprint=fingerprint)
