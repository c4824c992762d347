"""Measure partitions of customers: how compact, how far apart, and how stable."""

import warnings
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from kneed import KneeLocator
from scipy.spatial.distance import cdist
from sklearn.metrics import calinski_harabasz_score, davies_bouldin_score

from retail_segments.clustering import Floats, Integers

# Rows whose distances to all others are held at a time.
BLOCK_SIZE = 512


def measure_dispersion(matrix: Floats, labels: Integers) -> dict[str, float]:
    """Measure how compact clusters are and how far apart, by their means.

    Parameters
    ----------
    matrix : ndarray of shape (n_customers, n_features)
        Scaled features.
    labels : ndarray of shape (n_customers,)
        The cluster of each customer; those below 0 are in none and are left out.

    Returns
    -------
    dict
        ``inertia`` (sum of squared distances to the mean of each cluster),
        ``davies_bouldin`` [1]_ (0 or more, lower is better) and ``calinski_harabasz``
        [2]_ (higher is better). The last two are not a number with fewer than two
        clusters, and where every customer is a cluster.

    References
    ----------
    .. [1] D. Davies and D. Bouldin, "A cluster separation measure", 1979.
    .. [2] T. Calinski and J. Harabasz, "A dendrite method for cluster analysis", 1974.

    Examples
    --------
    >>> scores = measure_dispersion(
    ...     np.array([[0.0], [2.0], [9.0], [11.0]]), np.array([0, 0, 1, 1])
    ... )
    >>> {name: round(score, 3) for name, score in scores.items()}
    {'inertia': 4.0, 'davies_bouldin': 0.222, 'calinski_harabasz': 40.5}
    """
    members = labels >= 0
    matrix, labels = matrix[members], labels[members]
    scores = {
        "inertia": measure_inertia(matrix, labels),
        "davies_bouldin": float("nan"),
        "calinski_harabasz": float("nan"),
    }
    if 2 <= len(np.unique(labels)) < len(labels):
        scores["davies_bouldin"] = float(davies_bouldin_score(matrix, labels))
        scores["calinski_harabasz"] = float(calinski_harabasz_score(matrix, labels))
    return scores


def measure_inertia(matrix: Floats, labels: Integers) -> float:
    """Sum the squared distances of customers to the mean of their cluster.

    Parameters
    ----------
    matrix : ndarray of shape (n_customers, n_features)
        Scaled features.
    labels : ndarray of shape (n_customers,)
        The cluster of each customer, 0 or more.

    Returns
    -------
    float
        The sum, in squared standard deviations.

    Examples
    --------
    >>> measure_inertia(np.array([[0.0], [2.0], [9.0]]), np.array([0, 0, 1]))
    2.0
    """
    if not len(labels):
        return 0.0
    sizes = np.maximum(np.bincount(labels), 1)
    means = np.stack(
        [np.bincount(labels, weights=feature) / sizes for feature in matrix.T], axis=1
    )
    return float(((matrix - means[labels]) ** 2).sum())


def measure_silhouettes(matrix: Floats, partitions: Sequence[Integers]) -> list[float]:
    """Measure the mean silhouette of several partitions of the same customers.

    Distances between customers are worked out once for all partitions, a block of
    customers at a time.

    Parameters
    ----------
    matrix : ndarray of shape (n_customers, n_features)
        Scaled features.
    partitions : sequence of ndarray of shape (n_customers,)
        The cluster of each customer from 0; those below 0 are in none and are left
        out.

    Returns
    -------
    list of float
        How much nearer customers are to their own cluster than to the next, -1 to 1
        [1]_; not a number with fewer than two clusters, and where every customer is
        one.

    References
    ----------
    .. [1] P. Rousseeuw, "Silhouettes: a graphical aid to the interpretation and
       validation of cluster analysis", 1987.

    Examples
    --------
    >>> matrix = np.array([[0.0], [1.0], [9.0], [10.0]])
    >>> measure_silhouettes(matrix, [np.array([0, 0, 1, 1]), np.array([0, 0, 0, 0])])
    [0.8885448916408669, nan]
    """
    if not partitions or not len(matrix):
        return [float("nan")] * len(partitions)
    counts = [max(int(labels.max()) + 1, 1) for labels in partitions]
    bounds = np.concatenate([[0], np.cumsum(counts)])
    members = np.zeros((len(matrix), bounds[-1]))
    for labels, start in zip(partitions, bounds, strict=False):
        inside = np.flatnonzero(labels >= 0)
        members[inside, start + labels[inside]] = 1
    sizes = members.sum(axis=0)
    totals = np.zeros(len(partitions))

    for first in range(0, len(matrix), BLOCK_SIZE):
        block = slice(first, first + BLOCK_SIZE)
        sums = cdist(matrix[block], matrix) @ members
        for place, labels in enumerate(partitions):
            columns = slice(bounds[place], bounds[place + 1])
            totals[place] += _sum_silhouettes(
                sums[:, columns], sizes[columns], labels[block]
            )

    scores = []
    for total, labels in zip(totals, partitions, strict=True):
        inside = labels[labels >= 0]
        is_defined = 2 <= len(np.unique(inside)) < len(inside)
        scores.append(float(total / len(inside)) if is_defined else float("nan"))
    return scores


