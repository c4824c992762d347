"""Segments by SQL alone: placed, moved and explained as plain Python finds it."""

import itertools
import math
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from retail_segments.clustering import nearest_centroids

MEASURES = {"recency_days": -1.0, "frequency": 1.0, "monetary_value": 0.01}
TOLD = {
    "recency_days": "fewer_days",
    "frequency": "more_orders",
    "monetary_value": "more_amount",
}


class Model:
    """A cluster model as the warehouse publishes it, applied by numpy."""

    def __init__(self, warehouse, model_id):
        rows = pd.DataFrame(
            warehouse.rows(
                "select * from marts.dim_cluster_centroids "
                f"where model_id = '{model_id}' order by cluster_id, feature"
            )
        )
        wide = rows.pivot(index="cluster_id", columns="feature", values="centroid_z")
        scale = rows.drop_duplicates("feature").set_index("feature")
        self.features = list(wide.columns)
        self.centroids = wide.to_numpy()
        self.numbers = wide.index.to_numpy()
        self.means = scale.loc[self.features, "feature_mean"].to_numpy()
        self.deviations = scale.loc[self.features, "feature_deviation"].to_numpy()
        self.is_logged = rows["transform"].iloc[0] == "log1p"

    def scale(self, customers):
        matrix = customers[self.features].to_numpy(dtype="float64")
        matrix = np.log1p(matrix) if self.is_logged else matrix
        return (matrix - self.means) / self.deviations

    def place(self, customers):
        labels, _ = nearest_centroids(self.scale(customers), self.centroids)
        return pd.Series(self.numbers[labels], index=customers.index)


@pytest.fixture(scope="module", params=["demo_net", "real_net"])
def warehouse(request):
    if request.param == "real_net":
        request.getfixturevalue("real_file")
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def model(warehouse):
    [model_id] = warehouse.values(
        "select model_id from marts.dim_cluster_models where is_current"
    )
    return Model(warehouse, model_id)


@pytest.fixture(scope="module")
def snapshots(warehouse):
    rows = warehouse.rows(
        "select * from marts.fct_customer_rfm order by customer_id, snapshot_date"
    )
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def scored(snapshots):
    return snapshots[snapshots["unscored_reason"].isna()].reset_index(drop=True)


def test_sql_places_every_customer_at_every_month_end_as_python_does(
    warehouse, model, scored
):
    placed = pd.DataFrame(
        warehouse.rows(
            "select customer_id, snapshot_date, cluster_id, distance_to_centroid, "
            "runner_up_margin from marts.fct_customer_segments "
            "order by customer_id, snapshot_date"
        )
    )
    distances = np.sort(
        np.sqrt(nearest_centroids(model.scale(scored), model.centroids)[1]), axis=1
    )

    keys = ["customer_id", "snapshot_date"]
    assert placed[keys].equals(scored[keys])
    assert (placed["cluster_id"] == model.place(scored)).all()
    assert np.allclose(placed["distance_to_centroid"], distances[:, 0], atol=1e-6)
    margins = distances[:, 1] - distances[:, 0]
    assert np.allclose(placed["runner_up_margin"], margins, atol=1e-6)


def test_clusters_are_as_large_as_when_they_were_fitted(warehouse):
    rows = warehouse.rows(
        "select clusters.cluster_size, segments.customer_count "
        "from marts.dim_clusters as clusters "
        "inner join marts.dim_segments as segments using (model_id, cluster_id)"
    )

    assert rows
    assert all(row["cluster_size"] == row["customer_count"] for row in rows)


def test_every_move_has_the_cause_that_python_finds(warehouse, model, snapshots):
    """Score again those who only grew older, and add up month by month."""
    is_scored = snapshots["unscored_reason"].isna()
    snapshots = snapshots.assign(cluster=pd.Series(dtype="object"))
    snapshots.loc[is_scored, "cluster"] = model.place(snapshots[is_scored])
    dates = sorted(snapshots["snapshot_date"].unique())
    expected = Counter()
    amounts = Counter()
    for before_date, date in itertools.pairwise(dates):
        before = snapshots[snapshots["snapshot_date"] == before_date]
        after = snapshots[snapshots["snapshot_date"] == date]
        days = (date - before_date).days
        pairs = after.merge(
            before, on="customer_id", how="left", suffixes=("", "_before")
        )
        aged = before.assign(
            recency_days=before["recency_days"] + days,
            tenure_days=before["tenure_days"] + days,
        )[before["cluster"].notna()]
        by_age = dict(zip(aged["customer_id"], model.place(aged), strict=True))
        for row in pairs.to_dict("records"):
            start, end = row["cluster_before"], row["cluster"]
            start = None if pd.isna(start) else start
            end = None if pd.isna(end) else end
            if start == end:
                cause = None
            elif start is None:
                cause = "new"
            elif end is None:
                cause = "returned"
            elif row["last_purchase_at"].date() >= before_date:
                cause = "bought"
            elif by_age[row["customer_id"]] == end:
                cause = "aged"
            else:
                cause = "returned"
            expected[date, start, end, cause] += 1
            amounts[date, start, end, cause] += row["monetary_value"]
    found = warehouse.rows("select * from marts.rpt_segment_migration")

    def key(row):
        return (
            row["to_date"],
            row["from_cluster_id"],
            row["to_cluster_id"],
            row["cause"],
        )

    assert {key(row): row["customer_count"] for row in found} == dict(expected)
    assert {key(row): row["monetary_value"] for row in found} == dict(amounts)
    assert {"new", "bought", "aged", None} <= {row["cause"] for row in found}


