"""K-Means on RFM features: numbered, measured and repeatable, whoever buys."""

import hashlib
import os
import subprocess
import sys
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from retail_segments.clustering import (
    SILHOUETTE_SAMPLE,
    assign_clusters,
    scale_features,
    score_clusters,
)
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)

FEATURES = ["recency_days", "frequency", "monetary_value"]
LABELS = ["cluster_id", "runner_up_cluster_id"]

customer_tables = st.lists(
    st.tuples(
        st.integers(1, 400),
        st.integers(1, 40),
        st.integers(1, 2_000_000).map(lambda pennies: pennies / 100),
    ),
    min_size=6,
    max_size=40,
).map(
    lambda rows: pd.DataFrame(rows, columns=FEATURES).assign(
        customer_id=[f"{number:05}" for number in range(len(rows))]
    )
)


def assign(customers, **settings):
    defaults = {
        "key": "customer_id",
        "features": FEATURES,
        "value": "monetary_value",
        "as_of": "2011-12-10",
        "n_clusters": 3,
        "n_init": 3,
    }
    return assign_clusters(customers, **{**defaults, **settings})


def scale_by_hand(customers, features, transform):
    values = customers[features].to_numpy(dtype="float64")
    if transform == "log1p":
        values = np.log1p(values)
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread == 0, 1, spread)


def make_groups(sizes, seed=7):
    """Make customers in groups that lie far apart."""
    random = np.random.default_rng(seed)
    centres = [(10, 30, 9_000), (40, 8, 1_200), (120, 3, 300), (300, 1, 60)]
    rows = [
        np.array(centre) * random.uniform(0.97, 1.03, 3)
        for centre, size in zip(centres, sizes, strict=True)
        for _ in range(size)
    ]
    customers = pd.DataFrame(rows, columns=FEATURES)
    customers["customer_id"] = [f"{number:05}" for number in range(len(rows))]
    customers["group"] = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    return customers


@settings(max_examples=60)
@given(customers=customer_tables, transform=st.sampled_from(["log1p", "none"]))
def test_features_are_scaled_as_numpy_scales_them(customers, transform):
    scaled = scale_features(customers, features=FEATURES, transform=transform)

    expected = scale_by_hand(customers, FEATURES, transform)

    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1e-9)


def test_a_constant_feature_is_all_zero():
    customers = pd.DataFrame({"frequency": [3, 3, 3]})

    scaled = scale_features(customers, features=["frequency"], transform="log1p")

    assert scaled.tolist() == [[0.0], [0.0], [0.0]]


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -1.0])
def test_values_that_cannot_be_scaled_are_counted_in_the_error(bad):
    customers = pd.DataFrame({"frequency": [1.0, 2.0, 3.0], "spent": [bad, 5.0, bad]})

    with pytest.raises(ValueError, match=r"spent \(2 rows\)") as error:
        scale_features(customers, features=["frequency", "spent"], transform="log1p")

    assert "frequency (" not in str(error.value)


@settings(max_examples=60)
@given(customers=customer_tables, transform=st.sampled_from(["log1p", "none"]))
def test_distances_and_runners_up_are_what_numpy_finds(customers, transform):
    labels = assign(customers, transform=transform)
    matrix = scale_by_hand(customers, FEATURES, transform)
    assume(labels["cluster_id"].notna().all())
    own = labels["cluster_id"].to_numpy(dtype="int64")
    centroids = {number: matrix[own == number].mean(axis=0) for number in (1, 2, 3)}
    distances = pd.DataFrame(
        {
            number: np.sqrt(((matrix - centroid) ** 2).sum(axis=1))
            for number, centroid in centroids.items()
        }
    )

    for row, number, runner_up, distance in zip(
        distances.itertuples(index=False, name=None),
        labels["cluster_id"],
        labels["runner_up_cluster_id"],
        labels["distance_to_centroid"],
        strict=True,
    ):
        others = {n: d for n, d in enumerate(row, start=1) if n != number}
        assert distance == pytest.approx(row[number - 1], abs=1e-6)
        assert row[number - 1] <= min(others.values()) + 1e-6
        assert runner_up != number
        assert others[runner_up] == pytest.approx(min(others.values()), abs=1e-6)


@settings(max_examples=60)
@given(customers=customer_tables, n_clusters=st.integers(2, 5))
def test_cluster_one_spends_most(customers, n_clusters):
    labels = assign(customers, n_clusters=n_clusters)
    assume(labels["cluster_id"].notna().all())

    means = np.log1p(customers["monetary_value"]).groupby(labels["cluster_id"]).mean()

    assert means.index.tolist() == list(range(1, n_clusters + 1))
    assert (np.diff(means) <= 1e-9).all()


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_customers_moves_no_one(seed):
    customers = make_groups([12, 25, 40, 30])
    shuffled = customers.sample(frac=1, random_state=seed)

    labels = assign(customers, n_clusters=4).set_index("customer_id")
    again = assign(shuffled, n_clusters=4).set_index("customer_id")

    assert again.index.tolist() == shuffled["customer_id"].tolist()
    pd.testing.assert_frame_equal(again.loc[labels.index, LABELS], labels[LABELS])
    assert labels["cluster_id"].tolist() == customers["group"].tolist()


@settings(max_examples=30)
@given(customers=customer_tables, seed=st.integers(0, 2**32 - 1))
def test_two_runs_give_the_same_bits(customers, seed):
    first = assign(customers, random_state=seed)

    pd.testing.assert_frame_equal(first, assign(customers, random_state=seed))


