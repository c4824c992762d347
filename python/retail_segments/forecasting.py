"""Forecast what each customer will order and spend, by every method there is."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from retail_segments.binning import find_edges, number_classes
from retail_segments.clustering import Floats
from retail_segments.lifetime_models import (
    LifetimeModel,
    expected_amount,
    expected_purchases,
    fit_bg_nbd,
    fit_gamma_gamma,
    fit_nbd,
    fit_pareto_nbd,
)
from retail_segments.threads import one_thread

# What a method must beat to be used, simplest first.
BASELINES = ("repeat_rate", "last_window", "year_ago_window")
LIFETIME_FITS: Mapping[str, Callable[[pd.DataFrame], LifetimeModel]] = {
    "nbd": fit_nbd,
    "bg_nbd": fit_bg_nbd,
    "pareto_nbd": fit_pareto_nbd,
}
METHODS = (*BASELINES, *LIFETIME_FITS, "gradient_boosting")

# Customers per origin that boosting learns from.
LEARNING_SIZE = 10_000
# Fewer customers than this teach nothing.
SMALLEST_SIZE = 50
# Classes that the values of a feature are put into before trees see them.
CLASS_COUNT = 64
# Few and small trees: on some thousand customers more of either foretells less.
BOOSTING: dict[str, Any] = {
    "loss": "poisson",
    "max_iter": 60,
    "learning_rate": 0.06,
    "max_leaf_nodes": 6,
    "min_samples_leaf": 60,
    "max_bins": CLASS_COUNT,
    "early_stopping": False,
    "random_state": 42,
}
# What is read of int_forecast_histories, all numbers.
HISTORY = (
    "order_count",
    "purchase_day_count",
    "repeat_frequency",
    "recency_at_last_purchase_days",
    "customer_age_days",
    "recency_days",
    "amount",
    "repeat_amount",
    "last_window_order_count",
    "last_window_amount",
    "previous_window_order_count",
    "previous_window_amount",
    "year_ago_order_count",
    "year_ago_amount",
    "returned_share",
)
# The same as a list of columns for SQL, with what followed.
COLUMNS = ", ".join(
    [
        "origin_date",
        "customer_id",
        *[
            f"cast({name} as double) as {name}"
            for name in (*HISTORY, "next_order_count", "next_amount")
        ],
    ]
)
TARGETS = ("order", "amount")
FACTORS = tuple(
    f"{name}_{target}_factor"
    for name in ("coming", "trailing", "growth")
    for target in TARGETS
)


@dataclass(frozen=True)
class Season:
    """How far the days of a horizon lie above or below the level of other days.

    Each holds a factor for orders and one for amounts; 1 where it is not known.

    Attributes
    ----------
    coming : tuple of float
        The days of the horizon to the year around them.
    trailing : tuple of float
        The days before the origin to the year around them.
    growth : tuple of float
        The days before the origin to the same days a year before.
    """

    coming: tuple[float, float] = (1.0, 1.0)
    trailing: tuple[float, float] = (1.0, 1.0)
    growth: tuple[float, float] = (1.0, 1.0)


@dataclass(frozen=True)
class Origin:
    """A day from which revenue is forecast, and what was known at its start.

    Attributes
    ----------
    date : Timestamp
        The day.
    histories : DataFrame
        One row per customer with the columns `HISTORY`, no other.
    horizon_days : int
        How many days ahead to look.
    season : Season
        What corrects the level.
    sample : DataFrame, optional
        The customers that models are fitted to, where `histories` is a part of all.
    memory : dict
        What `once` has made.
    """

    date: pd.Timestamp
    histories: pd.DataFrame
    horizon_days: int
    season: Season = field(default_factory=Season)
    sample: pd.DataFrame | None = field(default=None, repr=False, compare=False)
    # What was worked out before: the same origin is forecast from many times.
    memory: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """Return what was made under this name, or make it."""
        if name not in self.memory:
            self.memory[name] = make()
        return self.memory[name]

    @property
    def fitted_on(self) -> pd.DataFrame:
        """The histories that models are fitted to."""
        return self.histories if self.sample is None else self.sample

    @property
    def end_date(self) -> pd.Timestamp:
        """The day after the horizon."""
        return self.date + pd.Timedelta(days=self.horizon_days)


@dataclass(frozen=True)
class Past:
    """An origin whose horizon has passed, with what followed.

    Attributes
    ----------
    origin : Origin
        What was known.
    orders, amounts : ndarray of shape (n_customers,)
        What followed, in the order of the histories.
    """

    origin: Origin
    orders: Floats
    amounts: Floats


@dataclass(frozen=True)
class Forecast:
    """What one method says of the customers of an origin.

    Attributes
    ----------
    orders, amounts : ndarray of shape (n_customers,) or None
        Expected over the horizon, none below 0; None where the method cannot say.
    reason : str or None
        Why it cannot, or why it should not be used all the same.
    model : LifetimeModel or None
        What was fitted.
    """

    orders: Floats | None = None
    amounts: Floats | None = None
    reason: str | None = None
    model: LifetimeModel | None = None


def passed(pasts: Iterable[Past], origin: Origin) -> list[Past]:
    """Return the origins whose horizon had passed by another one, oldest first.

    Parameters
    ----------
    pasts : iterable of Past
        Origins.
    origin : Origin
        The one to look back from.

    Returns
    -------
    list of Past
        All that may be known of what followed.

    Examples
    --------
    >>> histories = pd.DataFrame({name: [4.0] for name in HISTORY})
    >>> days = pd.to_datetime(["2011-06-13", "2011-09-11", "2011-09-12"])
    >>> june, then, late = (Origin(day, histories, 90) for day in days)
    >>> ones = np.ones(1)
    >>> len(passed([Past(june, ones, ones)], then))
    1
    >>> len(passed([Past(then, ones, ones)], late))
    0
    """
    known = [past for past in pasts if past.origin.end_date <= origin.date]
    return sorted(known, key=lambda past: past.origin.date)


def forecast(method: str, origin: Origin, lessons: Sequence[Past]) -> Forecast:
    """Forecast the orders and the amount of every customer by one method.

    The level is corrected by the season where the data tell one: methods that spread
    a customer's orders evenly over time by the season of the coming days, the last
    window by the ratio of both seasons, the year-ago window by the growth since.

    Parameters
    ----------
    method : str
        ``repeat_rate``: the orders after the first per day, and the mean amount.
        ``last_window``: what they bought in as many days before the origin.
        ``year_ago_window``: what they bought in the same days a year before.
        ``nbd``, ``bg_nbd``, ``pareto_nbd``: see `retail_segments.lifetime_models`, with
        the Gamma-Gamma model of amounts. ``gradient_boosting``: regression trees with
        a Poisson loss [1]_ learn from other origins who orders more or less than the
        mean [2]_ of NBD and last window, which tells how much all do; amounts as those.
    origin : Origin
        What is known.
    lessons : sequence of Past
        The origins to learn from: see `passed`. Only boosting does.

    Returns
    -------
    Forecast
        No figures, but a reason, where there is too little to learn from.

    Raises
    ------
    ValueError
        If there is no such method.

    References
    ----------
    .. [1] J. H. Friedman, "Greedy function approximation: a gradient boosting machine",
       Annals of Statistics 29, 2001.
    .. [2] J. M. Bates and C. W. J. Granger, "The combination of forecasts", Operational
       Research Quarterly 20, 1969.

    Examples
    --------
    >>> histories = pd.DataFrame({name: [4.0] for name in HISTORY})
    >>> origin = Origin(pd.Timestamp("2011-12-10"), histories, 90)
    >>> found = forecast("last_window", origin, [])
    >>> found.orders, found.amounts
    (array([4.]), array([4.]))
    """
    if method not in METHODS:
        raise ValueError(f"no method is called {method}; there are {METHODS}")
    if origin.histories.empty:
        return Forecast(reason="no customer has bought anything yet")
    if method == "gradient_boosting":
        return _by_boosting(origin, lessons)
    by = _by_lifetime if method in LIFETIME_FITS else _by_rule
    found: Forecast = origin.once(method, lambda: by(method, origin))
    return found


def _by_rule(method: str, origin: Origin) -> Forecast:
    known, season = origin.histories, origin.season
    if method == "repeat_rate":
        rate = (known["order_count"] - 1) / known["customer_age_days"].clip(lower=1)
        orders = rate * origin.horizon_days
        factors = season.coming
        amounts = orders * known["amount"] / known["order_count"]
    elif method == "last_window":
        orders, amounts = known["last_window_order_count"], known["last_window_amount"]
        factors = (
            season.coming[0] / season.trailing[0],
            season.coming[1] / season.trailing[1],
        )
    else:
        orders, amounts = known["year_ago_order_count"], known["year_ago_amount"]
        factors = season.growth
        if orders.isna().any():
            return Forecast(reason="the data do not reach back a year")
    return Forecast(
        orders.to_numpy(dtype="float64") * factors[0],
        amounts.clip(lower=0).to_numpy(dtype="float64") * factors[1],
    )


def _by_lifetime(method: str, origin: Origin) -> Forecast:
    known, season = origin.histories, origin.season
    model = fit_lifetime(method, origin)
    if np.isnan(model.log_likelihood):
        return Forecast(reason=model.degenerate_reason, model=model)
    # The models count days with a purchase; some have several orders.
    fitted = origin.fitted_on
    orders_per_day = fitted["order_count"].sum() / fitted["purchase_day_count"].sum()
    orders = expected_purchases(model, known, origin.horizon_days) * orders_per_day
    if not np.isfinite(orders).all():
        return Forecast(reason=model.degenerate_reason, model=model)
    return Forecast(
        orders * season.coming[0],
        orders * _order_values(origin) * season.coming[1],
        model.degenerate_reason,
        model,
    )


def fit_lifetime(method: str, origin: Origin) -> LifetimeModel:
    """Fit a lifetime model to the customers of an origin, once.

    Parameters
    ----------
    method : str
        One of `LIFETIME_FITS`.
    origin : Origin
        What is known.

    Returns
    -------
    LifetimeModel

    Examples
    --------
    >>> histories = pd.DataFrame({name: [4.0] for name in HISTORY})
    >>> origin = Origin(pd.Timestamp("2011-12-10"), histories, 90)
    >>> fit_lifetime("nbd", origin) is fit_lifetime("nbd", origin)
    True
    """
    model: LifetimeModel = origin.once(
        f"fit of {method}", lambda: LIFETIME_FITS[method](origin.fitted_on)
    )
    return model


def expected_order_values(
    histories: pd.DataFrame, fitted_on: pd.DataFrame | None = None
) -> Floats:
    """Return what an order of each customer is worth, by the Gamma-Gamma model.

    All orders count, the first too. Customers with few are drawn towards the mean of
    all. Where the model cannot be fitted, everybody gets their own mean.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, ...)
        With the columns `HISTORY`.
    fitted_on : DataFrame, optional
        Those that the model is fitted to; `histories` where it is not given.

    Returns
    -------
    ndarray of shape (n_customers,)
        Amount per order, not below 0.

    Examples
    --------
    >>> histories = pd.DataFrame({name: [4.0] for name in HISTORY})
    >>> expected_order_values(histories)
    array([1.])
    """

    def orders(known: pd.DataFrame) -> tuple[Floats, Floats]:
        counts = known["order_count"].to_numpy(dtype="float64")
        return counts, (known["amount"] / known["order_count"]).to_numpy(
            dtype="float64"
        )

    counts, means = orders(histories)
    model = fit_gamma_gamma(*orders(histories if fitted_on is None else fitted_on))
    values = expected_amount(model, counts, means)
    return np.where(np.isfinite(values), values, np.maximum(means, 0.0))


def features(histories: pd.DataFrame) -> Floats:
    """Return what boosting learns from: what is known, and some ratios of it.

    Parameters
    ----------
    histories : DataFrame of shape (n_customers, ...)
        With the columns `HISTORY`.

    Returns
    -------
    ndarray of shape (n_customers, n_features)
        -1 where something is not known.

    Examples
    --------
    >>> features(pd.DataFrame({name: [4.0] for name in HISTORY})).shape
    (1, 19)
    """
    known = histories.loc[:, list(HISTORY)].astype("float64")
    gaps = known["recency_at_last_purchase_days"] / known["repeat_frequency"].clip(
        lower=1
    )
    ratios = {
        "orders_per_day": known["order_count"] / known["customer_age_days"].clip(1),
        "average_order_value": known["amount"] / known["order_count"],
        "days_between_orders": gaps,
        "lateness": known["recency_days"] / (gaps + 1),
    }
    return known.assign(**ratios).fillna(-1.0).to_numpy()


def _by_boosting(origin: Origin, lessons: Sequence[Past]) -> Forecast:
    from sklearn.ensemble import HistGradientBoostingRegressor

    parts = [
        (
            _features(lesson.origin)[:LEARNING_SIZE],
            _before_boosting(lesson.origin)[:LEARNING_SIZE],
            lesson.orders[:LEARNING_SIZE] / _level(lesson),
        )
        for lesson in lessons
    ]
    if sum(len(orders) for _, _, orders in parts) < SMALLEST_SIZE:
        return Forecast(reason="no earlier origin's horizon has passed to learn from")
    known, start, orders = (
        np.concatenate(columns) for columns in zip(*parts, strict=True)
    )
    if not orders.any():
        return Forecast(reason="nobody ordered anything after the earlier origins")
    # Trees tell no more than classes apart, which are found faster beforehand.
    coming = _features(origin)
    edges = [find_edges(column, start, count=CLASS_COUNT) for column in known.T]
    learnt, asked = (
        np.column_stack(
            [number_classes(*pair) for pair in zip(rows.T, edges, strict=True)]
        ).astype("float64")
        for rows in (known, coming)
    )
    # Counts over an exposure: trees learn a factor then, which reaches beyond them.
    with one_thread():
        factors = (
            HistGradientBoostingRegressor(**BOOSTING)
            .fit(learnt, orders / start, sample_weight=start)
            .predict(asked)
        )
    expected = factors * _before_boosting(origin)
    return Forecast(
        expected * origin.season.coming[0],
        expected * _order_values(origin) * origin.season.coming[1],
    )


def _level(lesson: Past) -> float:
    """Return how much more was ordered in all: of the season, which is no lesson."""
    total = float(lesson.orders.sum())
    return total / float(_before_boosting(lesson.origin).sum()) if total else 1.0


def _order_values(origin: Origin) -> Floats:
    values: Floats = origin.once(
        "order values",
        lambda: expected_order_values(origin.histories, origin.fitted_on),
    )
    return values


def _features(origin: Origin) -> Floats:
    known: Floats = origin.once("features", lambda: features(origin.histories))
    return known


def _before_boosting(origin: Origin) -> Floats:
    """Return expected orders, none of them 0, as if the season were that of a year."""
    rate = forecast("nbd", origin, [])
    last = origin.histories["last_window_order_count"].to_numpy(dtype="float64")
    last = last / origin.season.trailing[0]
    if rate.orders is None:
        return np.maximum(last, 0.01)
    return np.maximum((rate.orders / origin.season.coming[0] + last) / 2, 1e-9)


def read_origins(
    histories: pd.DataFrame, origins: pd.DataFrame
) -> tuple[list[Past], Origin | None]:
    """Take the tables of the warehouse apart into origins.

    Parameters
    ----------
    histories : DataFrame
        One row per origin x customer, with ``origin_date``, `HISTORY`,
        ``next_order_count`` and ``next_amount``; of each origin in the order in which
        customers are sampled.
    origins : DataFrame
        One row per origin: ``origin_date``, ``horizon_days``, ``is_current``, and the
        factors of int_forecast_seasons.

    Returns
    -------
    tuple of list of Past and Origin or None
        Those whose horizon has passed, and the current one; None where there are no
        origins, since there are no data.

    Raises
    ------
    ValueError
        If there are origins and not one of them is current.

    Examples
    --------
    >>> origins = pd.DataFrame(
    ...     {
    ...         "origin_date": [pd.Timestamp("2011-12-10")],
    ...         "horizon_days": [90],
    ...         "is_current": [True],
    ...         **{name: [None] for name in FACTORS},
    ...     }
    ... )
    >>> histories = pd.DataFrame({name: [4.0] for name in HISTORY}).assign(
    ...     origin_date=pd.Timestamp("2011-12-10")
    ... )
    >>> pasts, current = read_origins(histories, origins)
    >>> len(pasts), current.end_date
    (0, Timestamp('2012-03-09 00:00:00'))
    """
    if origins.empty:
        return [], None
    if origins["is_current"].sum() != 1:
        raise ValueError(
            f"{origins['is_current'].sum()} of {len(origins)} origins are current; "
            "give one"
        )
    pasts, current = [], None
    for row in origins.to_dict("records"):
        known = histories[histories["origin_date"] == row["origin_date"]]
        origin = Origin(
            date=pd.Timestamp(row["origin_date"]),
            histories=known[list(HISTORY)].astype("float64").reset_index(drop=True),
            horizon_days=int(row["horizon_days"]),
            season=_read_season(row),
        )
        if row["is_current"]:
            current = origin
        elif len(known):
            pasts.append(
                Past(
                    origin,
                    known["next_order_count"].to_numpy(dtype="float64"),
                    known["next_amount"].to_numpy(dtype="float64"),
                )
            )
    return pasts, current


def _read_season(row: Mapping[Any, Any]) -> Season:
    def pair(name: str) -> tuple[float, float]:
        orders, amounts = (row[f"{name}_{target}_factor"] for target in TARGETS)
        return _known(orders), _known(amounts)

    return Season(pair("coming"), pair("trailing"), pair("growth"))


def _known(factor: float | None) -> float:
    """Return a factor, or 1 for one that is not known: it corrects nothing."""
    return float(factor) if factor and np.isfinite(factor) else 1.0
