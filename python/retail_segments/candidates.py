"""Compare numbers of clusters: what every algorithm finds for every k, measured."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from retail_segments.clustering import Floats, Integers
from retail_segments.memory import take_fingerprint
from retail_segments.threads import one_thread

if TYPE_CHECKING:
    from retail_segments.partitions import Algorithm, Sample

# scikit-learn takes a second or two to import, so that the modules that need it are
# imported where something is computed: a table that is kept costs nothing.

# Customers that partitions are fitted on, at most; of very many, a sample does.
FIT_SIZE = 20_000
# The same for what compares every pair of customers, or fits dozens of times: Ward's
# tree, HDBSCAN, the silhouette, and all that is drawn anew from customers.
PAIRS_SIZE = 6_000
# Starts of K-Means on each sample that is drawn anew.
RESAMPLE_STARTS = 3

TYPES = {
    "algorithm": "string",
    "k": "Int64",
    "cluster_count": "Int64",
    "customer_count": "Int64",
    "different_count": "Int64",
    "fit_sample_size": "Int64",
    "silhouette_sample_size": "Int64",
    "stability_sample_size": "Int64",
    "gap_sample_size": "Int64",
    "resampling": "string",
    "bootstrap_count": "Int64",
    "reference_count": "Int64",
    "inertia": "Float64",
    "silhouette": "Float64",
    "davies_bouldin": "Float64",
    "calinski_harabasz": "Float64",
    "gap": "Float64",
    "gap_standard_error": "Float64",
    "smallest_share": "Float64",
    "noise_share": "Float64",
    "bootstrap_ari": "Float64",
    "smallest_jaccard": "Float64",
    "jaccard_standard_error": "Float64",
    "is_knee": "boolean",
    "unfit_reason": "string",
    "fit_seconds": "Float64",
    "fingerprint": "string",
}
COLUMNS = list(TYPES)
_METHODS = ("candidates", "clustering", "measures", "partitions")


@dataclass(frozen=True)
class _Settings:
    """What the partitions of one sweep have in common."""

    cluster_counts: range
    n_init: int
    smallest_share: float
    random_state: int


def compare_candidates(
    customers: pd.DataFrame,
    *,
    key: str,
    features: Sequence[str],
    transform: Literal["log1p", "none"] = "log1p",
    largest_k: int = 10,
    n_init: int = 10,
    smallest_share: float = 0.03,
    random_state: int = 42,
    previous: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Partition customers by five algorithms into 2 to `largest_k`, and measure all.

    K-Means is the algorithm that segments are made with; the others show whether
    something else finds better ones. K-Means is fitted again on bootstraps; the others,
    which cost more or take no weights, on subsets, both as in [1]_.
    Beyond `FIT_SIZE` customers a sample is partitioned, beyond `PAIRS_SIZE` a sample
    of that one wherever pairs are compared; each row says how many were used.

    Everything runs on one thread with given seeds, so that two runs give the same
    bits, but for ``fit_seconds``.

    Parameters
    ----------
    customers : DataFrame of shape (n_customers, ...)
        One row per customer, sorted by `key`.
    key : str
        Column that identifies a customer.
    features : sequence of str
        Columns to cluster on, none of them missing or negative.
    transform : {"log1p", "none"}
        See `retail_segments.clustering.scale_features`.
    largest_k : int
        Largest number of clusters, at least 2.
    n_init : int
        Starts of K-Means on the customers; drawn anew, they get three.
    smallest_share : float
        Share of the customers that the smallest cluster of HDBSCAN holds at least.
    random_state : int
        Seed.
    previous : DataFrame or None
        What an earlier call gave; returned where its fingerprint says that nothing
        has changed since.

    Returns
    -------
    DataFrame of shape (4 * (largest_k - 1) + 1, n_columns)
        One row per algorithm and k, one for HDBSCAN, whose k is what it finds. Columns
        are `COLUMNS`. A measure that is not defined is missing. ``unfit_reason`` is
        missing or says why there are no measures: ``too_few_different_customers``,
        ``clusters_collapsed`` (fewer clusters than k hold customers, ``cluster_count``
        says how many), ``fit_failed`` or ``no_clusters_found``.

    Raises
    ------
    ValueError
        If customers are not sorted by `key` or one comes twice, `largest_k` is below
        2, or a feature holds missing, infinite or negative values.

    References
    ----------
    .. [1] C. Hennig, "Cluster-wise assessment of cluster stability", 2007.

    Examples
    --------
    >>> customers = pd.DataFrame(
    ...     {"id": list("abcdefgh"), "spent": [1.0, 2, 3, 4, 50, 60, 70, 80]}
    ... )
    >>> rows = compare_candidates(
    ...     customers, key="id", features=["spent"], largest_k=3
    ... )
    >>> rows.loc[:1, ["algorithm", "k", "cluster_count", "smallest_share"]]
      algorithm  k  cluster_count  smallest_share
    0    kmeans  2              2             0.5
    1    kmeans  3              3            0.25
    """
    keys = customers[key]
    if not (keys.is_monotonic_increasing and keys.is_unique):
        raise ValueError(
            f"{key} is not sorted or repeats; give one row per customer, in the order "
            f"of {key}, since the order decides which samples are drawn"
        )
    if largest_k < 2:
        raise ValueError(f"largest_k is {largest_k}; give 2 or more")
    values = customers.loc[:, list(features)].astype("float64").to_numpy()
    fingerprint = take_fingerprint(
        customers[[key, *features]],
        settings={
            "features": list(features),
            "transform": transform,
            "largest_k": largest_k,
            "n_init": n_init,
            "smallest_share": smallest_share,
            "random_state": random_state,
        },
        methods=_METHODS,
        libraries=("numpy", "scipy", "scikit-learn", "kneed"),
    )
    if (
        previous is not None
        and list(previous.columns) == COLUMNS
        and len(previous)
        and (previous["fingerprint"] == fingerprint).all()
    ):
        return previous

    from retail_segments.clustering import scale_features

    matrix = (
        scale_features(customers, features=features, transform=transform)
        if len(customers)
        else values
    )
    settings = _Settings(range(2, largest_k + 1), n_init, smallest_share, random_state)
    with _without_checks():
        rows = _sweep(matrix, settings)
    table = pd.DataFrame(rows).assign(
        customer_count=len(customers), fingerprint=fingerprint
    )
    return table.reindex(columns=COLUMNS).astype(TYPES)


