"""Partition customers by five algorithms, for any number of clusters."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.cluster.hierarchy import linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.cluster import HDBSCAN, BisectingKMeans, KMeans
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from retail_segments.clustering import Floats, Integers

# The key of the one partition of an algorithm that finds its own number of clusters.
OWN_COUNT = 0
# HDBSCAN judges density by this many neighbours, and needs as many customers.
NEIGHBOURS = 5


@dataclass(frozen=True)
class Algorithm:
    """How an algorithm is run, and how much of it a sweep can afford.

    Attributes
    ----------
    is_quadratic : bool
        Time and memory grow with the square of the customers.
    shares_fit : bool
        One fit gives the partitions for every number of clusters.
    resamples : int
        Times it is fitted again to see whether the clusters come back.
    subset_size : int or None
        Customers in each of these fits, drawn without replacement and no more than
        half; None for a bootstrap, which takes as many as there are.
    references : int
        Uniform data sets of the gap statistic; 0 for none.
    gap_size : int
        Customers that the gap statistic is measured on, at most.
    """

    is_quadratic: bool
    shares_fit: bool
    resamples: int
    subset_size: int | None
    references: int
    gap_size: int


ALGORITHMS = {
    "kmeans": Algorithm(
        is_quadratic=False,
        shares_fit=False,
        resamples=70,
        subset_size=None,
        references=10,
        gap_size=1_000,
    ),
    "gaussian_mixture": Algorithm(
        is_quadratic=False,
        shares_fit=False,
        resamples=4,
        subset_size=500,
        references=2,
        gap_size=500,
    ),
    "ward": Algorithm(
        is_quadratic=True,
        shares_fit=True,
        resamples=20,
        subset_size=1_000,
        references=10,
        gap_size=1_000,
    ),
    "bisecting_kmeans": Algorithm(
        is_quadratic=False,
        shares_fit=False,
        resamples=10,
        subset_size=1_000,
        references=5,
        gap_size=1_000,
    ),
    # It has no number of clusters to compare by a gap, and noise has no dispersion.
    "hdbscan": Algorithm(
        is_quadratic=True,
        shares_fit=True,
        resamples=10,
        subset_size=1_000,
        references=0,
        gap_size=0,
    ),
}


@dataclass(frozen=True)
class Sample:
    """Customers to partition.

    Attributes
    ----------
    matrix : ndarray of shape (n_customers, n_features)
        Scaled features.
    distinct_count : int
        Rows of `matrix` that differ.
    weights : ndarray of shape (n_customers,) or None
        How often each customer was drawn.
    """

    matrix: Floats
    distinct_count: int
    weights: Floats | None = None


def take_all(matrix: Floats) -> Sample:
    """Make a sample of all customers.

    Parameters
    ----------
    matrix : ndarray of shape (n_customers, n_features)
        Scaled features.

    Returns
    -------
    Sample
        Every customer once.

    Examples
    --------
    >>> take_all(np.array([[1.0], [1.0], [2.0]])).distinct_count
    2
    """
    return Sample(matrix, len(pd.DataFrame(matrix).drop_duplicates()))


def partition(
    algorithm: str,
    sample: Sample,
    cluster_counts: Sequence[int],
    *,
    n_init: int,
    smallest_share: float,
    random_state: int,
) -> dict[int, Integers]:
    """Partition customers into each of several numbers of clusters.

    Parameters
    ----------
    algorithm : str
        One of `ALGORITHMS`: K-Means; a Gaussian mixture with full covariances, where
        each customer goes to the likeliest component; Ward's tree, cut; bisecting
        K-Means, which splits the cluster of largest inertia; and HDBSCAN, which finds
        its own number [1]_.
    sample : Sample
        The customers.
    cluster_counts : sequence of int
        Numbers of clusters. HDBSCAN takes no notice of them.
    n_init : int
        Number of starts of K-Means.
    smallest_share : float
        Share of the customers that the smallest cluster of HDBSCAN holds at least.
    random_state : int
        Seed of the starts.

    Returns
    -------
    dict of int to ndarray of shape (n_customers,)
        The cluster of each customer from 0, or -1 for the noise of HDBSCAN, by number
        of clusters; by `OWN_COUNT` for HDBSCAN. Where no more customers differ than
        there are clusters, each that differs is a cluster. Clusters may be fewer than
        asked for; a partition that could not be computed is missing.

    References
    ----------
    .. [1] R. Campello, D. Moulavi and J. Sander, "Density-based clustering based on
       hierarchical density estimates", PAKDD 2013.

    Examples
    --------
    >>> sample = take_all(np.array([[0.0], [0.1], [5.0], [5.1]]))
    >>> fit = partition(
    ...     "ward", sample, [2], n_init=1, smallest_share=0.03, random_state=1
    ... )
    >>> fit[2].tolist()
    [0, 0, 1, 1]
    """
    if algorithm == "hdbscan":
        return {OWN_COUNT: _fit_hdbscan(sample.matrix, smallest_share)}
    wanted = [k for k in cluster_counts if k < sample.distinct_count]
    found: dict[int, Integers] = {}
    with warnings.catch_warnings():
        # Fewer clusters than asked for are counted by whoever asked.
        warnings.simplefilter("ignore", ConvergenceWarning)
        if algorithm == "ward":
            found = _fit_ward(sample.matrix, wanted)
        else:
            for k in wanted:
                try:
                    labels = _FITS[algorithm](sample, k, n_init, random_state)
                except ValueError:
                    # A mixture whose component has no extent; nothing else raises,
                    # since features are finite numbers by now.
                    continue
                found[k] = labels.astype("int64")
    if len(wanted) < len(cluster_counts):
        each = np.unique(sample.matrix, axis=0, return_inverse=True)[1]
        found |= {k: each.ravel() for k in cluster_counts if k not in wanted}
    return found


def _fit_kmeans(sample: Sample, k: int, n_init: int, random_state: int) -> Integers:
    kmeans = KMeans(n_clusters=k, n_init=n_init, random_state=random_state)
    labels: Integers = kmeans.fit(sample.matrix, sample_weight=sample.weights).labels_
    return labels


def _fit_mixture(sample: Sample, k: int, _: int, random_state: int) -> Integers:
    mixture = GaussianMixture(n_components=k, random_state=random_state)
    labels: Integers = mixture.fit_predict(sample.matrix)
    return labels


def _fit_bisecting(sample: Sample, k: int, _: int, random_state: int) -> Integers:
    bisecting = BisectingKMeans(n_clusters=k, random_state=random_state)
    labels: Integers = bisecting.fit(sample.matrix).labels_
    return labels


_FITS: dict[str, Callable[[Sample, int, int, int], Integers]] = {
    "kmeans": _fit_kmeans,
    "gaussian_mixture": _fit_mixture,
    "bisecting_kmeans": _fit_bisecting,
}


def _fit_ward(matrix: Floats, cluster_counts: Sequence[int]) -> dict[int, Integers]:
    """Cut one tree at each number of clusters: all but the last merges are made.

    SciPy's own cuts are slow (`cut_tree`), or give fewer clusters where two merges
    are equally high (`fcluster`).
    """
    if not cluster_counts:
        return {}
    count = len(matrix)
    merges = linkage(matrix, method="ward")[:, :2].astype("int64")
    cuts = {}
    for k in cluster_counts:
        made = merges[: count - k]
        nodes = count + np.arange(len(made))
        edges = (np.ones(2 * len(made)), (np.tile(nodes, 2), made.T.ravel()))
        joined = coo_array(edges, shape=(2 * count, 2 * count))
        trees = connected_components(joined, directed=False)[1]
        cuts[k] = np.unique(trees[:count], return_inverse=True)[1].astype("int64")
    return cuts


def _fit_hdbscan(matrix: Floats, smallest_share: float) -> Integers:
    if len(matrix) < NEIGHBOURS:
        return np.full(len(matrix), -1, dtype="int64")
    smallest = max(NEIGHBOURS, int(np.ceil(smallest_share * len(matrix))))
    hdbscan = HDBSCAN(min_cluster_size=smallest, min_samples=NEIGHBOURS, copy=True)
    labels: Integers = hdbscan.fit(matrix).labels_.astype("int64")
    return labels
