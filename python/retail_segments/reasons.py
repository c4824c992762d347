"""Say why a customer is in a segment: a shallow decision tree over the labels."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier

from retail_segments.threads import one_thread

# What customers may be clustered on, and the digits that thresholds are rounded to.
FEATURES = {
    "recency_days": 0,
    "frequency": 0,
    "monetary_value": 0,
    "product_count": 0,
    "tenure_days": 0,
    "days_between_orders": 0,
    "average_order_value": 0,
    "items_per_order": 0,
    "return_rate": 2,
}
_FOLDS = 5
_BOUNDS = [f"{name}_{side}" for name in FEATURES for side in ("above", "up_to")]
_COUNTS = ["rule_number", "cluster_id", "customer_count", "right_count"]
_COLUMNS = [*_COUNTS, *_BOUNDS, "fidelity", "fidelity_out_of_fold"]
_TYPES = {name: "int64" if name in _COUNTS else "float64" for name in _COLUMNS}


def explain_clusters(
    customers: pd.DataFrame,
    *,
    features: Sequence[str],
    rules_per_cluster: int = 2,
    random_state: int = 42,
) -> pd.DataFrame:
    """Approximate the clusters by a few rules that a person can read.

    A classification tree [1]_ is grown on the features as they are, best split first,
    to at most `rules_per_cluster` leaves for each cluster. Its thresholds are rounded
    down to numbers that people use. Each leaf is a rule: the features' bounds, and the
    cluster that most of its customers are in.

    Parameters
    ----------
    customers : DataFrame of shape (n_customers, ...)
        One row per customer: ``cluster_id`` and the features, sorted by customer.
    features : sequence of str
        Columns that rules may use, of those that customers may be clustered on.
    rules_per_cluster : int
        Largest number of rules, as a multiple of the number of clusters.
    random_state : int
        Seed of the tree, which splits ties by it, and of the folds.

    Returns
    -------
    DataFrame
        One row per rule: ``rule_number`` (1 for the first), ``cluster_id``,
        ``customer_count``, ``right_count`` (how many of them are in the cluster),
        for each feature that customers may be clustered on ``<feature>_above`` and
        ``<feature>_up_to`` (missing where there is no bound), and of all rules together
        ``fidelity`` (share of customers that the rules place as the clusters do) and
        ``fidelity_out_of_fold`` (the same for customers whom the tree, before rounding,
        had not seen; missing where a cluster has fewer customers than there are folds).

    References
    ----------
    .. [1] L. Breiman, J. Friedman, C. Stone and R. Olshen, "Classification and
       regression trees", 1984.

    Examples
    --------
    >>> customers = pd.DataFrame(
    ...     {"cluster_id": [1, 1, 2, 2], "recency_days": [3, 8, 200, 300]}
    ... )
    >>> rules = explain_clusters(customers, features=["recency_days"])
    >>> rules[["cluster_id", "recency_days_above", "recency_days_up_to"]]
       cluster_id  recency_days_above  recency_days_up_to
    0           1                 NaN               104.0
    1           2               104.0                 NaN
    """
    if customers.empty:
        return pd.DataFrame(columns=_COLUMNS).astype(_TYPES)
    values = customers.loc[:, list(features)].astype("float64")
    clusters = customers["cluster_id"].to_numpy(dtype="int64")
    leaves = max(2, rules_per_cluster * len(np.unique(clusters)))
    tree = DecisionTreeClassifier(max_leaf_nodes=leaves, random_state=random_state)
    with one_thread():
        tree.fit(values.to_numpy(), clusters)
        out_of_fold = _fidelity_out_of_fold(values, clusters, tree, random_state)

    rows: list[dict[str, object]] = []
    for rule in _leaf_bounds(tree, features):
        members = clusters[_inside(values, rule)]
        # Two thresholds that round to the same number leave nobody between them.
        if not len(members):
            continue
        numbers, counts = np.unique(members, return_counts=True)
        bounds = {f"{name}_{side}": bound for (name, side), bound in rule.items()}
        rows.append(
            {
                "rule_number": len(rows) + 1,
                "cluster_id": int(numbers[counts.argmax()]),
                "customer_count": len(members),
                "right_count": int(counts.max()),
                "fidelity_out_of_fold": out_of_fold,
                **bounds,
            }
        )
    rules = pd.DataFrame(rows, columns=_COLUMNS).astype(_TYPES)
    return rules.assign(fidelity=rules["right_count"].sum() / len(values))


Rule = dict[tuple[str, str], float]


def _leaf_bounds(tree: DecisionTreeClassifier, features: Sequence[str]) -> list[Rule]:
    """Return the rounded bounds of each leaf, from left to right."""
    nodes = tree.tree_
    found: list[Rule] = []

    def walk(node: int, rule: Rule) -> None:
        if nodes.children_left[node] == -1:
            found.append(rule)
            return
        name = features[nodes.feature[node]]
        scale = 10 ** FEATURES[name]
        threshold = float(np.floor(nodes.threshold[node] * scale) / scale)
        walk(nodes.children_left[node], {**rule, (name, "up_to"): threshold})
        walk(nodes.children_right[node], {**rule, (name, "above"): threshold})

    walk(0, {})
    return found


def _inside(values: pd.DataFrame, rule: Rule) -> npt.NDArray[np.bool_]:
    inside = np.ones(len(values), dtype="bool")
    for (name, side), bound in rule.items():
        column = values[name].to_numpy()
        inside &= column > bound if side == "above" else column <= bound
    return inside


def _fidelity_out_of_fold(
    values: pd.DataFrame,
    clusters: npt.NDArray[np.int64],
    tree: DecisionTreeClassifier,
    random_state: int,
) -> float | None:
    _, sizes = np.unique(clusters, return_counts=True)
    if sizes.min() < _FOLDS:
        return None
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=random_state)
    predicted = cross_val_predict(tree, values.to_numpy(), clusters, cv=folds)
    return float((predicted == clusters).mean())
