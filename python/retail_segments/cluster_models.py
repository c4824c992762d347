"""K-Means models that outlive a build: fitted, matched to the last one, or frozen."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal, Protocol

import numpy as np
import pandas as pd

from retail_segments.clustering import (
    Floats,
    Integers,
    Transform,
    nearest_centroids,
    transform_features,
)
from retail_segments.memory import take_fingerprint
from retail_segments.threads import one_thread

POSITION = ("recency_days", "frequency", "monetary_value")
LIBRARIES = ("numpy", "scikit-learn")
METRICS = ("inertia", "silhouette", "davies_bouldin", "calinski_harabasz")
COLUMNS = {
    "model_id": "string",
    "model_version": "int64",
    "as_of_date": "datetime64[us]",
    "fingerprint": "string",
    "settings": "string",
    "cluster_count": "int64",
    "customer_count": "int64",
    "transform": "string",
    "features": "string",
    "cluster_id": "int64",
    "cluster_size": "int64",
    "feature": "string",
    "feature_mean": "float64",
    "feature_deviation": "float64",
    "centroid_z": "float64",
    "centroid_value": "float64",
    "recency_z": "float64",
    "frequency_z": "float64",
    "monetary_z": "float64",
    "name_recency_z": "float64",
    "name_value_z": "float64",
    **dict.fromkeys(METRICS, "float64"),
    "library_versions": "string",
    "customer_sample": "string",
    "previous_model_id": "string",
    "moved_share": "float64",
    "is_accepted": "bool",
    "is_current": "bool",
}

LABEL_TYPES = {"customer_id": "string", "model_id": "string", "cluster_id": "int64"}
# Customers that are handed to a fit at most where they are in Spark, which then goes on
# from there with all of them.
FIT_SIZE = 100_000

# A cluster keeps the place that its name was taken from until it has moved further.
_NAME_TOLERANCE = 0.75
# As many customers, drawn by hash, tell whether a model is of the same shop.
_SAMPLE_SIZE = 64


@dataclass(frozen=True)
class ModelSettings:
    """How a model is fitted, and when it may replace the last one.

    Parameters
    ----------
    mode : {"refit", "frozen"}
        Fit anew, or keep the last model.
    features : sequence of str
        Columns to cluster on.
    transform : {"log1p", "none"}
        See `retail_segments.clustering.transform_features`.
    cluster_count : str
        What was asked for, ``auto`` or a number: changing it is a wish, no drift.
    purchase_basis : str
        What the features count, for the same reason.
    random_state, n_init : int
        Seed and number of the starts.
    drift_limit : float
        Largest share of customers that a refit may move without being accepted.
    is_drift_accepted : bool
        Whether more is accepted.
    """

    mode: Literal["refit", "frozen"]
    features: Sequence[str]
    transform: Transform
    cluster_count: str
    purchase_basis: str
    random_state: int = 42
    n_init: int = 10
    drift_limit: float = 0.30
    is_drift_accepted: bool = False

    def wishes(self) -> str:
        """Return what the user decided, as one text."""
        return json.dumps(
            {
                "features": list(self.features),
                "transform": self.transform,
                "cluster_count": str(self.cluster_count),
                "purchase_basis": self.purchase_basis,
                "random_state": self.random_state,
                "n_init": self.n_init,
            },
            sort_keys=True,
        )


@dataclass(frozen=True)
class ClusterFit:
    """What a fit found.

    Parameters
    ----------
    labels : ndarray of shape (n_customers,)
        Positions of the centroids that the customers at hand are nearest to.
    sizes : ndarray of shape (n_clusters,)
        Customers of each cluster: of all, where those at hand are a sample.
    means, deviations : ndarray of shape (n_features,)
        What the features were standardised with.
    centroids, in_units : ndarray of shape (n_clusters, n_features)
        On the scale of the fit, and in the units of the features.
    positions : ndarray of shape (n_clusters, 3)
        Mean standardised log1p of `POSITION`.
    """

    labels: Integers
    sizes: Integers
    means: Floats
    deviations: Floats
    centroids: Floats
    in_units: Floats
    positions: Floats


class Fitter(Protocol):
    """How clusters are found: here, or by Spark."""

    def __call__(
        self, customers: pd.DataFrame, *, settings: ModelSettings, n_clusters: int
    ) -> ClusterFit:
        """Fit."""


class NoModelError(ValueError):
    """Nothing has been fitted that could be kept."""


def update_models(
    models: pd.DataFrame | None,
    customers: pd.DataFrame,
    *,
    key: str,
    as_of: str,
    settings: ModelSettings,
    n_clusters: int | None,
    metrics: Mapping[str, float],
    fit_clusters: Fitter | None = None,
) -> pd.DataFrame:
    """Add a model to those that were fitted before, or keep the last one.

    A refit on the same customers with the same settings is the same model and adds
    nothing. Another one is matched to the last accepted model that is no younger and
    of the same shop [1]_: by the Hungarian method on the centroids, in that model's
    scale, so that cluster numbers, and the places that names are taken from, persist.
    A refit that moves more customers than the limit waits to be accepted, and the last
    model stays in use. What the user asked for, such as another number of clusters, is
    accepted as it is.

    Parameters
    ----------
    models : DataFrame or None
        What this function returned before.
    customers : DataFrame of shape (n_customers, ...)
        One row per customer with every feature, and ``recency_days``, ``frequency`` and
        ``monetary_value``, sorted by `key`.
    key : str
        Column that identifies a customer.
    as_of : str
        The day of the features, as yyyy-mm-dd.
    settings : ModelSettings
        How to fit, and when to accept.
    n_clusters : int or None
        The number of clusters that was chosen; None where no choice could be made.
    metrics : mapping
        ``inertia``, ``silhouette``, ``davies_bouldin`` and ``calinski_harabasz`` of the
        choice.
    fit_clusters : callable, optional
        What fits; by default scikit-learn, in this process.

    Returns
    -------
    DataFrame
        One row per model x cluster x feature, oldest model first: see `COLUMNS`. At
        most one model is current.

    Raises
    ------
    NoModelError
        If the model is to be frozen and there is none.
    ValueError
        If a feature holds missing, infinite or negative values, or a key repeats.

    References
    ----------
    .. [1] H. W. Kuhn, "The Hungarian method for the assignment problem", Naval Research
       Logistics Quarterly 2, 1955.

    Examples
    --------
    >>> customers = pd.DataFrame(
    ...     {
    ...         "customer_id": ["a", "b", "c"],
    ...         "recency_days": [3, 90, 80],
    ...         "frequency": [12, 1, 1],
    ...         "monetary_value": [900.0, 5.0, 7.0],
    ...     }
    ... )
    >>> settings = ModelSettings(
    ...     mode="refit",
    ...     features=["monetary_value"],
    ...     transform="log1p",
    ...     cluster_count="2",
    ...     purchase_basis="net",
    ... )
    >>> models = update_models(
    ...     None,
    ...     customers,
    ...     key="customer_id",
    ...     as_of="2011-12-10",
    ...     settings=settings,
    ...     n_clusters=2,
    ...     metrics={},
    ... )
    >>> models[["cluster_id", "cluster_size"]].values.tolist()
    [[1, 1], [2, 2]]
    """
    if not customers[key].is_unique:
        raise ValueError(f"{key} repeats; give one row per customer")
    history = _as_typed(models)
    last = _last_accepted(history, as_of)
    if settings.mode == "frozen":
        if last is None:
            raise NoModelError(
                "cluster_model is frozen, but no model has been fitted as of "
                f"{as_of} or before; build once with cluster_model: refit"
            )
        return _use(history, last)
    if n_clusters is None:
        return _use(history, last)

    used = [key, *dict.fromkeys([*settings.features, *POSITION])]
    fingerprint = take_fingerprint(
        customers[used],
        settings={
            "as_of": as_of,
            "n_clusters": n_clusters,
            "wishes": settings.wishes(),
        },
        methods=("cluster_models", "clustering"),
        libraries=LIBRARIES,
    )
    same = history[(history["fingerprint"] == fingerprint) & history["is_accepted"]]
    if len(same):
        return _use(history, str(same["model_id"].iloc[0]))

    sample = _sample(customers[key])
    previous = history[history["model_id"] == last] if last is not None else None
    if previous is not None and not _is_same_shop(previous, customers[key]):
        previous = None

    fit = (fit_clusters or _fit)(customers, settings=settings, n_clusters=n_clusters)
    highest = int(history["cluster_id"].max()) if len(history) else 0
    numbers, names, moved_share = _match(customers, fit, previous, highest)
    is_wished = previous is None or previous["settings"].iloc[0] != settings.wishes()
    # Of models that wait to be accepted, only the newest matters.
    history = history[history["is_accepted"]]
    number = int(history["model_version"].max()) + 1 if len(history) else 1
    model_id = f"kmeans-k{n_clusters}-{as_of}-{fingerprint[:8]}"
    head = {
        "model_id": model_id,
        "model_version": number,
        "as_of_date": pd.Timestamp(as_of),
        "fingerprint": fingerprint,
        "settings": settings.wishes(),
        "cluster_count": len(fit.centroids),
        "customer_count": int(fit.sizes.sum()),
        "transform": settings.transform,
        "features": ",".join(settings.features),
        **{name: metrics.get(name) for name in METRICS},
        "library_versions": _library_versions(),
        "customer_sample": sample,
        "previous_model_id": None if previous is None else last,
        "moved_share": moved_share,
        "is_accepted": bool(
            is_wished
            or settings.is_drift_accepted
            or (moved_share or 0) <= settings.drift_limit
        ),
    }
    rows = [
        {
            **head,
            "cluster_id": int(numbers[cluster]),
            "cluster_size": int(fit.sizes[cluster]),
            "feature": feature,
            "feature_mean": fit.means[position],
            "feature_deviation": fit.deviations[position],
            "centroid_z": fit.centroids[cluster, position],
            "centroid_value": fit.in_units[cluster, position],
            "recency_z": fit.positions[cluster, 0],
            "frequency_z": fit.positions[cluster, 1],
            "monetary_z": fit.positions[cluster, 2],
            "name_recency_z": names[cluster, 0],
            "name_value_z": names[cluster, 1],
            "is_current": False,
        }
        for cluster in np.argsort(numbers)
        for position, feature in enumerate(settings.features)
    ]
    added = _as_typed(pd.DataFrame(rows, columns=list(COLUMNS)))
    history = pd.concat([history, added], ignore_index=True)
    return _use(history, model_id if head["is_accepted"] else last)


def label_customers(
    models: pd.DataFrame, customers: pd.DataFrame, *, key: str
) -> pd.DataFrame:
    """Place customers in the clusters of the current model.

    Parameters
    ----------
    models : DataFrame
        As `update_models` returns it.
    customers : DataFrame of shape (n_customers, ...)
        One row per customer, with every feature of the model.
    key : str
        Column that identifies a customer.

    Returns
    -------
    DataFrame of shape (n_customers, 3)
        `key`, ``model_id`` and ``cluster_id``. No row where no model is current.

    Examples
    --------
    >>> models = pd.DataFrame(
    ...     {
    ...         "is_current": True,
    ...         "model_id": "m",
    ...         "transform": "none",
    ...         "cluster_id": [1, 2],
    ...         "feature": "frequency",
    ...         "feature_mean": 4.0,
    ...         "feature_deviation": 2.0,
    ...         "centroid_z": [1.0, -1.0],
    ...     }
    ... )
    >>> customers = pd.DataFrame({"customer_id": ["a", "b"], "frequency": [1, 9]})
    >>> label_customers(models, customers, key="customer_id")["cluster_id"].tolist()
    [2, 1]
    """
    current = models[models["is_current"]]
    if current.empty:
        return pd.DataFrame(
            {
                key: pd.array([], dtype="string"),
                "model_id": pd.array([], dtype="string"),
                "cluster_id": pd.array([], dtype="int64"),
            }
        )
    features = list(current["feature"].unique())
    scaled = _scaled_by(current, customers)
    centroids = _centroids(current, features)
    labels, _ = nearest_centroids(scaled, centroids.to_numpy())
    return pd.DataFrame(
        {
            key: customers[key].to_numpy(),
            "model_id": current["model_id"].iloc[0],
            "cluster_id": centroids.index.to_numpy()[labels],
        }
    )


def _fit(
    customers: pd.DataFrame, *, settings: ModelSettings, n_clusters: int
) -> ClusterFit:
    # Imported late: a build that fits nothing need not wait for scikit-learn.
    from sklearn.cluster import KMeans
    from sklearn.preprocessing import StandardScaler

    matrix = transform_features(
        customers, features=settings.features, transform=settings.transform
    )
    logged = transform_features(customers, features=POSITION, transform="log1p")
    # Several threads would add numbers up in any order, and change the last bits.
    with one_thread():
        scaler = StandardScaler()
        scaled = scaler.fit_transform(matrix)
        positions = StandardScaler().fit_transform(logged)
        kmeans = KMeans(
            n_clusters=n_clusters,
            n_init=settings.n_init,
            random_state=settings.random_state,
        ).fit(scaled)
    # Where all but an outlier lie in one spot, some centroids are nobody's nearest.
    labels, _ = nearest_centroids(scaled, kmeans.cluster_centers_)
    centroids = kmeans.cluster_centers_[np.unique(labels)]
    labels, _ = nearest_centroids(scaled, centroids)
    in_scale = centroids * scaler.scale_ + scaler.mean_
    return ClusterFit(
        labels=labels,
        sizes=np.bincount(labels, minlength=len(centroids)),
        means=scaler.mean_,
        deviations=scaler.scale_,
        centroids=centroids,
        in_units=np.expm1(in_scale) if settings.transform == "log1p" else in_scale,
        positions=np.vstack(
            [
                positions[labels == cluster].mean(axis=0)
                for cluster in range(len(centroids))
            ]
        ),
    )


def _match(
    customers: pd.DataFrame,
    fit: ClusterFit,
    previous: pd.DataFrame | None,
    highest: int,
) -> tuple[Integers, Floats, float | None]:
    """Find the clusters' numbers, the places of their names, and who moved.

    A cluster without a predecessor gets a number above `highest`, the largest that any
    model has used, so that a number never comes back with another meaning.
    """
    from scipy.optimize import linear_sum_assignment

    count = len(fit.centroids)
    names = np.column_stack([fit.positions[:, 0], fit.positions[:, 1:].mean(axis=1)])
    largest_first = np.argsort(-fit.positions[:, 2], kind="stable")
    numbers = np.zeros(count, dtype="int64")
    if previous is None:
        numbers[largest_first] = np.arange(1, count + 1)
        return numbers, names, None

    features = list(previous["feature"].unique())
    last_centroids = _centroids(previous, features)
    scaled = _scaled_by(previous, customers)
    centroids = np.vstack(
        [scaled[fit.labels == cluster].mean(axis=0) for cluster in range(count)]
    )
    costs = ((centroids[:, None, :] - last_centroids.to_numpy()[None, :, :]) ** 2).sum(
        axis=2
    )
    last_names = previous.drop_duplicates("cluster_id").set_index("cluster_id")
    for cluster, position in zip(*linear_sum_assignment(costs), strict=True):
        number = last_centroids.index[position]
        numbers[cluster] = number
        place = last_names.loc[number, ["name_recency_z", "name_value_z"]]
        place = place.to_numpy(dtype="float64")
        if np.abs(names[cluster] - place).max() <= _NAME_TOLERANCE:
            names[cluster] = place
    unmatched = [cluster for cluster in largest_first if numbers[cluster] == 0]
    first_free = highest + 1
    numbers[unmatched] = np.arange(first_free, first_free + len(unmatched))

    labels, _ = nearest_centroids(scaled, last_centroids.to_numpy())
    before = last_centroids.index.to_numpy()[labels]
    return numbers, names, float((before != numbers[fit.labels]).mean())


def _scaled_by(model: pd.DataFrame, customers: pd.DataFrame) -> Floats:
    features = model.drop_duplicates("feature")
    matrix = transform_features(
        customers,
        features=list(features["feature"]),
        transform=features["transform"].iloc[0],
    )
    means = features["feature_mean"].to_numpy()
    scaled: Floats = (matrix - means) / features["feature_deviation"].to_numpy()
    return scaled


def _centroids(model: pd.DataFrame, features: Sequence[str]) -> pd.DataFrame:
    wide = model.pivot_table(index="cluster_id", columns="feature", values="centroid_z")
    return wide.loc[:, list(features)].sort_index()


def _as_typed(models: pd.DataFrame | None) -> pd.DataFrame:
    """Give a table the columns of today; those it lacks are missing."""
    if models is None:
        models = pd.DataFrame(columns=list(COLUMNS))
    return models.reindex(columns=list(COLUMNS)).astype(COLUMNS)


def _last_accepted(history: pd.DataFrame, as_of: str) -> str | None:
    known = history[
        history["is_accepted"] & (history["as_of_date"] <= pd.Timestamp(as_of))
    ].sort_values(["as_of_date", "model_version"])
    return str(known["model_id"].iloc[-1]) if len(known) else None


def _use(history: pd.DataFrame, model_id: str | None) -> pd.DataFrame:
    is_current = history["model_id"] == (model_id or "")
    return history.assign(is_current=is_current.to_numpy(dtype="bool"))


def _hashes(keys: pd.Series) -> pd.Series:
    return keys.map(lambda key: hashlib.sha256(str(key).encode()).hexdigest()[:8])


def _sample(keys: pd.Series) -> str:
    return ",".join(sorted(_hashes(keys))[:_SAMPLE_SIZE])


def _is_same_shop(model: pd.DataFrame, keys: pd.Series) -> bool:
    """Tell whether half of the model's customers are still there."""
    sample = set(model["customer_sample"].iloc[0].split(","))
    return len(sample & set(_hashes(keys))) >= len(sample) / 2


def _library_versions() -> str:
    return json.dumps({name: version(name) for name in LIBRARIES})
