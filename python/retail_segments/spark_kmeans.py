"""K-Means by Spark's MLlib, over customers that stay in the cluster."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from retail_segments.cluster_models import POSITION, ClusterFit, ModelSettings
from retail_segments.clustering import Floats, nearest_centroids, transform_features
from retail_segments.spark_relations import SparkRelation

# When scikit-learn stops: MLlib goes on until centroids move less than that together.
_TOLERANCE = 1e-4
_MOST_ITERATIONS = 300


def fit_on_spark(
    relation: SparkRelation,
    customers: pd.DataFrame,
    *,
    settings: ModelSettings,
    n_clusters: int,
) -> ClusterFit:
    """Fit K-Means to all customers, from the best start that a sample tells.

    The starts are those of scikit-learn, by k-means++ [1]_ on the sample; MLlib takes
    the best of them on with all customers, and stops where scikit-learn would. So both
    find the same clusters where the sample is everybody. Only centroids, sums and
    counts come back from the cluster.

    Parameters
    ----------
    relation : SparkRelation
        All customers, with every feature, and `POSITION`.
    customers : DataFrame
        The sample of them that is at hand.
    settings : ModelSettings
        How to fit.
    n_clusters : int
        How many clusters.

    Returns
    -------
    ClusterFit
        Labels are of the sample, all else is of everybody.

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful
       seeding", SODA 2007.
    """
    from pyspark.mllib.clustering import KMeans, KMeansModel

    features, transform = list(settings.features), settings.transform
    names = list(dict.fromkeys([*features, *POSITION]))
    rows = relation.project(*(f"cast({name} as double) as {name}" for name in names))
    means, deviations = _moments(rows, features, transform)
    log_means, log_deviations = _moments(rows, list(POSITION), "log1p")

    def scaled(frame: pd.DataFrame) -> Floats:
        matrix = transform_features(frame, features=features, transform=transform)
        result: Floats = (matrix - means) / deviations
        return result

    centroids = _best_start(scaled(customers), settings, n_clusters)
    points = rows.frame.rdd.mapPartitions(
        lambda part: iter(scaled(pd.DataFrame(part, columns=names)))
    ).cache()
    for _ in range(_MOST_ITERATIONS):
        model = KMeans.train(
            points,
            n_clusters,
            maxIterations=1,
            epsilon=0.0,
            initialModel=KMeansModel(list(centroids)),
        )
        found = np.vstack(model.clusterCenters)
        moved = float(((found - centroids) ** 2).sum())
        centroids = found
        if moved <= _TOLERANCE:
            break
    points.unpersist()

    def sums(frames: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
        for frame in frames:
            labels, _ = nearest_centroids(scaled(frame), centroids)
            logged = transform_features(frame, features=POSITION, transform="log1p")
            yield (
                pd.DataFrame(logged, columns=list(POSITION))
                .assign(cluster=labels, customers=1.0)
                .groupby("cluster", as_index=False)
                .sum()
            )

    schema = "cluster bigint, customers double, " + ", ".join(
        f"{name} double" for name in POSITION
    )
    totals = (
        rows.frame.mapInPandas(sums, schema)
        .groupBy("cluster")
        .sum("customers", *POSITION)
        .orderBy("cluster")
        .toPandas()
        .to_numpy(dtype="float64")
    )
    # Where all but an outlier lie in one spot, some centroids are nobody's nearest.
    centroids = centroids[totals[:, 0].astype("int64")]
    counts = totals[:, 1]
    labels, _ = nearest_centroids(scaled(customers), centroids)
    in_scale = centroids * deviations + means
    return ClusterFit(
        labels=labels,
        sizes=counts.astype("int64"),
        means=means,
        deviations=deviations,
        centroids=centroids,
        in_units=np.expm1(in_scale) if transform == "log1p" else in_scale,
        positions=(totals[:, 2:] / counts[:, None] - log_means) / log_deviations,
    )


def _moments(
    rows: SparkRelation, features: list[str], transform: str
) -> tuple[Floats, Floats]:
    """Return means and deviations as scikit-learn's StandardScaler has them."""
    value = "log1p({})" if transform == "log1p" else "{}"
    found = rows.frame.selectExpr(
        *(
            f"{measure}({value.format(name)})"
            for measure in ("avg", "stddev_pop")
            for name in features
        )
    ).first()
    means, deviations = np.array(found, dtype="float64").reshape(2, -1)
    # A constant feature is divided by 1.
    nothing = deviations <= 10 * np.finfo("float64").eps * np.abs(means)
    return means, np.where(nothing, 1.0, deviations)


def _best_start(scaled: Floats, settings: ModelSettings, n_clusters: int) -> Floats:
    """Return the start from which scikit-learn gets furthest, out of its own."""
    from sklearn.cluster import KMeans, kmeans_plusplus
    from threadpoolctl import threadpool_limits

    random = np.random.RandomState(settings.random_state)
    middle = scaled.mean(axis=0)
    best, lowest = None, np.inf
    with threadpool_limits(limits=1):
        for _ in range(settings.n_init):
            start, _ = kmeans_plusplus(scaled - middle, n_clusters, random_state=random)
            inertia = (
                KMeans(n_clusters, init=start + middle, n_init=1).fit(scaled).inertia_
            )
            if inertia < lowest:
                best, lowest = start + middle, inertia
    if best is None:
        raise ValueError(f"n_init is {settings.n_init}; give 1 or more")
    return np.asarray(best, dtype="float64")
