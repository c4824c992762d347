"""Group customers by how they buy: K-Means on scaled RFM features."""

import hashlib
import json
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
import sklearn
from sklearn.cluster import KMeans
from sklearn.metrics import (
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

Transform = Literal["log1p", "none"]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# A silhouette compares every pair of customers; beyond this many a sample does.
SILHOUETTE_SAMPLE = 10_000


def scale_features(
    customers: pd.DataFrame, *, features: Sequence[str], transform: Transform
) -> Floats:
    """Bring features to one scale: transformed, then mean 0 and deviation 1.

    Parameters
    ----------
    customers : DataFrame of shape (n_customers, ...)
        One row per customer.
    features : sequence of str
        Columns to scale, none of them missing or negative.
    transform : {"log1p", "none"}
        ``log1p`` takes the logarithm of 1 + x first, since counts and amounts of
        customers are heavily skewed and K-Means would otherwise isolate the outliers.

    Returns
    -------
    ndarray of shape (n_customers, n_features)
        Population standard deviations from the mean. A constant feature is all 0.

    Raises
    ------
    ValueError
        If a feature holds missing, infinite or negative values.

    Examples
    --------
    >>> customers = pd.DataFrame({"frequency": [1, 2, 3]})
    >>> scale_features(customers, features=["frequency"], transform="none").round(2)
    array([[-1.22],
           [ 0.  ],
           [ 1.22]])
    """
    values = customers.loc[:, list(features)].astype("float64")
    invalid = {
        name: int((~(np.isfinite(values[name]) & (values[name] >= 0))).sum())
        for name in features
    }
    if any(invalid.values()):
        found = ", ".join(f"{name} ({n} rows)" for name, n in invalid.items() if n)
        raise ValueError(
            f"missing, infinite or negative values in {found}; every feature of every "
            "customer must be a number of 0 or more"
        )
    matrix = np.log1p(values) if transform == "log1p" else values
    return np.asarray(StandardScaler().fit_transform(matrix), dtype="float64")


def assign_clusters(
    customers: pd.DataFrame,
    *,
    key: str,
    features: Sequence[str],
    value: str,
    as_of: str,
    transform: Transform = "log1p",
    n_clusters: int = 4,
    random_state: int = 42,
    n_init: int = 10,
) -> pd.DataFrame:
    """Assign every customer to a K-Means cluster.

    Features are scaled by `scale_features`. The best of `n_init` runs of Lloyd's
    algorithm from k-means++ starts is kept [1]_. Clusters are numbered by the mean
    scaled `value` of their customers, 1 for the largest, so that a number means the
    same from run to run. One thread adds the numbers up, so that two runs give the
    same bits.

    Parameters
    ----------
    customers : DataFrame of shape (n_customers, ...)
        One row per customer, sorted by `key`.
    key : str
        Column that identifies a customer.
    features : sequence of str
        Columns to cluster on, none of them missing or negative.
    value : str
        Column whose mean numbers the clusters.
    as_of : str
        The day of the features, as yyyy-mm-dd; part of the model's name.
    transform : {"log1p", "none"}
        See `scale_features`.
    n_clusters : int
        Number of clusters, at least 2.
    random_state : int
        Seed of the starts.
    n_init : int
        Number of starts.

    Returns
    -------
    DataFrame of shape (n_customers, 6)
        `key`, ``cluster_id``, ``distance_to_centroid`` (in standard deviations),
        ``runner_up_cluster_id`` (the second nearest), ``model_id`` and
        ``unclustered_reason``, in the order of `customers`. With fewer different
        customers than clusters nobody is clustered: the reason is
        ``too_few_customers`` and the rest is missing.

    Raises
    ------
    ValueError
        If a feature holds missing, infinite or negative values, or a key repeats.

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful
       seeding", SODA 2007.

    Examples
    --------
    >>> customers = pd.DataFrame(
    ...     {"id": ["a", "b", "c"], "monetary_value": [900.0, 5.0, 7.0]}
    ... )
    >>> labels = assign_clusters(
    ...     customers,
    ...     key="id",
    ...     features=["monetary_value"],
    ...     value="monetary_value",
    ...     as_of="2011-12-10",
    ...     n_clusters=2,
    ... )
    >>> labels["cluster_id"].tolist()
    [1, 2, 2]
    """
    if not customers[key].is_unique:
        raise ValueError(f"{key} repeats; give one row per customer")
    matrix = scale_features(customers, features=features, transform=transform)
    if len(np.unique(matrix, axis=0)) < n_clusters:
        return _unclustered(customers[key])

    with threadpool_limits(limits=1):
        kmeans = KMeans(n_clusters=n_clusters, n_init=n_init, random_state=random_state)
        labels = kmeans.fit_predict(matrix)
        distances = kmeans.transform(matrix)

    scaled_value = scale_features(customers, features=[value], transform=transform)
    numbers = _number_by_value(labels, scaled_value[:, 0], n_clusters)
    others = np.where(np.arange(n_clusters) == labels[:, np.newaxis], np.inf, distances)
    settings = {
        "as_of": as_of,
        "features": list(features),
        "transform": transform,
        "n_clusters": n_clusters,
        "random_state": random_state,
        "n_init": n_init,
        "scikit-learn": sklearn.__version__,
    }
    return pd.DataFrame(
        {
            key: customers[key].to_numpy(),
            "cluster_id": pd.array(numbers[labels], dtype="Int64"),
            "distance_to_centroid": distances[np.arange(len(labels)), labels],
            "runner_up_cluster_id": pd.array(
                numbers[others.argmin(axis=1)], dtype="Int64"
            ),
            "model_id": _name_model(settings, customers[key], matrix),
            "unclustered_reason": pd.array([None] * len(labels), dtype="string"),
        }
    )


def score_clusters(
    customers: pd.DataFrame,
    labels: pd.Series,
    *,
    features: Sequence[str],
    transform: Transform = "log1p",
    random_state: int = 42,
) -> dict[str, float]:
    """Measure how compact and how far apart the clusters are.

    Parameters
    ----------
    customers : DataFrame of shape (n_customers, ...)
        The customers that were clustered.
    labels : Series of shape (n_customers,)
        The cluster of each, in the same order.
    features, transform
        As given to `assign_clusters`.
    random_state : int
        Seed of the sample that the silhouette is measured on beyond 10,000 customers.

    Returns
    -------
    dict
        ``inertia`` (sum of squared distances to the centroids), ``silhouette``
        (-1 to 1, higher is better), ``davies_bouldin`` (0 or more, lower is better)
        and ``calinski_harabasz`` (higher is better), on the scaled features.

    Examples
    --------
    >>> customers = pd.DataFrame({"monetary_value": [900.0, 5.0, 7.0]})
    >>> scores = score_clusters(
    ...     customers, pd.Series([1, 2, 2]), features=["monetary_value"]
    ... )
    >>> round(scores["silhouette"], 2)
    0.63
    """
    matrix = scale_features(customers, features=features, transform=transform)
    groups = labels.to_numpy(dtype="int64")
    centred = pd.DataFrame(matrix)
    centroids = centred.groupby(groups).transform("mean")
    with threadpool_limits(limits=1):
        return {
            "inertia": float(((centred - centroids) ** 2).to_numpy().sum()),
            "silhouette": float(
                silhouette_score(
                    matrix,
                    groups,
                    sample_size=min(len(groups), SILHOUETTE_SAMPLE),
                    random_state=random_state,
                )
            ),
            "davies_bouldin": float(davies_bouldin_score(matrix, groups)),
            "calinski_harabasz": float(calinski_harabasz_score(matrix, groups)),
        }


def _number_by_value(labels: Integers, value: Floats, n_clusters: int) -> Integers:
    """Map each label to its number, 1 for the cluster of the largest mean value."""
    means = [float(value[labels == label].mean()) for label in range(n_clusters)]
    largest_first = np.argsort(-np.asarray(means), kind="stable")
    numbers = np.empty(n_clusters, dtype="int64")
    numbers[largest_first] = np.arange(1, n_clusters + 1)
    return numbers


def _name_model(settings: dict[str, Any], keys: pd.Series, matrix: Floats) -> str:
    """Name a model by its day and by a fingerprint of its settings and its data."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    digest.update("\n".join(keys.astype(str)).encode())
    digest.update(matrix.tobytes())
    k = settings["n_clusters"]
    return f"kmeans-k{k}-{settings['as_of']}-{digest.hexdigest()[:8]}"


def _unclustered(keys: pd.Series) -> pd.DataFrame:
    count = len(keys)
    return pd.DataFrame(
        {
            str(keys.name): keys.to_numpy(),
            "cluster_id": pd.array([None] * count, dtype="Int64"),
            "distance_to_centroid": pd.array([None] * count, dtype="Float64"),
            "runner_up_cluster_id": pd.array([None] * count, dtype="Int64"),
            "model_id": pd.array([None] * count, dtype="string"),
            "unclustered_reason": pd.array(
                ["too_few_customers"] * count, dtype="string"
            ),
        }
    )
