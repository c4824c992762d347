"""Compare forecasts with what followed, at one origin after the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

from retail_segments.clustering import Floats
from retail_segments.forecasting import (
    METHODS,
    Origin,
    Past,
    forecast,
    passed,
)
from retail_segments.threads import one_thread

# What a score comes from, apart from the data: modules, and libraries.
MODULES = (
    "binning",
    "forecast_scores",
    "forecasting",
    "lifetime_likelihoods",
    "lifetime_models",
)
LIBRARIES = ("numpy", "pandas", "scikit-learn", "scipy")
# Customers per origin that are measured, of a large shop.
MEASURED_SIZE = 20_000
# Customers are grouped by their expected amount into so many groups of about equal
# size, and one of those who are expected to spend nothing.
GROUP_COUNT = 10
# What followed is told from so many origins, the latest whose horizon had passed.
CALIBRATING_COUNT = 4
# The share of the customers that a campaign could reach.
TOP_SHARE = 0.1

TYPES = {
    "origin_date": "datetime64[us]",
    "method": "string",
    "metric": "string",
    "group_number": "Int64",
    "value": "Float64",
    "reason": "string",
    "is_degenerate": "boolean",
}


@dataclass(frozen=True)
class Calibration:
    """What followed a forecast, by groups of the expected amount.

    Attributes
    ----------
    upper_amounts : ndarray of shape (n_groups,)
        The largest expected amount of each group; the first is that of 0.
    low_ratios, high_ratios : ndarray of shape (n_groups,)
        The ends of the interval as a multiple of the expected amount; in the first
        group, as an amount.
    """

    upper_amounts: Floats
    low_ratios: Floats
    high_ratios: Floats


def score_methods(
    pasts: Sequence[Past], current: Origin | None, *, scored: int, interval: float
) -> pd.DataFrame:
    """Forecast from the latest origins by every method, and measure how near it came.

    At each origin a method knows what was known then, and learns only from origins
    whose horizon had passed: rolling origins, as [1]_ has them. See `calibrate` for the
    interval of an amount.

    Parameters
    ----------
    pasts : sequence of Past
        Origins whose horizon has passed.
    current : Origin or None
        The origin whose horizon has not: methods are fitted and calibrated there. None
        where there are no data.
    scored : int
        At how many of `pasts`, the latest, methods are measured.
    interval : float
        Share of the customers whose amount is to lie in the interval.

    Returns
    -------
    DataFrame
        Columns `TYPES`. One row per ``origin_date`` x ``method`` x ``metric``, and
        ``group_number`` where the metric is told by group. A method without a forecast
        has a row with the metric ``unmeasured`` and its reason.

    References
    ----------
    .. [1] L. J. Tashman, "Out-of-sample tests of forecasting accuracy: an analysis and
       review", International Journal of Forecasting 16, 2000.

    Examples
    --------
    >>> from retail_segments.forecasting import HISTORY
    >>> histories = pd.DataFrame({name: [4.0, 2.0] for name in HISTORY})
    >>> past = Past(
    ...     Origin(pd.Timestamp("2011-06-13"), histories, 90),
    ...     np.array([4.0, 3.0]),
    ...     np.array([4.0, 2.0]),
    ... )
    >>> rows = score_methods([past], None, scored=1, interval=0.8)
    >>> is_wanted = (rows["method"] == "last_window") & (rows["metric"] == "orders_mae")
    >>> rows.loc[is_wanted, "value"].tolist()
    [0.5]
    """
    ordered = sorted(pasts, key=lambda past: past.origin.date)
    rows: list[dict[str, Any]] = []
    # Fits of four parameters gain nothing from more threads, and cost twice as much.
    with one_thread():
        for past in ordered[-scored:]:
            rows += _score(past.origin, past, ordered, interval)
        if current is not None:
            rows += _score(current, None, ordered, interval)
    return _as_frame(rows)


def _score(
    origin: Origin, followed: Past | None, pasts: Sequence[Past], interval: float
) -> Iterator[dict[str, Any]]:
    """Give the rows of one origin."""
    for method in METHODS:
        lessons = passed(pasts, origin)
        made = forecast(method, origin, lessons)
        head = {
            "origin_date": origin.date,
            "method": method,
            "reason": made.reason,
            "is_degenerate": made.model is not None and made.model.is_degenerate,
        }
        if made.orders is None or made.amounts is None:
            yield {**head, "metric": "unmeasured"}
            continue
        figures = {"orders_expected": float(made.orders.sum())}
        if made.model is not None and not np.isnan(made.model.log_likelihood):
            figures["log_likelihood"] = made.model.log_likelihood
            for name, value in made.model.parameters.items():
                figures[f"parameter_{name}"] = value
        calibration = calibrate(method, lessons, interval=interval)
        if followed is not None:
            figures |= dict(_measure(made.orders, followed.orders, "orders"))
            figures |= dict(_measure(made.amounts, followed.amounts, "amount"))
            figures["amount_captured_share"] = captured_share(
                made.amounts, followed.amounts
            )
            if calibration is not None:
                low, high = intervals(made.amounts, calibration)
                is_inside = (low <= followed.amounts) & (followed.amounts <= high)
                figures["amount_coverage"] = float(is_inside.mean())
        for metric, value in figures.items():
            yield {**head, "metric": metric, "value": value}
        groups = _describe_groups(
            made.amounts, None if followed is None else followed.amounts, calibration
        )
        for number, metric, value in groups:
            yield {**head, "metric": metric, "group_number": number, "value": value}


def calibrate(
    method: str, lessons: Sequence[Past], *, interval: float
) -> Calibration | None:
    """Say what followed forecasts of a method, by groups of the expected amount.

    Customers of the latest origins are grouped by what they were expected to spend, and
    the middle `interval` of what each group did spend, as a multiple of that, is taken
    [1]_; from 0 on where so many spent nothing that 0 lies in it. That holds if the
    level of the next forecast is off as much as these were together. It will be off
    by something of its own: the ends are moved apart by the level's error at these
    origins, as a normal distribution of its logarithm has it.

    Parameters
    ----------
    method : str
        One of `forecasting.METHODS`. Boosting forecasts each origin from the others.
    lessons : sequence of Past
        Origins whose horizon has passed, oldest first.
    interval : float
        Share of the customers whose amount is to lie in the interval.

    Returns
    -------
    Calibration or None
        None where the method could not forecast at any of them.

    References
    ----------
    .. [1] V. Vovk, A. Gammerman and G. Shafer, "Algorithmic learning in a random
       world", 2005, section 4.6 (Mondrian conformal predictors).

    Examples
    --------
    >>> from retail_segments.forecasting import HISTORY
    >>> histories = pd.DataFrame({name: [4.0, 2.0] for name in HISTORY})
    >>> origin = Origin(pd.Timestamp("2011-06-13"), histories, 90)
    >>> past = Past(origin, np.array([4.0, 3.0]), np.array([4.0, 2.0]))
    >>> found = calibrate("last_window", [past], interval=0.8)
    >>> found.low_ratios, found.high_ratios
    (array([0., 1.]), array([0., 1.]))
    """
    latest = list(lessons)[-CALIBRATING_COUNT:]
    expected, actual, errors = [], [], []
    for past in latest:
        others = [other for other in lessons if other is not past]
        made = forecast(method, past.origin, others)
        if made.amounts is None:
            continue
        expected.append(made.amounts)
        actual.append(past.amounts)
        if made.amounts.sum() > 0 and past.amounts.sum() > 0:
            errors.append(np.log(past.amounts.sum() / made.amounts.sum()))
    if not expected:
        return None
    before, after = np.concatenate(expected), np.concatenate(actual)
    uppers = _bounds(before)
    numbers = np.searchsorted(uppers, before).clip(max=len(uppers) - 1)
    ends = np.zeros((len(uppers), 2))
    for number in np.unique(numbers):
        is_in = numbers == number
        scale = before[is_in] if number else 1.0
        ends[number] = _middle(after[is_in] / scale, interval)
    error = float(np.sqrt(np.mean(np.square(errors)))) if errors else 0.0
    widening = np.exp(NormalDist().inv_cdf((1 + interval) / 2) * error)
    return Calibration(uppers, ends[:, 0] / widening, ends[:, 1] * widening)


def captured_share(expected: Floats, actual: Floats) -> float:
    """Return the share of what all spend that the customers expected to spend most do.

    Parameters
    ----------
    expected, actual : ndarray of shape (n_customers,)
        Amounts. Of customers with equal expectations the first are taken.

    Returns
    -------
    float
        What the top tenth spends, 0 to 1; not a number where nobody spends anything.

    Examples
    --------
    >>> captured_share(np.arange(10.0), np.array([1.0] * 9 + [3.0]))
    0.25
    """
    count = max(1, int(len(expected) * TOP_SHARE))
    top = np.argsort(-expected, kind="stable")[:count]
    total = float(actual.sum())
    return float(actual[top].sum()) / total if total else float("nan")


def intervals(expected: Floats, calibration: Calibration) -> tuple[Floats, Floats]:
    """Return the ends of each customer's interval.

    Parameters
    ----------
    expected : ndarray of shape (n_customers,)
        Expected amounts.
    calibration : Calibration
        What followed forecasts of the same method.

    Returns
    -------
    tuple of two ndarrays of shape (n_customers,)
        Amounts between which the customer's lies.

    Examples
    --------
    >>> calibration = Calibration(
    ...     np.array([0.0, 10.0]), np.array([0.0, 0.5]), np.array([7.0, 2.0])
    ... )
    >>> intervals(np.array([0.0, 4.0, 40.0]), calibration)
    (array([ 0.,  2., 20.]), array([ 7.,  8., 80.]))
    """
    last = len(calibration.upper_amounts) - 1
    groups = np.searchsorted(calibration.upper_amounts, expected).clip(max=last)
    scale = np.where(groups == 0, 1.0, expected)
    return calibration.low_ratios[groups] * scale, (
        calibration.high_ratios[groups] * scale
    )


def read_calibration(groups: pd.DataFrame, method: str) -> Calibration | None:
    """Take the groups that a method was calibrated by at an origin.

    Parameters
    ----------
    groups : DataFrame
        Rows of rpt_forecast_calibration, of one origin.
    method : str
        One of `forecasting.METHODS`.

    Returns
    -------
    Calibration or None
        None where it was not calibrated.

    Examples
    --------
    >>> columns = ["method", "group_number", "low_ratio"]
    >>> read_calibration(pd.DataFrame(columns=columns), "nbd")
    """
    is_own = (groups["method"] == method) & groups["low_ratio"].notna()
    latest = groups[is_own].sort_values("group_number")
    if latest.empty:
        return None
    uppers, lows, highs = (
        latest[name].to_numpy(dtype="float64")
        for name in ("upper_amount", "low_ratio", "high_ratio")
    )
    return Calibration(uppers, lows, highs)


def _measure(
    expected: Floats, actual: Floats, target: str
) -> Iterator[tuple[str, float]]:
    errors = expected - actual
    total = float(actual.sum())
    yield f"{target}_mae", float(np.abs(errors).mean())
    yield f"{target}_rmse", float(np.sqrt((errors**2).mean()))
    yield f"{target}_bias", float(errors.sum()) / total if total else float("nan")
    one, other = (pd.Series(values).rank() for values in (expected, actual))
    is_constant = one.nunique() == 1 or other.nunique() == 1
    yield f"{target}_spearman", float("nan") if is_constant else one.corr(other)


def _bounds(expected: Floats) -> Floats:
    """Return the largest expected amount of each group, 0 for the first."""
    positive = expected[expected > 0]
    shares = np.arange(1, GROUP_COUNT + 1) / GROUP_COUNT
    uppers = (
        np.unique(np.quantile(positive, shares, method="higher"))
        if len(positive)
        else np.array([])
    )
    return np.concatenate([[0.0], uppers])


def _describe_groups(
    expected: Floats, actual: Floats | None, calibration: Calibration | None
) -> Iterator[tuple[int, str, float]]:
    uppers = _bounds(expected) if calibration is None else calibration.upper_amounts
    numbers = np.searchsorted(uppers, expected).clip(max=len(uppers) - 1)
    for number, upper in enumerate(uppers):
        is_in = numbers == number
        yield number, "group_upper_amount", float(upper)
        yield number, "group_customer_count", float(is_in.sum())
        if is_in.any():
            yield number, "group_expected_amount", float(expected[is_in].mean())
            if actual is not None:
                yield number, "group_actual_amount", float(actual[is_in].mean())
        if calibration is not None:
            yield number, "group_low_ratio", float(calibration.low_ratios[number])
            yield number, "group_high_ratio", float(calibration.high_ratios[number])


def _middle(values: Floats, share: float) -> tuple[float, float]:
    low = float(np.quantile(values, (1 - share) / 2, method="lower"))
    if low <= 0:
        return 0.0, float(np.quantile(values, share, method="higher"))
    return low, float(np.quantile(values, (1 + share) / 2, method="higher"))


def _as_frame(rows: list[dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(TYPES))
    frame["value"] = frame["value"].astype("float64")
    frame.loc[~np.isfinite(frame["value"]), "value"] = np.nan
    return frame.astype(TYPES)