@contextmanager
def _without_checks() -> Iterator[None]:
    """Use one thread, and skip checks that a sweep makes thousands of."""
    import sklearn

    checks = {"assume_finite": True, "skip_parameter_validation": True}
    with one_thread(), sklearn.config_context(**checks):
        yield


def _sweep(matrix: Floats, settings: _Settings) -> list[dict[str, Any]]:
    """Give a row per algorithm and k."""
    from retail_segments.measures import find_knee, measure_silhouettes
    from retail_segments.partitions import ALGORITHMS

    # The smaller sample is a part of the larger one.
    order = np.random.default_rng(settings.random_state).permutation(len(matrix))
    fitted, compared = np.sort(order[:FIT_SIZE]), np.sort(order[:PAIRS_SIZE])
    pairs = np.searchsorted(fitted, compared)

    rows: list[dict[str, Any]] = []
    partitions: list[Integers] = []
    for name, algorithm in ALGORITHMS.items():
        is_sampled = algorithm.is_quadratic
        for row, labels in _measure_algorithm(
            name,
            algorithm,
            matrix[compared if is_sampled else fitted],
            np.arange(len(pairs)) if is_sampled else pairs,
            settings,
        ):
            rows.append(row)
            partitions.append(labels)

    start = time.perf_counter()
    measured = [place for place, row in enumerate(rows) if not row["unfit_reason"]]
    silhouettes = measure_silhouettes(
        matrix[compared], [partitions[place] for place in measured]
    )
    seconds = (time.perf_counter() - start) / max(len(measured), 1)
    for place, silhouette in zip(measured, silhouettes, strict=True):
        rows[place]["silhouette"] = silhouette
        rows[place]["silhouette_sample_size"] = len(compared)
        rows[place]["fit_seconds"] += seconds

    for name, algorithm in ALGORITHMS.items():
        inertias = {
            row["k"]: row["inertia"]
            for row in rows
            if row["algorithm"] == name and not row["unfit_reason"]
        }
        knee = find_knee(pd.Series(inertias)) if algorithm.references else None
        for row in rows:
            if row["algorithm"] == name:
                row["is_knee"] = knee is not None and row["k"] == knee
    # Infinite or not a number is not defined.
    return [
        {
            column: None
            if isinstance(figure, float) and not np.isfinite(figure)
            else figure
            for column, figure in row.items()
        }
        for row in rows
    ]


