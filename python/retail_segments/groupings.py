"""Group customers in the ways that segments are held against."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from retail_segments.clustering import Transform, scale_features
from retail_segments.threads import one_thread

Integers = npt.NDArray[np.int64]

RFM = ("recency_days", "frequency", "monetary_value")
FEATURES = (
    *RFM,
    "product_count",
    "tenure_days",
    "days_between_orders",
    "average_order_value",
    "items_per_order",
    "return_rate",
)
GROUPINGS = (
    "segments",
    "rfm_clusters",
    "rfm_and_product_clusters",
    "published_recipe",
    "rfm_segments",
    "rfm_codes",
    "boosting",
    "random_groups",
)
PUBLISHED_COUNT = 4


def list_groupings(features: Sequence[str]) -> list[str]:
    """List the groupings, without one that is the segments under another name.

    Parameters
    ----------
    features : sequence of str
        Columns that the segments are made on.

    Returns
    -------
    list of str
        Some of `GROUPINGS`, in their order.

    Examples
    --------
    >>> "rfm_clusters" in list_groupings(RFM)
    False
    """
    same = {
        frozenset(RFM): "rfm_clusters",
        frozenset((*RFM, "product_count")): "rfm_and_product_clusters",
    }.get(frozenset(features))
    return [name for name in GROUPINGS if name != same]


def group_customers(
    customers: pd.DataFrame,
    *,
    features: Sequence[str],
    transform: Transform,
    n_clusters: int | None,
    random_state: int,
    n_init: int,
) -> dict[str, Integers]:
    """Group the customers of one origin in several ways, by what was known then.

    Parameters
    ----------
    customers : DataFrame of shape (n_customers, ...)
        One row per customer, with the features, ``rfm_code`` and ``rfm_segment``. What
        followed is not read.
    features, transform, n_clusters, random_state, n_init
        As given to `validity.measure_validity`.

    Returns
    -------
    dict of str to ndarray of shape (n_customers,)
        Group numbers by grouping. ``segments``: K-Means with these settings, fitted on
        these customers alone. ``rfm_clusters`` and ``rfm_and_product_clusters``: the
        same on recency, frequency and monetary value, and with the number of products.
        ``published_recipe``: K-Means with k = 4 on the standardised raw values, as
        published analyses of the Online Retail data do. ``rfm_segments``: the eleven
        names. ``rfm_codes``: the 125 codes. A clustering is absent where no number of
        clusters was chosen, or more than there are different customers.

    Examples
    --------
    >>> customers = pd.DataFrame(
    ...     {"monetary_value": [900.0, 5.0, 7.0], "rfm_code": ["555", "111", "111"]}
    ... ).assign(rfm_segment="Loyal", recency_days=9, frequency=1, product_count=1)
    >>> groups = group_customers(
    ...     customers,
    ...     features=["monetary_value"],
    ...     transform="log1p",
    ...     n_clusters=2,
    ...     random_state=42,
    ...     n_init=3,
    ... )
    >>> groups["rfm_codes"].tolist()
    [1, 0, 0]
    """
    # Imported late: a build that measures nothing need not wait for scikit-learn. One
    # thread only once it is there: a limit holds for libraries that are loaded by then.
    from sklearn.cluster import KMeans

    recipes: dict[str, tuple[Sequence[str], Transform, int | None]] = {
        "segments": (features, transform, n_clusters),
        "rfm_clusters": (RFM, transform, n_clusters),
        "rfm_and_product_clusters": ((*RFM, "product_count"), transform, n_clusters),
        "published_recipe": (RFM, "none", PUBLISHED_COUNT),
    }
    wanted = list_groupings(features)
    groups = {
        name: np.unique(customers[column].astype(str), return_inverse=True)[1]
        for name, column in (("rfm_segments", "rfm_segment"), ("rfm_codes", "rfm_code"))
    }
    for name, (columns, scale, k) in recipes.items():
        if name not in wanted or k is None:
            continue
        matrix = scale_features(customers, features=columns, transform=scale)
        if len(np.unique(matrix, axis=0)) < k:
            continue
        kmeans = KMeans(n_clusters=k, n_init=n_init, random_state=random_state)
        with one_thread():
            groups[name] = kmeans.fit_predict(matrix).astype("int64")
    return groups
