"""Measure what a segmentation is worth: how much of the next months it foretells."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from retail_segments.clustering import Floats, Integers, Transform
from retail_segments.groupings import FEATURES, group_customers, list_groupings
from retail_segments.memory import take_fingerprint
from retail_segments.threads import one_thread

# What `measure_validity` reads.
COLUMNS = (
    "customer_id",
    "origin_date",
    "outcome_end_date",
    *FEATURES,
    "rfm_code",
    "rfm_segment",
    "next_order_count",
    "next_amount",
    "scored_customer_count",
)
TARGETS = ("buying", "spending")
ALL_ORIGINS = "all_origins"

# A large shop is measured on a sample of so many customers per origin.
MAX_CUSTOMERS = 20_000
# With fewer, one customer more or less in a group moves its mean at will.
MIN_CUSTOMERS = 50
FOLDS = 10
# Shuffles of the segments that the random groups are averaged over.
SHUFFLES = 5
RESAMPLES = 1_000
# Resamples drawn at a time, so that 20,000 customers need little memory.
CHUNK = 100
# Small trees, few of them: on 3,000 customers more of either foretells less.
BOOSTING = {
    "max_iter": 30,
    "learning_rate": 0.12,
    "max_leaf_nodes": 6,
    "max_bins": 64,
    "early_stopping": False,
}


@dataclass(frozen=True)
class _Origin:
    """What was measured at one origin; `errors` are squared and out of fold."""

    customers: pd.DataFrame
    targets: Mapping[str, Floats]
    groups: Mapping[str, Integers]
    errors: Mapping[tuple[str, str], Floats]
    reasons: Mapping[tuple[str, str], str]


@dataclass(frozen=True)
class _Sums:
    """Sums over the customers of an origin, as they are or in each resample."""

    deviations: Mapping[str, Floats]
    errors: Mapping[tuple[str, str], Floats]


def measure_validity(
    customers: pd.DataFrame,
    *,
    features: Sequence[str],
    transform: Transform = "log1p",
    n_clusters: int | None = 4,
    random_state: int = 42,
    n_init: int = 10,
) -> pd.DataFrame:
    """Measure how much of the customers' next months each grouping explains.

    At each origin customers are grouped by what was known then. A group foretells for
    each customer the mean of its other members: means are learned on nine tenths of
    the customers and applied to the last tenth, in turn [1]_, so that many small groups
    gain nothing by learning single customers by heart. The share of variance that is
    explained is 1 - (squared errors) / (squared deviations from the mean of all); for
    ``buying``, which is 0 or 1, that is 1 - Brier score / variance. It is 0 for groups
    that say nothing, and below 0 for groups that mislead.

    Intervals hold the middle 95 % of resamples of the customers with replacement [2]_,
    with groups and predictions held as they are; those of differences compare both
    groupings on the same resamples. Over all origins, squares are summed and a customer
    is drawn with all of their origins at once.

    Parameters
    ----------
    customers : DataFrame of shape (n_customers * n_origins, ...)
        One row per customer with an RFM score x origin, with the columns `COLUMNS`:
        features as known at the origin, what followed, and the number of customers with
        a score of whom these are all or a sample.
    features : sequence of str
        Columns that the segments are made on.
    transform : {"log1p", "none"}
        See `clustering.scale_features`.
    n_clusters : int or None
        Number of segments; None where none was chosen.
    random_state : int
        Seed of starts, folds, shuffles and resamples.
    n_init : int
        Number of starts of K-Means.

    Returns
    -------
    DataFrame of shape ((n_origins + 1) * n_groupings * n_targets, ...)
        One row per ``scope`` (an origin as yyyy-mm-dd, or ``all_origins``) x
        ``grouping`` (those of `groupings.group_customers`; ``boosting``: gradient
        boosting on all features [3]_, about the most that can be foretold;
        ``random_groups``: the segments shuffled, several times, averaged) x ``target``
        (``buying``: whether they bought at all; ``spending``: the logarithm of 1 + the
        amount). What cannot be measured has a row with no value and an
        ``unmeasured_reason``. A grouping that is the segments under another name is
        left out.

    Raises
    ------
    ValueError
        If a column is missing or a customer repeats at an origin.

    References
    ----------
    .. [1] M. Stone, "Cross-validatory choice and assessment of statistical
       predictions", Journal of the Royal Statistical Society B 36, 1974.
    .. [2] B. Efron and R. Tibshirani, "An introduction to the bootstrap", 1993,
       chapter 13 (percentile intervals).
    .. [3] J. Friedman, "Greedy function approximation: a gradient boosting machine",
       Annals of Statistics 29, 2001.

    Examples
    --------
    >>> customers = pd.DataFrame({name: [1] * 99 for name in COLUMNS})
    >>> customers["customer_id"] = range(99)
    >>> customers["origin_date"] = pd.Timestamp("2011-09-09")
    >>> customers["rfm_code"] = ["111", "555", "333"] * 33
    >>> customers["next_amount"] = [0.0, 900.0, 20.0] * 33
    >>> rows = measure_validity(customers, features=["frequency"])
    >>> rows = rows.set_index(["scope", "target", "grouping"])
    >>> rows.loc[("2011-09-09", "spending", "rfm_codes"), "explained_variance"].item()
    1.0
    >>> rows.loc[("2011-09-09", "spending", "segments"), "unmeasured_reason"]
    'too_few_different_customers'
    """
    missing = [name for name in COLUMNS if name not in customers.columns]
    if missing:
        raise ValueError(
            f"columns {', '.join(missing)} are missing; {', '.join(COLUMNS)} are read"
        )
    repeated = int(customers.duplicated(["customer_id", "origin_date"]).sum())
    if repeated:
        raise ValueError(
            f"{repeated} rows repeat a customer at an origin; give one row for each"
        )

    ordered = customers.sort_values(["origin_date", "customer_id"], kind="stable")
    rows: list[dict[str, Any]] = []
    with one_thread():
        origins = [
            _measure_origin(
                group.reset_index(drop=True),
                features=features,
                transform=transform,
                n_clusters=n_clusters,
                random_state=random_state,
                n_init=n_init,
            )
            for _, group in ordered.groupby("origin_date")
        ]
        names = list_groupings(features)
        for origin in origins:
            scope = f"{origin.customers['origin_date'].iloc[0]:%Y-%m-%d}"
            rows += _describe(scope, [origin], names, random_state)
        rows += _describe(ALL_ORIGINS, origins, names, random_state)
    return _as_frame(rows)


def fingerprint_inputs(customers: pd.DataFrame, **settings: Any) -> str:
    """Make a fingerprint of all that the result of `measure_validity` depends on.

    Parameters
    ----------
    customers : DataFrame
        As given to `measure_validity`; the order of its rows does not matter.
    **settings : object
        As given to `measure_validity`.

    Returns
    -------
    str
        16 hexadecimal digits of a SHA-256 of data, settings, the versions of numpy,
        pandas and scikit-learn, and the source text of this module, of `clustering` and
        of `groupings`.

    Examples
    --------
    >>> customers = pd.DataFrame({name: [1.0] for name in COLUMNS})
    >>> len(fingerprint_inputs(customers, n_clusters=4))
    16
    """
    return take_fingerprint(
        customers[list(COLUMNS)].sort_values(["origin_date", "customer_id"]),
        settings=settings,
        methods=("validity", "groupings", "clustering"),
        libraries=("numpy", "pandas", "scikit-learn"),
    )


def _measure_origin(customers: pd.DataFrame, **settings: Any) -> _Origin:
    """Group the customers of one origin and take the errors of every grouping."""
    amounts = customers["next_amount"].astype("float64").to_numpy()
    targets = {
        "buying": (customers["next_order_count"] > 0).to_numpy(dtype="float64"),
        # Amounts are as skewed as features are; a refund beyond all purchases is none.
        "spending": np.log1p(np.maximum(amounts, 0.0)),
    }
    names = list_groupings(settings["features"])
    thin = {target: _find_thin(target, targets) for target in TARGETS}
    groups: dict[str, Integers] = {}
    if not all(thin.values()):
        groups = group_customers(customers, **settings)

    errors: dict[tuple[str, str], Floats] = {}
    reasons: dict[tuple[str, str], str] = {}
    seed = settings["random_state"]
    for target, values in targets.items():
        folds = None if thin[target] else _split(len(values), seed)
        for grouping in names:
            key = (grouping, target)
            if folds is None:
                reasons[key] = str(thin[target])
            elif grouping == "boosting":
                errors[key] = (values - _boost(customers, values, folds, seed)) ** 2
            elif grouping == "random_groups" and "segments" in groups:
                errors[key] = _err_at_random(groups["segments"], values, folds, seed)
            elif grouping in groups:
                predicted = predict_from_groups(groups[grouping], values, folds)
                errors[key] = (values - predicted) ** 2
            elif settings["n_clusters"] is None and grouping != "published_recipe":
                reasons[key] = "no_cluster_count"
            else:
                reasons[key] = "too_few_different_customers"
    if "segments" in groups:
        groups["random_groups"] = groups["segments"]
    return _Origin(customers, targets, groups, errors, reasons)


def _find_thin(target: str, targets: Mapping[str, Floats]) -> str | None:
    """Say why nothing can be measured, or None."""
    values = targets[target]
    if len(values) < MIN_CUSTOMERS:
        return "too_few_customers"
    if not targets["buying"].any():
        return "nobody_bought"
    if values.min() == values.max():
        return "everybody_bought" if target == "buying" else "all_spent_the_same"
    return None


def _split(count: int, random_state: int) -> Integers:
    """Give each customer the number of a fold."""
    from sklearn.model_selection import KFold

    folds = np.empty(count, dtype="int64")
    splits = KFold(FOLDS, shuffle=True, random_state=random_state)
    for number, (_, held_out) in enumerate(splits.split(folds)):
        folds[held_out] = number
    return folds


def predict_from_groups(groups: Integers, values: Floats, folds: Integers) -> Floats:
    """Predict each value as the mean of its group in the other folds.

    Parameters
    ----------
    groups : ndarray of shape (n_customers,)
        Group numbers, from 0.
    values : ndarray of shape (n_customers,)
        What is to be predicted.
    folds : ndarray of shape (n_customers,)
        Fold numbers, from 0.

    Returns
    -------
    ndarray of shape (n_customers,)
        The mean of all in the other folds where the group has no one there.

    Examples
    --------
    >>> groups, folds = np.array([0, 0, 0, 1]), np.array([0, 1, 2, 0])
    >>> predict_from_groups(groups, np.array([1.0, 2.0, 4.0, 9.0]), folds)
    array([3. , 2.5, 1.5, 3. ])
    """
    shape = (int(groups.max()) + 1, int(folds.max()) + 1)
    cells = groups * shape[1] + folds
    sums = np.bincount(cells, values, minlength=shape[0] * shape[1]).reshape(shape)
    counts = np.bincount(cells, minlength=shape[0] * shape[1]).reshape(shape)
    other_sums = sums.sum(axis=1, keepdims=True) - sums
    other_counts = counts.sum(axis=1, keepdims=True) - counts
    overall = other_sums.sum(axis=0) / np.maximum(other_counts.sum(axis=0), 1)
    means = np.where(
        other_counts > 0, other_sums / np.maximum(other_counts, 1), overall
    )
    predicted: Floats = means[groups, folds]
    return predicted


def _err_at_random(
    groups: Integers, values: Floats, folds: Integers, random_state: int
) -> Floats:
    """Take the squared errors of groups of the same sizes, averaged over shuffles."""
    random = np.random.default_rng(random_state)
    errors = np.zeros(len(values))
    for _ in range(SHUFFLES):
        predicted = predict_from_groups(random.permutation(groups), values, folds)
        errors += (values - predicted) ** 2
    return errors / SHUFFLES


def _boost(
    customers: pd.DataFrame, values: Floats, folds: Integers, random_state: int
) -> Floats:
    """Predict each value by trees grown on all features in the other folds."""
    # Imported late: a build that measures nothing need not wait for scikit-learn.
    from sklearn.ensemble import HistGradientBoostingRegressor

    matrix = customers[list(FEATURES)].to_numpy(dtype="float64")
    predicted = np.empty(len(values))
    # Limited here too: a limit holds for libraries that are loaded by then, and trees
    # on several threads wait for each other where cores are busy.
    with one_thread():
        for number in range(FOLDS):
            held_out = folds == number
            trees = HistGradientBoostingRegressor(random_state=random_state, **BOOSTING)
            trees.fit(matrix[~held_out], values[~held_out])
            predicted[held_out] = trees.predict(matrix[held_out])
    return predicted


def _describe(
    scope: str,
    origins: Sequence[_Origin],
    names: Sequence[str],
    random_state: int,
) -> list[dict[str, Any]]:
    """Make the rows of one scope: one origin, or all of them together."""
    once = [_add_up(origin, np.ones((1, len(origin.customers)))) for origin in origins]
    resampled = _resample(origins, random_state)
    rows = []
    for target in TARGETS:
        for grouping in names:
            key, reference = (grouping, target), ("segments", target)
            measured = [i for i, o in enumerate(origins) if key in o.errors]
            row = _describe_scope(scope, [origins[i] for i in measured] or origins)
            row |= {"grouping": grouping, "target": target}
            if not measured:
                row["unmeasured_reason"] = (
                    origins[-1].reasons[key] if origins else "no_origin"
                )
                rows.append(row)
                continue
            sizes = [
                int(origins[i].groups[grouping].max()) + 1
                for i in measured
                if grouping in origins[i].groups
            ]
            row["group_count"] = max(sizes) if sizes else None
            row["explained_variance"] = _explain(once, measured, key)[0]
            shares = _explain(resampled, measured, key)
            row["lower_bound"], row["upper_bound"] = _interval(shares)
            if measured == [i for i, o in enumerate(origins) if reference in o.errors]:
                row["difference_to_segments"] = (
                    row["explained_variance"] - _explain(once, measured, reference)[0]
                )
                differences = shares - _explain(resampled, measured, reference)
                lower, upper = _interval(differences)
                row["difference_lower_bound"] = lower
                row["difference_upper_bound"] = upper
            rows.append(row)
    return rows


def _describe_scope(scope: str, origins: Sequence[_Origin]) -> dict[str, Any]:
    """State whom a row is about."""
    bought = [origin.targets["buying"] for origin in origins]
    customer_count = sum(map(len, bought))
    first = origins[0].customers.iloc[0] if scope != ALL_ORIGINS else None
    return {
        "scope": scope,
        "origin_date": None if first is None else first["origin_date"],
        "outcome_end_date": None if first is None else first["outcome_end_date"],
        "scored_customer_count": sum(
            int(origin.customers["scored_customer_count"].iloc[0]) for origin in origins
        ),
        "customer_count": customer_count,
        "buyer_share": (
            sum(float(values.sum()) for values in bought) / customer_count
            if customer_count
            else None
        ),
    }


def _resample(origins: Sequence[_Origin], random_state: int) -> list[_Sums]:
    """Add up each origin in every resample of the customers of all of them."""
    if not origins:
        return []
    keys = pd.concat([origin.customers["customer_id"] for origin in origins])
    numbers, unique = pd.factorize(keys, sort=True)
    places = np.split(
        numbers, np.cumsum([len(origin.customers) for origin in origins])[:-1]
    )
    chunks = [
        [
            _add_up(origin, counts[:, place])
            for origin, place in zip(origins, places, strict=True)
        ]
        for counts in _draw(len(unique), random_state)
    ]
    return [
        _Sums(
            {
                name: np.concatenate([sums.deviations[name] for sums in parts])
                for name in parts[0].deviations
            },
            {
                key: np.concatenate([sums.errors[key] for sums in parts])
                for key in parts[0].errors
            },
        )
        for parts in zip(*chunks, strict=True)
    ]


def _draw(count: int, random_state: int) -> Iterator[Floats]:
    """Draw customers with replacement: how often each, resample by resample."""
    random = np.random.default_rng(random_state)
    offsets = np.arange(CHUNK)[:, np.newaxis] * count
    for _ in range(RESAMPLES // CHUNK):
        drawn = random.integers(0, count, (CHUNK, count)) + offsets
        counts = np.bincount(drawn.ravel(), minlength=CHUNK * count)
        yield counts.reshape(CHUNK, count).astype("float64")


def _add_up(origin: _Origin, counts: Floats) -> _Sums:
    """Add up deviations and errors; `counts` says how often each customer counts."""
    targets = {key[1]: origin.targets[key[1]] for key in origin.errors}
    # Centred, so that the difference of two large sums does not lose digits.
    centred = [values - values.mean() for values in targets.values()]
    columns = [np.ones(counts.shape[1]), *centred, *(c**2 for c in centred)]
    sums = (counts @ np.column_stack([*columns, *origin.errors.values()])).T
    deviations = {}
    for i, (name, values) in enumerate(zip(targets, centred, strict=True), start=1):
        squares = sums[i + len(targets)] - sums[i] ** 2 / np.maximum(sums[0], 1)
        # A resample in which all did the same says nothing about shares of variance.
        is_enough = squares > 1e-9 * float((values**2).sum())
        deviations[name] = np.where(is_enough, squares, np.nan)
    return _Sums(
        deviations, dict(zip(origin.errors, sums[len(columns) :], strict=True))
    )


def _explain(
    sums: Sequence[_Sums], measured: Sequence[int], key: tuple[str, str]
) -> Floats:
    """Take the share of variance that a grouping explains over some origins."""
    errors = np.sum([sums[i].errors[key] for i in measured], axis=0)
    deviations = np.sum([sums[i].deviations[key[1]] for i in measured], axis=0)
    shares: Floats = 1 - errors / deviations
    return shares


def _interval(values: Floats) -> tuple[float, float]:
    lower, upper = np.nanpercentile(values, [2.5, 97.5])
    return float(lower), float(upper)


def _as_frame(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Lay rows out, rounded, since other machines add up in another order."""
    types = {
        "scope": "string",
        "origin_date": "datetime64[us]",
        "outcome_end_date": "datetime64[us]",
        "grouping": "string",
        "target": "string",
        "scored_customer_count": "int64",
        "customer_count": "int64",
        "group_count": "Int64",
        "buyer_share": "float64",
        "explained_variance": "float64",
        "lower_bound": "float64",
        "upper_bound": "float64",
        "difference_to_segments": "float64",
        "difference_lower_bound": "float64",
        "difference_upper_bound": "float64",
        "unmeasured_reason": "string",
    }
    frame = pd.DataFrame(rows, columns=list(types)).astype(types)
    shares = frame.columns[frame.dtypes == "float64"]
    return frame.assign(**{name: frame[name].round(9) for name in shares})
