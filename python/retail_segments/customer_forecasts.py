"""Forecast the customers of today by the methods that proved themselves."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from retail_segments.clustering import Floats
from retail_segments.forecast_scores import MODULES as SCORING_MODULES
from retail_segments.forecast_scores import intervals, read_calibration
from retail_segments.forecasting import (
    HISTORY,
    LIFETIME_FITS,
    Origin,
    Past,
    fit_lifetime,
    forecast,
    passed,
)
from retail_segments.lifetime_models import (
    LifetimeModel,
    expected_purchases,
    probability_active,
)
from retail_segments.threads import one_thread

# What a forecast comes from, apart from the data and the libraries: modules.
MODULES = ("customer_forecasts", *SCORING_MODULES)
MONTHS = 12
MONTH_DAYS = 365 / MONTHS

TYPES = {
    "customer_id": "string",
    "expected_orders": "Float64",
    "expected_amount": "Float64",
    "amount_low": "Float64",
    "amount_high": "Float64",
    "probability_active": "Float64",
    "customer_lifetime_value": "Float64",
    "activity_method": "string",
}


def forecast_customers(
    customer_ids: pd.Series,
    origin: Origin | None,
    pasts: Sequence[Past],
    *,
    methods: Mapping[str, str],
    groups: pd.DataFrame,
    discount_rate: float,
) -> pd.DataFrame:
    """Forecast orders, amount, and what the next twelve months are worth.

    A lifetime model that does not degenerate says how likely each customer is to be
    active, and how their purchases thin out over the year; of several, the one of the
    largest likelihood. Where there is none, the data know no leaving: nobody can be
    said to be active or not, and the year goes on at the rate of the horizon. Months
    are discounted from their middle [1]_; the year has all seasons, so that none is
    taken into it.

    Parameters
    ----------
    customer_ids : Series of shape (n_customers,)
        Who they are, in the order of the origin's histories.
    origin : Origin or None
        What is known; None where there are no data.
    pasts : sequence of Past
        Earlier origins, for a method that learns.
    methods : mapping of str to str
        The method, one of `forecasting.METHODS`, of ``orders`` and of ``amount``.
    groups : DataFrame
        Rows of rpt_forecast_calibration of the current origin; where the method of
        amounts has none, the interval is missing.
    discount_rate : float
        What a year's delay takes off an amount.

    Returns
    -------
    DataFrame of shape (n_customers, 8)
        Columns `TYPES`.

    Raises
    ------
    ValueError
        If a method cannot say anything of these customers.

    References
    ----------
    .. [1] S. Gupta, D. Lehmann and J. Stuart, "Valuing customers", Journal of Marketing
       Research 41, 2004.

    Examples
    --------
    >>> from retail_segments.forecasting import HISTORY
    >>> histories = pd.DataFrame({name: [4.0] for name in HISTORY})
    >>> found = forecast_customers(
    ...     pd.Series(["a"]),
    ...     Origin(pd.Timestamp("2011-12-10"), histories, 90),
    ...     [],
    ...     methods={"orders": "last_window", "amount": "last_window"},
    ...     groups=pd.DataFrame(columns=["method", "group_number", "low_ratio"]),
    ...     discount_rate=0.0,
    ... )
    >>> found[["expected_orders", "expected_amount"]].values.tolist()
    [[4.0, 4.0]]
    """
    if origin is None or origin.histories.empty:
        return pd.DataFrame(columns=list(TYPES)).astype(TYPES)
    with one_thread():
        return _forecast(customer_ids, origin, pasts, methods, groups, discount_rate)


def _forecast(
    customer_ids: pd.Series,
    origin: Origin,
    pasts: Sequence[Past],
    methods: Mapping[str, str],
    groups: pd.DataFrame,
    discount_rate: float,
) -> pd.DataFrame:
    said = {name: _say(name, origin, pasts) for name in set(methods.values())}
    orders, amounts = said[methods["orders"]][0], said[methods["amount"]][1]
    calibration = read_calibration(groups, methods["amount"])
    low = high = np.full(len(amounts), np.nan)
    if calibration is not None:
        low, high = intervals(amounts, calibration)
    model = _best_lifetime_model(origin)
    active = None if model is None else probability_active(model, origin.histories)
    level = amounts / origin.season.coming[1]
    return pd.DataFrame(
        {
            "customer_id": customer_ids.to_numpy(),
            "expected_orders": orders,
            "expected_amount": amounts,
            "amount_low": low,
            "amount_high": high,
            "probability_active": np.nan if active is None else active,
            "customer_lifetime_value": level * _year(model, origin, discount_rate),
            "activity_method": None if model is None else model.name,
        }
    ).astype(TYPES)


def among(origin: Origin | None, customers: pd.DataFrame) -> Origin | None:
    """Return an origin with other customers, whose models are fitted to its own.

    Parameters
    ----------
    origin : Origin or None
        What is known of a sample, or of everybody.
    customers : DataFrame
        One row per customer to forecast, with the columns `HISTORY`.

    Returns
    -------
    Origin or None
        None where there is no origin.

    Examples
    --------
    >>> known = pd.DataFrame({name: [4.0, 2.0] for name in HISTORY})
    >>> found = among(Origin(pd.Timestamp("2011-12-10"), known, 90), known.head(1))
    >>> len(found.histories), len(found.fitted_on)
    (1, 2)
    """
    if origin is None:
        return None
    histories = customers[list(HISTORY)].astype("float64").reset_index(drop=True)
    return replace(origin, histories=histories, sample=origin.fitted_on, memory={})


def _say(method: str, origin: Origin, pasts: Sequence[Past]) -> tuple[Floats, Floats]:
    made = forecast(method, origin, passed(pasts, origin))
    if made.orders is None or made.amounts is None:
        raise ValueError(f"{method} was chosen but cannot forecast: {made.reason}")
    return made.orders, made.amounts


def _best_lifetime_model(origin: Origin) -> LifetimeModel | None:
    fits = [fit_lifetime(method, origin) for method in LIFETIME_FITS]
    usable = [
        model
        for model in fits
        if not model.is_degenerate
        and probability_active(model, origin.histories.head(1)) is not None
    ]
    return max(usable, key=lambda model: model.log_likelihood, default=None)


def _year(model: LifetimeModel | None, origin: Origin, discount_rate: float) -> Floats:
    """Return what twelve months are worth, as a multiple of the horizon."""
    ends = np.arange(1, MONTHS + 1) * MONTH_DAYS
    discounts = (1 + discount_rate) ** -((np.arange(MONTHS) + 0.5) / MONTHS)
    if model is None:
        worth = float(discounts.sum()) * MONTH_DAYS / origin.horizon_days
        return np.full(len(origin.histories), worth)
    until = np.column_stack(
        [np.zeros(len(origin.histories))]
        + [expected_purchases(model, origin.histories, days) for days in ends]
    )
    horizon = expected_purchases(model, origin.histories, origin.horizon_days)
    worth = (np.diff(until, axis=1) * discounts).sum(axis=1)
    return np.where(horizon > 0, worth / np.where(horizon > 0, horizon, 1.0), 0.0)
