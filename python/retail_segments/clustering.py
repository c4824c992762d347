"""Bring customers' features to one scale, and find the nearest centroid."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

Transform = Literal["log1p", "none"]
Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

# Squared distances that differ by less count as equal, here and in the SQL, whose sums
# may differ in the last bits.
_DISTANCE_DIGITS = 9


def transform_features(
    customers: pd.DataFrame, *, features: Sequence[str], transform: Transform
) -> Floats:
    """Take the logarithm of features, or leave them as they are.

    Parameters
    ----------
    customers : DataFrame of shape (n_customers, ...)
        One row per customer.
    features : sequence of str
        Columns to take, none of them missing or negative.
    transform : {"log1p", "none"}
        ``log1p`` takes the logarithm of 1 + x, since counts and amounts of customers
        are heavily skewed and K-Means would otherwise isolate the outliers.

    Returns
    -------
    ndarray of shape (n_customers, n_features)

    Raises
    ------
    ValueError
        If a feature holds missing, infinite or negative values.

    Examples
    --------
    >>> customers = pd.DataFrame({"frequency": [0, 1, 3]})
    >>> transform_features(customers, features=["frequency"], transform="none")
    array([[0.],
           [1.],
           [3.]])
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
    matrix = values.to_numpy()
    return np.log1p(matrix) if transform == "log1p" else matrix


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
        See `transform_features`.

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
    # Imported late: a build that fits nothing need not wait for scikit-learn.
    from sklearn.preprocessing import StandardScaler

    matrix = transform_features(customers, features=features, transform=transform)
    return np.asarray(StandardScaler().fit_transform(matrix), dtype="float64")


def nearest_centroids(matrix: Floats, centroids: Floats) -> tuple[Integers, Floats]:
    """Find the nearest centroid of each customer, the first of them on a tie.

    Parameters
    ----------
    matrix : ndarray of shape (n_customers, n_features)
        Scaled features.
    centroids : ndarray of shape (n_clusters, n_features)
        On the same scale.

    Returns
    -------
    labels : ndarray of shape (n_customers,)
        Position of the nearest centroid, 0 for the first.
    squared_distances : ndarray of shape (n_customers, n_clusters)
        To nine decimals, so that sums in another order give the same label.

    Examples
    --------
    >>> labels, _ = nearest_centroids(np.array([[0.1], [0.5]]), np.array([[0.0], [1]]))
    >>> labels.tolist()
    [0, 0]
    """
    # One centroid at a time, so that memory grows with customers x clusters only.
    squared_distances = np.column_stack(
        [((matrix - centroid) ** 2).sum(axis=1) for centroid in centroids]
    ).round(_DISTANCE_DIGITS)
    return squared_distances.argmin(axis=1), squared_distances
