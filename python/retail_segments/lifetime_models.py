"""How often customers will buy, whether they still do, and for how much each time.

The models are fitted by maximum likelihood. A fit at the edge of its parameters is
flagged and says why: such a model must not say who is still active.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.optimize import minimize
from scipy.special import expit

from retail_segments.lifetime_likelihoods import (
    Floats,
    bg_nbd_log_likelihood,
    gamma_gamma_log_likelihood,
    nbd_log_likelihood,
    pareto_nbd_log_likelihood,
    pareto_nbd_parts,
)

Name = Literal["nbd", "bg_nbd", "pareto_nbd", "gamma_gamma"]
Likelihood = Callable[[Floats, Floats, Floats, Floats], tuple[Floats, Floats]]

HISTORY_COLUMNS = (
    "repeat_frequency",
    "recency_at_last_purchase_days",
    "customer_age_days",
)
PARAMETERS: Mapping[Name, tuple[str, ...]] = {
    "nbd": ("r", "alpha"),
    "bg_nbd": ("r", "alpha", "a", "b"),
    "pareto_nbd": ("r", "alpha", "s", "beta"),
    "gamma_gamma": ("p", "q", "v"),
}
LIKELIHOODS: Mapping[Name, Likelihood] = {
    "nbd": nbd_log_likelihood,
    "bg_nbd": bg_nbd_log_likelihood,
    "pareto_nbd": pareto_nbd_log_likelihood,
    "gamma_gamma": gamma_gamma_log_likelihood,
}
# Shapes of each start; scales follow from the mean of the data.
STARTS: Mapping[Name, Sequence[tuple[float, ...]]] = {
    "nbd": ((1.0,), (0.3,)),
    "bg_nbd": ((0.5, 0.5, 2.0), (1.0, 0.1, 5.0), (0.3, 1.0, 1.0)),
    "pareto_nbd": ((0.5, 0.5, 0.5), (1.0, 0.2, 1.0), (0.7, 2.0, 2.0)),
    "gamma_gamma": ((2.0, 3.0), (6.0, 1.5)),
}
# Of more customers every n-th is fitted: 20,000 settle four parameters.
MAX_FITTED_CUSTOMERS = 20_000
# With fewer customers who came back, four parameters are not to be had.
MIN_REPEAT_CUSTOMERS = 10
# Edges of parameters, once times are divided by the longest and amounts by the mean.
LOWEST, HIGHEST = 1e-3, 1e5
# Who leaves less often than this cannot be told from who stays.
MIN_LEAVING = 1e-4
# What two more parameters must add to the log likelihood (Akaike, 1974).
MIN_GAIN = 2.0
CHUNK = 20_000


@dataclass(frozen=True)
class LifetimeModel:
    """One fitted model.

    Attributes
    ----------
    name : str
        nbd, bg_nbd, pareto_nbd or gamma_gamma.
    parameters : mapping of str to float
        By name, times in days; NaN where nothing could be fitted.
    log_likelihood : float
        Of the fitted customers; NaN where nothing could be fitted.
    customer_count, fitted_customer_count : int
        Customers given, and those of them that were fitted.
    is_degenerate : bool
        True where the parameters lie at an edge, or could not be found.
    degenerate_reason : str or None
        Why, in words and figures.
    amount_correlation : float
        Gamma-Gamma only: correlation of frequency and mean amount, which the model
        takes to be 0; NaN where it cannot be told.
    """

    name: Name
    parameters: Mapping[str, float]
    log_likelihood: float
    customer_count: int
    fitted_customer_count: int
    is_degenerate: bool
    degenerate_reason: str | None
    amount_correlation: float = float("nan")


def fit_nbd(histories: pd.DataFrame) -> LifetimeModel:
    """Fit rates of purchases that never end [1]_.

    Parameters
    ----------
    histories : DataFrame
        One row per customer: repeat_frequency, recency_at_last_purchase_days (from the
        first to the last purchase) and customer_age_days (from the first purchase on).

    Returns
    -------
    LifetimeModel
        With r and alpha.

    Raises
    ------
    ValueError
        If a history is missing, negative, or its last purchase lies after its end.

    References
    ----------
    .. [1] A. S. C. Ehrenberg, "The pattern of consumer purchases", Applied Statistics
       8, 1959.

    Examples
    --------
    >>> rows = [(k % 4, 10.0 * (k % 4), 60.0) for k in range(40)]
    >>> fit_nbd(pd.DataFrame(rows, columns=list(HISTORY_COLUMNS))).customer_count
    40
    """
    return _fit_histories("nbd", histories)


def fit_bg_nbd(histories: pd.DataFrame) -> LifetimeModel:
    """Fit rates of purchases, and the probability to leave after each [1]_.

    Parameters
    ----------
    histories : DataFrame
        As for `fit_nbd`.

    Returns
    -------
    LifetimeModel
        With r, alpha, a and b.

    Raises
    ------
    ValueError
        As for `fit_nbd`.

    References
    ----------
    .. [1] P. S. Fader, B. G. S. Hardie and K. L. Lee, "Counting your customers the easy
       way: an alternative to the Pareto/NBD model", Marketing Science 24, 2005.

    Examples
    --------
    >>> fit_bg_nbd(pd.DataFrame(columns=list(HISTORY_COLUMNS))).degenerate_reason
    'there is no customer'
    """
    return _fit_histories("bg_nbd", histories)


def fit_pareto_nbd(histories: pd.DataFrame) -> LifetimeModel:
    """Fit rates of purchases, and rates at which customers leave [1]_ [2]_.

    Parameters
    ----------
    histories : DataFrame
        As for `fit_nbd`.

    Returns
    -------
    LifetimeModel
        With r, alpha, s and beta.

    Raises
    ------
    ValueError
        As for `fit_nbd`.

    References
    ----------
    .. [1] D. C. Schmittlein, D. G. Morrison and R. Colombo, "Counting your customers:
       who are they and what will they do next?", Management Science 33, 1987.
    .. [2] P. S. Fader and B. G. S. Hardie, "A note on deriving the Pareto/NBD model and
       related expressions", 2005.

    Examples
    --------
    >>> fit_pareto_nbd(pd.DataFrame(columns=list(HISTORY_COLUMNS))).is_degenerate
    True
    """
    return _fit_histories("pareto_nbd", histories)


def fit_gamma_gamma(
    repeat_frequency: npt.ArrayLike, mean_amount: npt.ArrayLike
) -> LifetimeModel:
    """Fit amounts per purchase that differ by customer and not by frequency [1]_.

    Parameters
    ----------
    repeat_frequency : array_like
        Repeat purchases; customers without any are left out.
    mean_amount : array_like of float
        Mean amount of the repeat purchases; those not above 0 are left out.

    Returns
    -------
    LifetimeModel
        With p, q and v, and the correlation of frequency and amount.

    References
    ----------
    .. [1] P. S. Fader and B. G. S. Hardie, "The Gamma-Gamma model of monetary value",
       2013.

    Examples
    --------
    >>> fit_gamma_gamma([0, 0], [5.0, 6.0]).degenerate_reason
    'only 0 customers have a repeat purchase; 10 are needed'
    """
    x = np.asarray(repeat_frequency, dtype="float64")
    amount = np.asarray(mean_amount, dtype="float64")
    is_used = (x > 0) & (amount > 0) & np.isfinite(amount)
    kept_x, kept = x[is_used], amount[is_used]
    if len(kept) < MIN_REPEAT_CUSTOMERS:
        return _unfitted("gamma_gamma", len(x), _too_few(len(kept)))
    varies = np.ptp(kept_x) > 0 and np.ptp(kept) > 0
    order = np.lexsort((kept, kept_x))
    columns = np.stack([kept_x, kept, np.zeros(len(kept))], axis=1)[order]
    correlation = (
        float(np.corrcoef(columns[:, 0], columns[:, 1])[0, 1]) if varies else np.nan
    )
    scale = float(columns[:, 1].mean())
    rows, weights = _collapse(_sampled(columns))
    rows[:, 1] /= scale
    best, value, problem = _maximise("gamma_gamma", rows, weights, 1.0)
    names = PARAMETERS["gamma_gamma"]
    found = dict(zip(names, best * np.array([1.0, 1.0, scale]), strict=True))
    if problem is None and found["q"] <= 1:
        problem = f"the mean amount is infinite: q {found['q']:.3g} is not above 1"
    return LifetimeModel(
        name="gamma_gamma",
        parameters=MappingProxyType({k: float(v) for k, v in found.items()}),
        log_likelihood=value - float(weights.sum()) * float(np.log(scale)),
        customer_count=len(x),
        fitted_customer_count=int(weights.sum()),
        is_degenerate=problem is not None,
        degenerate_reason=problem,
        amount_correlation=correlation,
    )


def expected_purchases(
    model: LifetimeModel, histories: pd.DataFrame, days: float
) -> Floats:
    """Return how many purchases each customer makes in the next days, on average.

    Parameters
    ----------
    model : LifetimeModel
        NBD, BG/NBD or Pareto/NBD. A degenerate one still counts, near enough as the
        NBD does; one without parameters gives NaN.
    histories : DataFrame
        As for `fit_nbd`.
    days : float
        Length of the time to come.

    Returns
    -------
    ndarray of float
        One per customer, given the history; NaN where the series of the BG/NBD loses
        its digits, which takes rates far more alike than customers' are.

    Raises
    ------
    ValueError
        If days are negative, a history is impossible, or the model is of amounts.

    Examples
    --------
    >>> rows = pd.DataFrame([(3, 20.0, 30.0)], columns=list(HISTORY_COLUMNS))
    >>> nbd = LifetimeModel("nbd", {"r": 1.0, "alpha": 10.0}, 0.0, 1, 1, False, None)
    >>> expected_purchases(nbd, rows, 30.0)
    array([3.])
    """
    if not 0 <= days < np.inf:
        raise ValueError(f"days must be 0 or more, not {days}")
    parameters = _of_purchases(model)
    x, last, age = _columns(histories).T
    if np.isnan(parameters).any():
        return np.full(len(x), np.nan)
    r, alpha = parameters[:2]
    if model.name == "nbd":
        expected: Floats = (r + x) / (alpha + age) * days
        return expected
    if model.name == "bg_nbd":
        pairs, position = np.unique(x + 1j * age, return_inverse=True)
        lasting = _bg_nbd_lasting(parameters, pairs.real, pairs.imag, days)[position]
    else:
        s, beta = parameters[2:]
        span = np.log1p(days / (beta + age))
        lasting = (r + x) * (beta + age) / (alpha + age) * _shrunk(span, s - 1)
    return _active(model.name, parameters, x, last, age) * lasting


def probability_active(model: LifetimeModel, histories: pd.DataFrame) -> Floats | None:
    """Return how likely each customer has not left, where the model can say so.

    Parameters
    ----------
    model : LifetimeModel
        BG/NBD or Pareto/NBD.
    histories : DataFrame
        As for `fit_nbd`.

    Returns
    -------
    ndarray of float or None
        One per customer; None for the NBD, which knows no leaving, and for a degenerate
        model.

    Raises
    ------
    ValueError
        If a history is impossible, or the model is of amounts.

    Examples
    --------
    >>> rows = pd.DataFrame([(1, 10.0, 30.0)], columns=list(HISTORY_COLUMNS))
    >>> found = {"r": 1.0, "alpha": 10.0, "a": 1.0, "b": 1.0}
    >>> bg_nbd = LifetimeModel("bg_nbd", found, 0.0, 1, 1, False, None)
    >>> probability_active(bg_nbd, rows)
    array([0.2])
    """
    parameters = _of_purchases(model)
    x, last, age = _columns(histories).T
    if model.is_degenerate or model.name == "nbd":
        return None
    return _active(model.name, parameters, x, last, age)


def expected_amount(
    model: LifetimeModel, repeat_frequency: npt.ArrayLike, mean_amount: npt.ArrayLike
) -> Floats:
    """Return the mean amount of each customer's purchases to come.

    Parameters
    ----------
    model : LifetimeModel
        Gamma-Gamma.
    repeat_frequency, mean_amount : array_like
        As for `fit_gamma_gamma`.

    Returns
    -------
    ndarray of float
        One per customer. Who has no repeat purchase, or none of a positive amount, gets
        the mean of the population; that is NaN where it is infinite (q not above 1).

    Raises
    ------
    ValueError
        If the model is not of amounts.

    Examples
    --------
    >>> found = {"p": 2.0, "q": 3.0, "v": 10.0}
    >>> model = LifetimeModel("gamma_gamma", found, 0.0, 1, 1, False, None)
    >>> expected_amount(model, [0, 2], [0.0, 25.0])
    array([10., 20.])
    """
    if model.name != "gamma_gamma":
        raise ValueError(f"{model.name} knows no amounts; fit_gamma_gamma does")
    p, q, v = (model.parameters[name] for name in PARAMETERS["gamma_gamma"])
    x = np.asarray(repeat_frequency, dtype="float64")
    amount = np.asarray(mean_amount, dtype="float64")
    is_known = (x > 0) & (amount > 0) & np.isfinite(amount)
    population = p * v / (q - 1) if q > 1 else np.nan
    found = np.full(len(x), population)
    total = v + x[is_known] * amount[is_known]
    shape = p * x[is_known] + q - 1
    found[is_known] = np.where(shape > 0, p * total, np.nan) / np.where(
        shape > 0, shape, 1.0
    )
    return found


def _fit_histories(name: Name, histories: pd.DataFrame) -> LifetimeModel:
    columns = _columns(histories)
    count = len(columns)
    if not count:
        return _unfitted(name, 0, "there is no customer")
    scale = float(columns[:, 2].max())
    if scale <= 0:
        return _unfitted(name, count, "no customer was observed for a day")
    rows, weights = _collapse(_sampled(columns))
    repeaters = int(weights[rows[:, 0] > 0].sum())
    if repeaters < MIN_REPEAT_CUSTOMERS:
        return _unfitted(name, count, _too_few(repeaters))
    rows[:, 1:] /= scale
    rate = float((weights * rows[:, 0]).sum() / (weights * rows[:, 2]).sum())
    best, value, problem = _maximise(name, rows, weights, rate)
    if name != "nbd" and problem is None:
        problem = _does_nobody_leave(name, best, rows, weights, rate, value)
    scales = {"alpha": scale, "beta": scale}
    named = zip(PARAMETERS[name], best, strict=True)
    # A density per day is smaller by the scale, once for each purchase.
    purchases = float((weights * rows[:, 0]).sum())
    return LifetimeModel(
        name=name,
        parameters=MappingProxyType({k: float(v) * scales.get(k, 1) for k, v in named}),
        log_likelihood=value - purchases * float(np.log(scale)),
        customer_count=count,
        fitted_customer_count=int(weights.sum()),
        is_degenerate=problem is not None,
        degenerate_reason=problem,
    )


def _does_nobody_leave(
    name: Name,
    best: Floats,
    rows: Floats,
    weights: Floats,
    rate: float,
    value: float,
) -> str | None:
    """Say so if the model is the NBD with two parameters too many."""
    if name == "bg_nbd":
        leaving = best[2] / (best[2] + best[3])
        when = "after a purchase"
    else:
        leaving = -np.expm1(-best[2] * np.log1p(1 / best[3]))
        when = "within the longest time observed"
    if leaving < MIN_LEAVING:
        return (
            f"nobody leaves: the mean probability to leave {when} is {leaving:.2g}, "
            f"below {MIN_LEAVING:g}"
        )
    _, without, _ = _maximise("nbd", rows, weights, rate)
    if value - without < MIN_GAIN:
        return (
            f"leaving explains nothing: the log likelihood is {value - without:.2g} "
            f"above that of the NBD, and {MIN_GAIN:g} are needed for two parameters"
        )
    return None


def _maximise(
    name: Name, rows: Floats, weights: Floats, rate: float
) -> tuple[Floats, float, str | None]:
    """Return parameters, log likelihood, and what is wrong with them."""
    total = weights.sum()
    shares = weights / total
    likelihood = LIKELIHOODS[name]

    def loss(logs: Floats) -> tuple[float, Floats]:
        parameters = np.exp(logs)
        value, slopes = likelihood(parameters, *rows.T)
        # Sums of our own, not of a library whose order depends on its threads.
        slope = (slopes * shares).sum(axis=1) * parameters
        return -float((value * shares).sum()), -slope

    low, high = np.log(LOWEST), np.log(HIGHEST)
    best = None
    for shapes in STARTS[name]:
        start = list(shapes)
        if name == "gamma_gamma":
            start.append((shapes[1] - 1) / shapes[0])
        else:
            start.insert(1, shapes[0] / rate)
        tried = minimize(
            loss,
            np.clip(np.log(start), low, high),
            jac=True,
            method="L-BFGS-B",
            bounds=[(low, high)] * len(start),
            options={"maxiter": 1_000, "ftol": 1e-13, "gtol": 1e-8, "maxls": 50},
        )
        if np.isfinite(tried.fun) and (best is None or tried.fun < best.fun):
            best = tried
    if best is None:
        return np.full(len(PARAMETERS[name]), np.nan), np.nan, "nothing was found"
    parameters = np.exp(best.x)
    problem = None
    edges = [
        f"{parameter} {'highest' if x > 0 else 'lowest'}"
        for parameter, x in zip(PARAMETERS[name], best.x, strict=True)
        if min(x - low, high - x) < 1e-3
    ]
    if edges:
        problem = (
            f"parameters lie at their edge: {', '.join(edges)} "
            f"(of {LOWEST:g} to {HIGHEST:g}, times as shares of the longest)"
        )
    # A line search that ends at the precision of a double is no failure.
    elif not best.success and np.abs(best.jac).max() > 1e-4:
        problem = (
            f"the fit did not converge: after {best.nit} steps the slope is "
            f"{np.abs(best.jac).max():.2g}"
        )
    return parameters, -float(best.fun) * float(total), problem


def _active(
    name: Name, parameters: Floats, x: Floats, last: Floats, age: Floats
) -> Floats:
    r, alpha, c, d = parameters
    if name == "bg_nbd":
        is_repeat = x > 0
        odds = (
            np.log(c)
            - np.log(np.where(is_repeat, d + x - 1, 1.0))
            + (r + x) * (np.log(alpha + age) - np.log(alpha + last))
        )
        active: Floats = np.where(is_repeat, expit(-odds), 1.0)
        return active
    active = np.empty(len(x))
    for first in range(0, len(x), CHUNK):
        part = slice(first, first + CHUNK)
        stays, leaves, _ = pareto_nbd_parts(parameters, x[part], last[part], age[part])
        top = leaves.max(axis=1)
        leave = top + np.log(np.exp(leaves - top[:, None]).sum(axis=1))
        active[part] = expit(stays - leave)
    return active


def _bg_nbd_lasting(parameters: Floats, x: Floats, age: Floats, days: float) -> Floats:
    """Return the purchases to come of those who have not left.

    Formula (10) of the paper, its hypergeometric function turned by Euler's identity so
    that the parameters of its series do not grow with x and a = 1 is no exception.
    Where r is far above a + b its terms cancel; what has lost its digits is NaN.
    """
    r, alpha, a, b = parameters
    z = days / (alpha + age + days)
    c, e = a + b + x - 1, a + b - 1 - r
    log_rest = np.log1p(days / (alpha + age))
    with np.errstate(all="ignore"):
        # c times the sum over n of (a)_(n-1) (e)_n / ((c)_n n!) z**n, as c may be 0.
        term = e * z
        total, peak = term.copy(), np.abs(term)
        rows = np.arange(len(x))
        for n in range(1, 100_000):
            term = term * ((a + n - 1) * (e + n) / ((c[rows] + n) * (n + 1))) * z[rows]
            total[rows] += term
            peak[rows] = np.maximum(peak[rows], np.abs(term))
            is_open = np.abs(term) > 1e-16 * (1 - z[rows]) * (peak[rows] + 1e-12)
            if not is_open.any():
                break
            if not is_open.all():
                rows, term = rows[is_open], term[is_open]
        first = c * _shrunk(log_rest, a - 1)
        factor = np.exp(-(a - 1) * log_rest)
        expected: Floats = first - factor * total
        most = (r + x) * -np.expm1(-log_rest) * np.exp(log_rest)
        lost = 1e-14 * (np.abs(first) + factor * peak)
        is_lost = ~(lost <= 1e-6 * most)
    expected = np.clip(expected, 0.0, most)
    expected[is_lost] = np.nan
    return expected


def _shrunk(span: Floats, rate: float) -> Floats:
    """Return the integral of exp(-rate t) from 0 to span, where rate may be 0."""
    if abs(rate) < 1e-12:
        return span
    shrunk: Floats = -np.expm1(-rate * span) / rate
    return shrunk


def _columns(histories: pd.DataFrame) -> Floats:
    columns = histories[list(HISTORY_COLUMNS)].to_numpy(dtype="float64", copy=True)
    x, last, age = columns.T
    is_bad = ~(np.isfinite(columns).all(axis=1) & (x >= 0) & (last >= 0))
    is_bad |= ~(last <= age)
    if is_bad.any():
        example = columns[np.argmax(is_bad)].tolist()
        raise ValueError(
            f"{int(is_bad.sum())} of {len(columns)} histories are impossible, the "
            f"first with {dict(zip(HISTORY_COLUMNS, example, strict=True))}; each "
            f"needs a number, 0 or more, and its last purchase within its age"
        )
    # Without a repeat purchase the last one is the first.
    columns[x == 0, 1] = 0.0
    return columns


def _sampled(columns: Floats) -> Floats:
    """Sort the rows; of too many take every n-th, which keeps their mix."""
    found = columns[np.lexsort(columns.T[::-1])]
    return found[:: -(-len(found) // MAX_FITTED_CUSTOMERS)]


def _collapse(columns: Floats) -> tuple[Floats, Floats]:
    rows, weights = np.unique(columns, axis=0, return_counts=True)
    return rows, weights.astype("float64")


def _of_purchases(model: LifetimeModel) -> Floats:
    if model.name == "gamma_gamma":
        raise ValueError("gamma_gamma knows only amounts; ask another model who buys")
    return np.array([model.parameters[name] for name in PARAMETERS[model.name]])


def _too_few(count: int) -> str:
    return (
        f"only {count} customers have a repeat purchase; "
        f"{MIN_REPEAT_CUSTOMERS} are needed"
    )


def _unfitted(name: Name, count: int, reason: str) -> LifetimeModel:
    return LifetimeModel(
        name=name,
        parameters=MappingProxyType(dict.fromkeys(PARAMETERS[name], float("nan"))),
        log_likelihood=float("nan"),
        customer_count=count,
        fitted_customer_count=0,
        is_degenerate=True,
        degenerate_reason=reason,
    )
