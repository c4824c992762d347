"""Models that outlive builds: fitted, matched, accepted, frozen, whoever buys."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from retail_segments import cluster_models
from retail_segments.cluster_models import (
    COLUMNS,
    ModelSettings,
    NoModelError,
    label_customers,
    update_models,
)
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

FEATURES = ["recency_days", "frequency", "monetary_value"]

customer_tables = st.lists(
    st.tuples(
        st.integers(1, 400),
        st.integers(1, 40),
        st.integers(1, 2_000_000).map(lambda pennies: pennies / 100),
    ),
    min_size=6,
    max_size=40,
).map(lambda rows: pd.DataFrame(rows, columns=FEATURES).pipe(with_ids))


def with_ids(customers, first=0):
    ids = [f"{number:05}" for number in range(first, first + len(customers))]
    return customers.assign(customer_id=ids)


def make_groups(sizes, seed=7, stretch=1.0):
    """Make customers in groups that lie far apart."""
    random = np.random.default_rng(seed)
    centres = [(10, 30, 9_000), (40, 8, 1_200), (120, 3, 300), (300, 1, 60)]
    rows = [
        np.array(centre) * stretch * random.uniform(0.97, 1.03, 3)
        for centre, size in zip(centres, sizes, strict=True)
        for _ in range(size)
    ]
    customers = pd.DataFrame(rows, columns=FEATURES).pipe(with_ids)
    return customers.assign(group=np.repeat(np.arange(1, len(sizes) + 1), sizes))


def wishes(**changes):
    defaults = {
        "mode": "refit",
        "features": FEATURES,
        "transform": "log1p",
        "cluster_count": "auto",
        "purchase_basis": "net",
        "n_init": 3,
    }
    return ModelSettings(**{**defaults, **changes})


def update(models, customers, *, as_of="2011-12-10", n_clusters=3, **changes):
    return update_models(
        models,
        customers,
        key="customer_id",
        as_of=as_of,
        settings=wishes(**changes),
        n_clusters=n_clusters,
        metrics={"silhouette": 0.5},
    )


def labels_of(models, customers):
    return label_customers(models, customers, key="customer_id")["cluster_id"]


def current(models):
    return models[models["is_current"]]


def clusters_of(models, model_id):
    return (
        models[models["model_id"] == model_id]
        .drop_duplicates("cluster_id")
        .set_index("cluster_id")
    )


def log_scaled(customers, by=None):
    logged = np.log1p(customers[FEATURES].to_numpy(dtype="float64"))
    by = logged if by is None else np.log1p(by[FEATURES].to_numpy(dtype="float64"))
    spread = by.std(axis=0)
    return (logged - by.mean(axis=0)) / np.where(spread == 0, 1, spread)


@settings(max_examples=30)
@given(customers=customer_tables)
def test_the_model_is_what_scikit_learn_fits(customers):
    assume(len(np.unique(log_scaled(customers), axis=0)) >= 6)
    models = update(None, customers)
    matrix = log_scaled(customers)
    kmeans = KMeans(3, n_init=3, random_state=42).fit(matrix)

    labels = labels_of(models, customers)

    assert adjusted_rand_score(kmeans.labels_, labels) == 1
    sizes = clusters_of(models, models["model_id"].iloc[0])["cluster_size"]
    assert sizes.to_dict() == labels.value_counts().to_dict()
    for row in models.itertuples():
        position = FEATURES.index(row.feature)
        members = matrix[labels.to_numpy() == row.cluster_id]
        assert row.centroid_z == pytest.approx(members[:, position].mean(), abs=1e-6)
        in_units = np.expm1(row.centroid_z * row.feature_deviation + row.feature_mean)
        assert row.centroid_value == pytest.approx(in_units, rel=1e-9)
        assert row.recency_z == pytest.approx(members[:, 0].mean(), abs=1e-6)
        value = (members[:, 1].mean() + members[:, 2].mean()) / 2
        assert row.name_value_z == pytest.approx(value, abs=1e-6)


@settings(max_examples=30)
@given(customers=customer_tables, n_clusters=st.integers(2, 5))
def test_cluster_one_spends_most(customers, n_clusters):
    assume(len(np.unique(log_scaled(customers), axis=0)) >= n_clusters)
    labels = labels_of(update(None, customers, n_clusters=n_clusters), customers)

    means = np.log1p(customers["monetary_value"]).groupby(labels.to_numpy()).mean()

    assert means.index.tolist() == list(range(1, len(means) + 1))
    assert (np.diff(means) <= 1e-9).all()


def test_ten_seeds_that_agree_on_the_partition_give_the_same_numbers():
    customers = make_groups([12, 25, 40, 30])

    numbered = {
        tuple(
            labels_of(update(None, customers, n_clusters=4, random_state=s), customers)
        )
        for s in range(10)
    }

    assert numbered == {tuple(customers["group"])}


@settings(max_examples=15)
@given(customers=customer_tables, seed=st.integers(0, 2**32 - 1))
def test_a_second_run_is_the_first_and_a_refit_on_the_same_data_adds_nothing(
    customers, seed
):
    assume(len(np.unique(log_scaled(customers), axis=0)) >= 3)
    first = update(None, customers, random_state=seed)

    pd.testing.assert_frame_equal(first, update(None, customers, random_state=seed))
    pd.testing.assert_frame_equal(first, update(first, customers, random_state=seed))
    assert list(first.columns) == list(COLUMNS)


def test_the_number_of_threads_moves_no_bit():
    program = (
        "import hashlib, numpy as np, pandas as pd\n"
        "from retail_segments.cluster_models import ModelSettings, update_models\n"
        "features = ['recency_days', 'frequency', 'monetary_value']\n"
        "random = np.random.default_rng(5)\n"
        "customers = pd.DataFrame(random.lognormal(3, 1.5, (4000, 3)),\n"
        "    columns=features)\n"
        "customers['customer_id'] = [f'{n:05}' for n in range(4000)]\n"
        "settings = ModelSettings(mode='refit', features=features, n_init=3,\n"
        "    transform='log1p', cluster_count='5', purchase_basis='net')\n"
        "models = update_models(None, customers, key='customer_id', n_clusters=5,\n"
        "    as_of='2011-12-10', settings=settings, metrics={})\n"
        "text = models.to_csv() + models['centroid_z'].map(float.hex).str.cat()\n"
        "print(hashlib.sha256(text.encode()).hexdigest())\n"
    )

    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OMP_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n in ("1", "4")
    }

    assert len(printed) == 1


def test_the_model_is_named_by_its_settings_and_its_data():
    customers = make_groups([6, 6, 6, 6])
    changed = customers.assign(frequency=customers["frequency"] + np.eye(24)[0])

    names = [
        update(None, customers)["model_id"],
        update(None, customers, n_clusters=4)["model_id"],
        update(None, customers, random_state=1)["model_id"],
        update(None, customers, n_init=4)["model_id"],
        update(None, customers, transform="none")["model_id"],
        update(None, customers, as_of="2011-12-09")["model_id"],
        update(None, customers, features=FEATURES[:2])["model_id"],
        update(None, changed)["model_id"],
    ]

    assert all(name.nunique() == 1 for name in names)
    assert len({name.iloc[0] for name in names}) == len(names)
    assert names[0].iloc[0].startswith("kmeans-k3-2011-12-10-")


@settings(max_examples=25)
@given(before=customer_tables, seed=st.integers(0, 1000), n_after=st.integers(2, 4))
def test_clusters_keep_the_numbers_of_the_nearest_in_the_last_scale(
    before, seed, n_after
):
    random = np.random.default_rng(seed)
    factors = random.uniform(0.5, 2, before[FEATURES].shape)
    after = before.assign(
        **{name: before[name] * factors[:, n] for n, name in enumerate(FEATURES)}
    )
    for customers in (before, after):
        assume(len(np.unique(log_scaled(customers), axis=0)) >= 4)
    models = update(None, before, as_of="2011-11-01")
    fresh = labels_of(update(None, after, n_clusters=n_after), after).to_numpy()

    both = update(models, after, n_clusters=n_after, drift_limit=1.0)

    kept = labels_of(both, after).to_numpy()
    assert adjusted_rand_score(fresh, kept) == 1
    in_last_scale = log_scaled(after, by=before)
    old = (
        models.pivot(index="cluster_id", columns="feature", values="centroid_z")
        .loc[:, FEATURES]
        .to_numpy()
    )
    new = {n: in_last_scale[kept == n].mean(axis=0) for n in sorted(set(kept))}
    assert len(new) == n_after
    matched = [number for number in new if number <= 3]
    cost = sum(((new[n] - old[n - 1]) ** 2).sum() for n in matched)
    best = min(
        sum(((a - b) ** 2).sum() for a, b in zip(chosen, places, strict=True))
        for chosen in itertools.permutations(new.values(), len(matched))
        for places in itertools.combinations(old, len(matched))
    )
    assert len(matched) == min(3, n_after)
    assert cost == pytest.approx(best)
    assert sorted(set(new) - set(matched)) == list(range(4, 4 + max(0, n_after - 3)))


def test_who_moves_is_counted_on_the_same_customers():
    before, after = make_groups([9, 20, 30, 20]), make_groups([9, 20, 30, 20], seed=8)
    after.loc[after["group"] == 4, FEATURES] = [40.0, 8.0, 1200.0]
    models = update(None, before, as_of="2011-11-01", n_clusters=4)

    both = update(models, after, n_clusters=4, drift_limit=1.0)

    frozen = labels_of(models, after).to_numpy()
    moved = (frozen != labels_of(both, after).to_numpy()).mean()
    assert current(both)["moved_share"].iloc[0] == moved
    assert 0 < moved < 1
    assert current(both)["previous_model_id"].iloc[0] == models["model_id"].iloc[0]


def drifted():
    """Fit a model, and let customers change so that it no longer fits them."""
    before = make_groups([9, 20, 30, 20])
    mixed = {
        feature: before[feature].sample(frac=1, random_state=seed).to_numpy()
        for seed, feature in enumerate(FEATURES)
    }
    models = update(None, before, as_of="2011-11-01", n_clusters=4)
    return models, before.assign(**mixed)


def test_a_refit_that_moves_too_many_waits_and_the_last_model_stays():
    models, after = drifted()

    waiting = update(models, after, n_clusters=4, drift_limit=0.1)

    last = models["model_id"].iloc[0]
    newest = waiting[waiting["model_id"] != last]
    assert newest["moved_share"].iloc[0] > 0.1
    assert not newest["is_accepted"].any()
    assert set(current(waiting)["model_id"]) == {last}
    again = update(waiting, after, n_clusters=4, drift_limit=0.1)
    pd.testing.assert_frame_equal(again, waiting)
    accepted = update(
        waiting, after, n_clusters=4, drift_limit=0.1, is_drift_accepted=True
    )
    assert set(current(accepted)["model_id"]) == set(newest["model_id"])
    assert len(accepted) == len(waiting)
    kept = update(waiting, after, n_clusters=4, mode="frozen")
    assert set(current(kept)["model_id"]) == {last}


def test_what_was_asked_for_is_no_drift():
    models, after = drifted()

    asked = update(models, after, n_clusters=4, drift_limit=0.1, cluster_count="4")

    assert current(asked)["moved_share"].iloc[0] > 0.1
    assert set(current(asked)["model_version"]) == {2}


def test_the_model_of_another_shop_is_left_alone():
    models, after = drifted()
    strangers = with_ids(after, first=90_000)

    both = update(models, strangers, n_clusters=4, drift_limit=0.1)

    assert current(both)["previous_model_id"].isna().all()
    assert current(both)["moved_share"].isna().all()
    assert (
        labels_of(both, strangers).tolist()
        == labels_of(update(None, strangers, n_clusters=4), strangers).tolist()
    )


def test_a_model_of_a_later_day_is_not_known_yet():
    models, after = drifted()

    both = update(models, after, n_clusters=4, as_of="2011-10-01")

    assert set(current(both)["as_of_date"]) == {pd.Timestamp("2011-10-01")}
    assert current(both)["previous_model_id"].isna().all()
    frozen = update(both, after, as_of="2011-11-02", mode="frozen")
    assert set(current(frozen)["model_id"]) == set(models["model_id"])


@pytest.mark.parametrize(("shift", "is_kept"), [(0.7, True), (0.8, False)])
def test_a_name_keeps_its_place_until_the_cluster_has_moved_further(shift, is_kept):
    customers = make_groups([9, 20, 30, 20])
    models = update(None, customers, as_of="2011-11-01", n_clusters=4)
    places = ["name_recency_z", "name_value_z"]
    moved = models.assign(name_recency_z=models["name_recency_z"] + shift)
    changed = customers.assign(frequency=customers["frequency"] * 1.001)

    both = update(moved, changed, n_clusters=4)

    before = clusters_of(moved, models["model_id"].iloc[0])[places]
    after = clusters_of(both, current(both)["model_id"].iloc[0])[places]
    assert (after == before).all(axis=None) == is_kept
    assert (np.abs(after - before) < 1e-2).all(axis=None) == is_kept


def test_frozen_fits_nothing(monkeypatch):
    models, after = drifted()
    monkeypatch.setattr(cluster_models, "_fit", None)

    frozen = update(models, after, mode="frozen", n_clusters=None)

    pd.testing.assert_frame_equal(frozen, models)
    assert labels_of(frozen, after).notna().all()


def test_frozen_without_a_model_says_what_to_do():
    customers = make_groups([3, 3, 3, 3])

    with pytest.raises(NoModelError, match="build once with cluster_model: refit"):
        update(None, customers, mode="frozen")


def test_without_a_choice_there_is_no_model_or_the_last_one():
    models, after = drifted()

    assert update(None, after, n_clusters=None).empty
    assert list(update(None, after, n_clusters=None).columns) == list(COLUMNS)
    pd.testing.assert_frame_equal(update(models, after, n_clusters=None), models)
    nobody = labels_of(update(None, after, n_clusters=None), after)
    assert nobody.empty


def test_a_table_of_an_older_version_still_serves():
    models, after = drifted()
    older = models.drop(columns=["library_versions"])

    again = update(older, after, mode="frozen")

    assert labels_of(again, after).tolist() == labels_of(models, after).tolist()


def test_one_enormous_customer_breaks_nothing():
    customers = make_groups([3, 3, 3, 3])
    customers.loc[0, "monetary_value"] = 1e15

    models = update(None, customers, n_clusters=4, transform="none")

    assert set(labels_of(models, customers)) == set(current(models)["cluster_id"])
    assert models[["centroid_z", "recency_z", "name_value_z"]].notna().all(axis=None)


def test_a_customer_given_twice_is_refused():
    customers = make_groups([3, 3, 3, 3])

    with pytest.raises(ValueError, match="customer_id repeats"):
        update(None, pd.concat([customers, customers.head(1)]))


def test_a_number_never_comes_back_with_another_meaning():
    customers = make_groups([20, 20, 20, 20])
    models, used, last = None, set(), set()

    for month, n_clusters in enumerate((4, 2, 4, 3, 5), start=1):
        models = update(
            models,
            customers.assign(frequency=customers["frequency"] + month),
            as_of=f"2011-{month:02}-01",
            n_clusters=n_clusters,
            drift_limit=1.0,
        )
        numbers = set(current(models)["cluster_id"])
        assert not (numbers - last) & used
        used, last = used | numbers, numbers

    assert len(used) > 5