def test_the_number_of_threads_moves_no_bit():
    program = (
        "import hashlib, numpy as np, pandas as pd\n"
        "from retail_segments.clustering import assign_clusters, score_clusters\n"
        "random = np.random.default_rng(5)\n"
        "customers = pd.DataFrame(random.lognormal(3, 1.5, (4000, 3)),\n"
        "    columns=['recency_days', 'frequency', 'monetary_value'])\n"
        "customers['customer_id'] = [f'{n:05}' for n in range(4000)]\n"
        "settings = dict(features=['recency_days', 'frequency', 'monetary_value'])\n"
        "labels = assign_clusters(customers, key='customer_id', n_clusters=5,\n"
        "    value='monetary_value', as_of='2011-12-10', n_init=3, **settings)\n"
        "scores = score_clusters(customers, labels['cluster_id'], **settings)\n"
        "distances = labels['distance_to_centroid'].map(float.hex)\n"
        "text = labels.to_csv() + distances.str.cat()\n"
        "print(hashlib.sha256(text.encode()).hexdigest(), scores['inertia'].hex())\n"
    )

    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={
                **os.environ,
                "OMP_NUM_THREADS": threads,
                "OPENBLAS_NUM_THREADS": threads,
            },
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for threads in ("1", "4")
    }

    assert len(printed) == 1
    assert len(printed.pop()) > len(hashlib.sha256().hexdigest())


@settings(max_examples=40)
@given(
    values=st.lists(st.sampled_from([1.0, 2.0, 3.0]), min_size=1, max_size=8),
    n_clusters=st.integers(2, 6),
)
def test_fewer_different_customers_than_clusters_are_left_alone(values, n_clusters):
    customers = pd.DataFrame(
        {"customer_id": [str(n) for n in range(len(values))], "spent": values}
    )

    labels = assign(customers, features=["spent"], value="spent", n_clusters=n_clusters)

    assert labels["customer_id"].tolist() == customers["customer_id"].tolist()
    if len(set(values)) < n_clusters:
        assert set(labels["unclustered_reason"]) == {"too_few_customers"}
        for column in (*LABELS, "distance_to_centroid", "model_id"):
            assert labels[column].isna().all()
    else:
        assert labels["unclustered_reason"].isna().all()
        assert set(labels["cluster_id"]) == set(range(1, n_clusters + 1))


def test_both_outcomes_have_the_same_columns():
    customers = make_groups([3, 3, 3, 3])

    clustered = assign(customers)
    unclustered = assign(customers.head(2))

    assert clustered.columns.tolist() == unclustered.columns.tolist()


def test_a_customer_given_twice_is_refused():
    customers = make_groups([3, 3, 3, 3])

    with pytest.raises(ValueError, match="customer_id repeats"):
        assign(pd.concat([customers, customers.head(1)]))


def test_the_model_is_named_by_its_settings_and_its_data():
    customers = make_groups([6, 6, 6, 6])
    changed = customers.assign(frequency=customers["frequency"] + np.eye(24)[0])

    names = [
        assign(customers)["model_id"],
        assign(customers, n_clusters=4)["model_id"],
        assign(customers, random_state=1)["model_id"],
        assign(customers, n_init=4)["model_id"],
        assign(customers, transform="none")["model_id"],
        assign(customers, as_of="2011-12-09")["model_id"],
        assign(customers, features=FEATURES[:2])["model_id"],
        assign(changed)["model_id"],
    ]

    assert all(name.nunique() == 1 for name in names)
    assert len({name.iloc[0] for name in names}) == len(names)
    assert names[0].iloc[0].startswith("kmeans-k3-2011-12-10-")
    assert assign(customers)["model_id"].equals(names[0])


@settings(max_examples=40)
@given(customers=customer_tables, transform=st.sampled_from(["log1p", "none"]))
def test_scores_are_what_scikit_learn_gives(customers, transform):
    labels = assign(customers, transform=transform)["cluster_id"]
    assume(labels.notna().all())
    matrix = scale_by_hand(customers, FEATURES, transform)
    groups = labels.to_numpy(dtype="int64")
    inertia = sum(
        ((matrix[groups == group] - matrix[groups == group].mean(axis=0)) ** 2).sum()
        for group in set(groups)
    )

    scores = score_clusters(customers, labels, features=FEATURES, transform=transform)

    assert scores == pytest.approx(
        {
            "inertia": inertia,
            "silhouette": silhouette_score(matrix, groups),
            "davies_bouldin": davies_bouldin_score(matrix, groups),
            "calinski_harabasz": calinski_harabasz_score(matrix, groups),
        },
        abs=1e-7,
        rel=1e-6,
    )


def test_the_silhouette_of_very_many_customers_is_a_repeatable_sample():
    sizes = [600, 1_500, 4_000, 5_000]
    customers = make_groups(sizes)
    assert len(customers) > SILHOUETTE_SAMPLE

    first, second = (
        score_clusters(customers, customers["group"], features=FEATURES)
        for _ in range(2)
    )

    assert first == second
    matrix = scale_by_hand(customers, FEATURES, "log1p")
    full = silhouette_score(matrix[::4], customers["group"][::4])
    assert first["silhouette"] == pytest.approx(full, abs=0.01)


def test_planted_groups_are_found():
    customers = make_groups([20, 50, 120, 90])

    labels = assign(customers, n_clusters=4, n_init=10)["cluster_id"]

    assert adjusted_rand_score(customers["group"], labels) == 1
    assert Counter(labels) == {1: 20, 2: 50, 3: 120, 4: 90}