def _sum_silhouettes(sums: Floats, sizes: Floats, labels: Integers) -> float:
    """Add up the silhouettes of customers, given summed distances to each cluster."""
    rows = np.flatnonzero(labels >= 0)
    own = labels[rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        within = sums[rows, own] / (sizes[own] - 1)
        others = np.where(sizes > 0, sums[rows] / sizes, np.inf)
        others[np.arange(len(rows)), own] = np.inf
        nearest = others.min(axis=1) if others.size else np.zeros(0)
        silhouettes = (nearest - within) / np.maximum(within, nearest)
    # A cluster of one has a silhouette of 0, by definition.
    return float(np.where(np.isfinite(silhouettes), silhouettes, 0).sum())


def compare_partitions(first: Integers, second: Integers) -> tuple[float, Floats]:
    """Compare two partitions of the same customers.

    Parameters
    ----------
    first, second : ndarray of shape (n_customers,)
        The cluster of each customer from 0; those below 0 are in none.

    Returns
    -------
    float
        Adjusted Rand index [1]_: 1 for the same partition, about 0 for chance. Those
        in no cluster count as one.
    ndarray of shape (n_clusters of first,)
        For each cluster of `first` the Jaccard similarity to the cluster of `second`
        that it is most like [2]_: shared customers as a share of those in either. Not
        a number for a cluster without customers.

    References
    ----------
    .. [1] L. Hubert and P. Arabie, "Comparing partitions", 1985.
    .. [2] C. Hennig, "Cluster-wise assessment of cluster stability", 2007.

    Examples
    --------
    >>> index, similarities = compare_partitions(
    ...     np.array([0, 0, 0, 1]), np.array([1, 1, 0, 0])
    ... )
    >>> index, similarities.round(2).tolist()
    (0.0, [0.67, 0.5])
    """
    # Rows and columns 0 are of those in no cluster.
    height, width = int(first.max()) + 2, int(second.max()) + 2
    shared = np.bincount((first + 1) * width + second + 1, minlength=height * width)
    shared = shared.reshape(height, width)
    rows, columns = shared.sum(axis=1), shared.sum(axis=0)

    pairs, in_rows, in_columns, all_pairs = (
        float((counts * (counts - 1) / 2).sum())
        for counts in (shared, rows, columns, np.array([len(first)]))
    )
    expected = in_rows * in_columns / all_pairs if all_pairs else 0.0
    most = (in_rows + in_columns) / 2
    index = (pairs - expected) / (most - expected) if most != expected else 1.0

    if width == 1:
        similarities = np.zeros(height - 1)
    else:
        either = rows[1:, np.newaxis] + columns[np.newaxis, 1:] - shared[1:, 1:]
        similarities = (shared[1:, 1:] / np.maximum(either, 1)).max(axis=1)
    return index, np.where(rows[1:] > 0, similarities, np.nan)


def draw_references(matrix: Floats, count: int, random_state: int) -> list[Floats]:
    """Draw customers evenly from the box that the real ones fill.

    Parameters
    ----------
    matrix : ndarray of shape (n_customers, n_features)
        Scaled features.
    count : int
        Number of data sets.
    random_state : int
        Seed.

    Returns
    -------
    list of ndarray of shape (n_customers, n_features)
        Uniform within the bounding box of the principal components, the second of the
        two reference distributions of [1]_, which follows features that go together.

    References
    ----------
    .. [1] R. Tibshirani, G. Walther and T. Hastie, "Estimating the number of clusters
       in a data set via the gap statistic", 2001.

    Examples
    --------
    >>> [reference] = draw_references(np.array([[1.0, 1.0], [3.0, 3.0]]), 1, 42)
    >>> bool(np.allclose(reference[:, 0], reference[:, 1]))
    True
    """
    if not count:
        return []
    middle = matrix.mean(axis=0)
    components = np.linalg.svd(matrix - middle, full_matrices=False)[2]
    turned = (matrix - middle) @ components.T
    shape = (count, *turned.shape)
    even = np.random.default_rng(random_state).uniform(
        turned.min(axis=0), turned.max(axis=0), shape
    )
    return [reference @ components + middle for reference in even]


def measure_gap(inertia: float, references: Sequence[float]) -> tuple[float, float]:
    """Measure how much more compact clusters are than those of evenly spread data.

    Parameters
    ----------
    inertia : float
        Of the customers.
    references : sequence of float
        Inertia of each set of `draw_references`, partitioned in the same way.

    Returns
    -------
    float
        The gap statistic [1]_: mean logarithm of the references' inertia less that of
        `inertia`. Not a number where one of them is 0.
    float
        Its standard error, the references being a sample.

    References
    ----------
    .. [1] R. Tibshirani, G. Walther and T. Hastie, "Estimating the number of clusters
       in a data set via the gap statistic", 2001.

    Examples
    --------
    >>> [round(figure, 3) for figure in measure_gap(1.0, [2.0, 4.0])]
    [1.04, 0.424]
    """
    if not len(references) or min(inertia, *references) <= 0:
        return float("nan"), float("nan")
    logarithms = np.log(np.asarray(references))
    error = logarithms.std() * np.sqrt(1 + 1 / len(references))
    return float(logarithms.mean() - np.log(inertia)), float(error)


def find_knee(inertias: pd.Series) -> int | None:
    """Find the number of clusters beyond which inertia falls but slowly.

    Parameters
    ----------
    inertias : Series
        Inertia by number of clusters, ascending.

    Returns
    -------
    int or None
        The knee of the convex, falling curve by the Kneedle algorithm [1]_. None where
        there is none, and with fewer than three points.

    References
    ----------
    .. [1] V. Satopaa et al., "Finding a kneedle in a haystack: detecting knee points
       in system behavior", 2011.

    Examples
    --------
    >>> find_knee(pd.Series([100.0, 50.0, 20.0, 15.0, 12.0], index=[2, 3, 4, 5, 6]))
    4
    """
    if len(inertias) < 3 or inertias.nunique() < 2:
        return None
    with warnings.catch_warnings():
        # That there is no knee is said by None.
        warnings.simplefilter("ignore", UserWarning)
        knee = KneeLocator(
            inertias.index.to_list(),
            inertias.to_list(),
            curve="convex",
            direction="decreasing",
        ).knee
    return None if knee is None else int(knee)


def measure_stability(
    labels: Integers, resamples: Sequence[Integers], refit: Callable[[int], Integers]
) -> dict[str, float]:
    """Measure whether the clusters come back when the customers are drawn anew.

    Parameters
    ----------
    labels : ndarray of shape (n_customers,)
        The cluster of each customer.
    resamples : sequence of ndarray
        Positions of the customers in each sample, each customer once.
    refit : callable
        Gives the clusters of the customers of a sample, by its number.

    Returns
    -------
    dict
        ``bootstrap_ari``, the median adjusted Rand index of the samples;
        ``smallest_jaccard``, the mean Jaccard similarity of the cluster where it is
        smallest [1]_, over the samples with a customer of that cluster; and
        ``jaccard_standard_error``, of that mean.

    References
    ----------
    .. [1] C. Hennig, "Cluster-wise assessment of cluster stability", 2007.

    Examples
    --------
    >>> labels = np.array([0, 0, 1, 1])
    >>> positions = [np.array([0, 1, 2]), np.array([1, 2, 3])]
    >>> measure_stability(labels, positions, lambda number: labels[positions[number]])
    {'bootstrap_ari': 1.0, 'smallest_jaccard': 1.0, 'jaccard_standard_error': 0.0}
    """
    indices = []
    similarities = np.full((len(resamples), int(labels.max()) + 1), np.nan)
    for number, positions in enumerate(resamples):
        index, found = compare_partitions(labels[positions], refit(number))
        indices.append(index)
        similarities[number, : len(found)] = found
    drawn = (~np.isnan(similarities)).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        # A cluster that no sample drew did not come back.
        means = np.where(drawn > 0, np.nansum(similarities, axis=0) / drawn, 0)
    worst = int(means.argmin())
    of_worst = similarities[~np.isnan(similarities[:, worst]), worst]
    error = of_worst.std() / np.sqrt(len(of_worst)) if len(of_worst) else 0.0
    return {
        "bootstrap_ari": float(np.median(indices)),
        "smallest_jaccard": float(means[worst]),
        "jaccard_standard_error": float(error),
    }