def test_the_change_that_is_told_is_enough_and_less_is_not(warehouse, model, scored):
    customers = scored[scored["is_current"]].reset_index(drop=True)
    ranks = {
        row["cluster_id"]: row["segment_rank"]
        for row in warehouse.rows("select * from marts.dim_segments")
    }
    reasons = {
        row["customer_id"]: row
        for row in warehouse.rows("select * from marts.rpt_segment_reasons")
    }
    assert set(reasons) == set(customers["customer_id"])
    own = model.place(customers).map(ranks)

    def better(measure, values):
        changed = customers.assign(**{measure: values})
        return model.place(changed).map(ranks) < own

    for measure, column in TOLD.items():
        step = abs(MEASURES[measure])
        sign = math.copysign(1, MEASURES[measure])
        values = customers[measure].astype("float64")
        changes = customers["customer_id"].map(
            lambda customer, column=column: reasons[customer][column]
        )
        changes = changes.astype("float64")
        is_told = changes.notna()
        assert better(measure, values + sign * changes.fillna(0))[is_told].all()
        # Every smaller change, in 60 steps and by one step less.
        for share in [*np.linspace(0, 1, 60, endpoint=False), None]:
            less = changes.fillna(0) * share if share is not None else changes - step
            less = (less / step).round().clip(lower=0).fillna(0) * step
            less = less.where(less < changes, 0)
            assert not better(measure, values + sign * less)[is_told].any()
        # Where nothing is told, nothing helps.
        for target in (
            range(1, 400, 3)
            if measure == "recency_days"
            else np.geomspace(1, 1e9 if measure == "monetary_value" else 1e6, 80)
        ):
            reached = (
                values.clip(upper=target) if sign < 0 else values.clip(lower=target)
            )
            reached = (
                reached.round(2) if measure == "monetary_value" else reached.round()
            )
            assert not better(measure, reached)[~is_told].any()


def test_the_smallest_change_is_the_one_that_is_smallest_on_the_model_s_scale(
    warehouse, model, scored
):
    customers = scored[scored["is_current"]].reset_index(drop=True)
    reasons = pd.DataFrame(
        warehouse.rows("select * from marts.rpt_segment_reasons order by customer_id")
    )
    sizes = pd.DataFrame(index=customers.index)
    for measure, column in TOLD.items():
        sign = math.copysign(1, MEASURES[measure])
        changed = customers[measure].astype("float64") + sign * reasons[column].astype(
            "float64"
        )
        is_told = changed.notna()
        there = model.scale(customers.assign(**{measure: changed})[is_told])
        here = model.scale(customers[is_told])
        sizes.loc[is_told, measure] = np.abs(there - here).max(axis=1)

    is_any = sizes.notna().any(axis=1)
    assert (reasons["smallest_change"].notna() == is_any).all()
    chosen = [
        sizes.loc[position, measure]
        for position, measure in reasons["smallest_change"][is_any].items()
    ]
    assert np.allclose(chosen, sizes[is_any].min(axis=1), atol=1e-6)


def test_the_rules_say_what_they_do(warehouse, scored):
    customers = scored[scored["is_current"]].set_index("customer_id")
    rules = warehouse.rows("select * from marts.rpt_segment_rules")
    reasons = warehouse.rows("select * from marts.rpt_segment_reasons")
    measures = [name[: -len("_above")] for name in rules[0] if name.endswith("_above")]

    right = 0
    for reason in reasons:
        customer = customers.loc[reason["customer_id"]]
        fitting = [
            rule
            for rule in rules
            if all(
                (
                    rule[f"{name}_above"] is None
                    or customer[name] > rule[f"{name}_above"]
                )
                and (
                    rule[f"{name}_up_to"] is None
                    or customer[name] <= rule[f"{name}_up_to"]
                )
                for name in measures
            )
        ]
        assert [rule["rule_number"] for rule in fitting] == [reason["rule_number"]]
        assert reason["is_rule_right"] == (
            fitting[0]["cluster_id"] == reason["cluster_id"]
        )
        right += reason["is_rule_right"]
    assert right / len(reasons) == pytest.approx(rules[0]["fidelity"])
    assert rules[0]["fidelity"] > 0.8