def _measure_algorithm(
    name: str,
    algorithm: "Algorithm",
    matrix: Floats,
    pairs: Integers,
    settings: _Settings,
) -> Iterator[tuple[dict[str, Any], Integers]]:
    """Give the rows of one algorithm, with the clusters of the customers in `pairs`."""
    from retail_segments.measures import draw_references, measure_inertia
    from retail_segments.partitions import OWN_COUNT, partition, take_all

    def fit(sample: "Sample", counts: Sequence[int], n_init: int) -> dict[int, Any]:
        return partition(
            name,
            sample,
            counts,
            n_init=n_init,
            smallest_share=settings.smallest_share,
            random_state=settings.random_state,
        )

    start = time.perf_counter()
    everybody = take_all(matrix)
    resamples = _draw_resamples(algorithm, matrix[pairs], settings.random_state)
    order = np.random.default_rng(settings.random_state).permutation(len(matrix))
    compared = matrix[np.sort(order[: algorithm.gap_size])]
    references = (
        draw_references(compared, algorithm.references, settings.random_state)
        if len(compared)
        else []
    )
    uniform = [take_all(reference) for reference in [compared, *references]]
    is_own = name == "hdbscan"
    counts = [OWN_COUNT] if is_own else list(settings.cluster_counts)
    groups = [counts] if algorithm.shares_fit else [[k] for k in counts]
    seconds = (time.perf_counter() - start) / len(counts)

    for group in groups:
        start = time.perf_counter()
        enough = [k for k in group if k <= everybody.distinct_count]
        found = fit(everybody, enough, settings.n_init) if len(matrix) else {}
        fits = [k for k in enough if _count(found.get(k)) == k or is_own]
        again: list[dict[int, Integers]] = []
        inertias: list[dict[int, float]] = []
        if fits:
            again = [fit(sample, fits, RESAMPLE_STARTS) for _, sample in resamples]
            inertias = [
                {
                    k: measure_inertia(sample.matrix, labels)
                    for k, labels in fit(sample, fits, RESAMPLE_STARTS).items()
                }
                for sample in uniform
                if algorithm.references
            ]
        made = []
        for k in group:
            labels = found.get(k)
            row: dict[str, Any] = {
                "algorithm": name,
                "k": _count(labels) if is_own else k,
                "cluster_count": _count(labels),
                "different_count": everybody.distinct_count,
                "fit_sample_size": len(matrix),
                "unfit_reason": _judge(labels, k, everybody.distinct_count),
            }
            if labels is not None:
                row["noise_share"] = float((labels < 0).mean())
            if labels is not None and not row["unfit_reason"]:
                row |= _measure(matrix, labels)
                row |= _measure_again(labels[pairs], k, resamples, again)
                row |= _measure_gaps(k, inertias, len(compared))
                row["resampling"] = "subset" if algorithm.subset_size else "bootstrap"
            made.append((row, labels[pairs] if labels is not None else pairs))
        shared = (time.perf_counter() - start) / len(group)
        for row, labels in made:
            row["fit_seconds"] = seconds + shared
            yield row, labels


def _draw_resamples(
    algorithm: "Algorithm", matrix: Floats, random_state: int
) -> list[tuple[Integers, "Sample"]]:
    """Draw customers anew: their positions, each once, and what to partition."""
    from retail_segments.partitions import Sample

    count = len(matrix)
    if not count:
        return []
    random = np.random.default_rng(random_state)
    # Equal customers get the same number, by which those that differ are counted fast.
    same = pd.DataFrame(matrix).groupby(list(range(matrix.shape[1]))).ngroup()
    numbers = same.to_numpy(dtype="int64")
    if algorithm.subset_size is None:
        draws = random.integers(0, count, (algorithm.resamples, count))
    else:
        size = min(algorithm.subset_size, (count + 1) // 2)
        draws = np.stack(
            [random.permutation(count)[:size] for _ in range(algorithm.resamples)]
        )
    resamples = []
    for draw in draws:
        times = np.bincount(draw, minlength=count)
        positions = np.flatnonzero(times)
        sample = Sample(
            matrix[positions],
            len(np.unique(numbers[positions])),
            times[positions].astype("float64"),
        )
        resamples.append((positions, sample))
    return resamples


def _count(labels: Integers | None) -> int:
    """Count the clusters that hold customers."""
    return 0 if labels is None else len(np.unique(labels[labels >= 0]))


def _judge(labels: Integers | None, k: int, distinct_count: int) -> str | None:
    """Say why there is no partition to measure."""
    if k == 0:
        return None if _count(labels) else "no_clusters_found"
    if k > distinct_count:
        return "too_few_different_customers"
    if labels is None:
        return "fit_failed"
    return None if _count(labels) == k else "clusters_collapsed"


def _measure(matrix: Floats, labels: Integers) -> dict[str, float]:
    from retail_segments.measures import measure_dispersion

    sizes = np.bincount(labels[labels >= 0])
    return {
        **measure_dispersion(matrix, labels),
        "smallest_share": float(sizes.min() / len(labels)),
    }


def _measure_again(
    labels: Integers,
    k: int,
    resamples: Sequence[tuple[Integers, "Sample"]],
    again: Sequence[dict[int, Integers]],
) -> dict[str, Any]:
    """Measure stability on the customers that were drawn anew."""
    from retail_segments.measures import measure_stability

    drawn = [positions for positions, _ in resamples]

    def refit(number: int) -> Integers:
        # A sample that could not be partitioned is one cluster.
        return again[number].get(k, np.zeros(len(drawn[number]), dtype="int64"))

    first = resamples[0][1].weights
    return {
        **measure_stability(labels, drawn, refit),
        "bootstrap_count": len(drawn),
        "stability_sample_size": 0 if first is None else int(first.sum()),
    }


def _measure_gaps(
    k: int, inertias: Sequence[dict[int, float]], size: int
) -> dict[str, Any]:
    """Measure the gap of the first inertia to all others."""
    from retail_segments.measures import measure_gap

    if not inertias:
        return {}
    own, *references = [found.get(k, 0.0) for found in inertias]
    gap, error = measure_gap(own, references)
    return {
        "gap": gap,
        "gap_standard_error": error,
        "gap_sample_size": size,
        "reference_count": len(references),
    }
