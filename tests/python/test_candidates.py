"""Numbers of clusters compared: each measure by other means, whoever buys."""

import json
import os
import subprocess
import sys
import warnings
from collections import defaultdict
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from conftest import run_dbt, write_landing
from hypothesis import given, settings
from hypothesis import strategies as st
from retail_segments import candidates, measures, memory
from retail_segments.candidates import COLUMNS, TYPES, compare_candidates
from retail_segments.clustering import scale_features
from retail_segments.measures import (
    compare_partitions,
    draw_references,
    find_knee,
    measure_dispersion,
    measure_gap,
    measure_silhouettes,
    measure_stability,
)
from retail_segments.memory import keep, recall
from retail_segments.partitions import ALGORITHMS, partition, take_all
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    calinski_harabasz_score,
    davies_bouldin_score,
    silhouette_score,
)

FEATURES = ["recency_days", "frequency", "monetary_value"]
REASONS = {
    "too_few_different_customers",
    "clusters_collapsed",
    "fit_failed",
    "no_clusters_found",
}
# Figures of REFERENCE.md, worked out apart from this project on textbook features.
TEXTBOOK_JACCARD = {3: 0.933, 4: 0.865, 5: 0.835, 6: 0.762}
TEXTBOOK_SILHOUETTE = {4: 0.337, 5: 0.316}
TEXTBOOK_SMALLEST = {4: 716, 5: 343}

labelled = st.lists(
    st.tuples(st.integers(-1, 3), st.integers(-1, 3)), min_size=2, max_size=30
).map(lambda pairs: np.array(pairs, dtype="int64").T)


def make_customers(count, seed=5, groups=None):
    """Make customers of lognormal figures, in groups far apart if told how many."""
    random = np.random.default_rng(seed)
    values = random.lognormal(3, 1.2, (count, 3))
    if groups:
        group = np.arange(count) % groups
        values = np.exp(
            random.normal(0, 0.05, (count, 3)) + np.outer(group, [1.5, 2.5, 3])
        )
    return pd.DataFrame(values, columns=FEATURES).assign(
        customer_id=[f"{number:07}" for number in range(count)]
    )


def compare(customers, **given_settings):
    return compare_candidates(
        customers, **{"key": "customer_id", "features": FEATURES, **given_settings}
    )


def fit(algorithm, matrix, counts, n_init=3, random_state=42):
    return partition(
        algorithm,
        take_all(matrix),
        counts,
        n_init=n_init,
        smallest_share=0.03,
        random_state=random_state,
    )


def by_row(table):
    return table.set_index(["algorithm", "k"])


@pytest.fixture(scope="module")
def mixed():
    """Compare on 400 customers without groups."""
    customers = make_customers(400)
    matrix = scale_features(customers, features=FEATURES, transform="log1p")
    return customers, matrix, compare(customers, largest_k=6)


@settings(max_examples=200)
@given(pair=labelled)
def test_partitions_are_compared_as_sets_are(pair):
    first, second = pair
    sets = [defaultdict(set), defaultdict(set)]
    for labels, found in zip(pair, sets, strict=True):
        for customer, label in enumerate(labels):
            if label >= 0:
                found[label].add(customer)
    expected = [
        max(
            (len(own & other) / len(own | other) for other in sets[1].values()),
            default=0,
        )
        if (own := sets[0].get(label))
        else np.nan
        for label in range(first.max() + 1)
    ]

    index, similarities = compare_partitions(first, second)

    np.testing.assert_allclose(similarities, expected, rtol=0, atol=1e-12)
    assert index == pytest.approx(adjusted_rand_score(first, second), abs=1e-12)


@settings(max_examples=40)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 3)),
        min_size=4,
        max_size=40,
    )
)
def test_dispersion_and_silhouette_are_what_scikit_learn_gives(rows):
    table = np.array(rows, dtype="float64")
    matrix = table[:, :2] / 7
    labels = np.unique(table[:, 2], return_inverse=True)[1].astype("int64")
    is_defined = 2 <= len(set(labels)) < len(labels)

    scores = measure_dispersion(matrix, labels)
    [silhouette, of_one] = measure_silhouettes(matrix, [labels, labels * 0])

    assert np.isnan(of_one)
    inertia = sum(
        ((matrix[labels == label] - matrix[labels == label].mean(axis=0)) ** 2).sum()
        for label in set(labels)
    )
    assert scores["inertia"] == pytest.approx(inertia, abs=1e-9)
    if is_defined:
        expected = [
            silhouette_score(matrix, labels),
            davies_bouldin_score(matrix, labels),
            calinski_harabasz_score(matrix, labels),
        ]
        found = [silhouette, scores["davies_bouldin"], scores["calinski_harabasz"]]
        # scikit-learn puts equal customers up to 1e-8 apart.
        assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)
    else:
        assert np.isnan([silhouette, *list(scores.values())[1:]]).all()


def test_silhouettes_by_blocks_are_those_of_all_at_once(monkeypatch):
    matrix = np.random.default_rng(3).normal(size=(157, 3))
    labels = np.arange(157) % 5
    noisy = np.where(np.arange(157) % 11 == 0, -1, labels)
    inside = noisy >= 0
    monkeypatch.setattr(measures, "BLOCK_SIZE", 10)

    found = measure_silhouettes(matrix, [labels, noisy])

    assert found == pytest.approx(
        [
            silhouette_score(matrix, labels),
            silhouette_score(matrix[inside], labels[inside]),
        ],
        abs=1e-12,
    )


def test_each_row_holds_the_measures_of_its_partition(mixed):
    _, matrix, table = mixed
    rows = by_row(table)

    assert table["unfit_reason"].isna().all()
    for name in ALGORITHMS:
        if name == "hdbscan":
            continue
        found = fit(name, matrix, range(2, 7), n_init=10)
        for k, labels in found.items():
            row = rows.loc[(name, k)]
            assert row["silhouette"] == pytest.approx(silhouette_score(matrix, labels))
            assert row["davies_bouldin"] == pytest.approx(
                davies_bouldin_score(matrix, labels)
            )
            assert row["smallest_share"] == np.bincount(labels).min() / 400
            assert len(set(labels)) == k == row["cluster_count"]
            inertia = pd.DataFrame(matrix).groupby(labels).var(ddof=0)
            inertia = inertia.sum(axis=1) @ np.bincount(labels)
            assert row["inertia"] == pytest.approx(inertia)


def test_ward_cuts_are_those_of_scikit_learn():
    from sklearn.cluster import AgglomerativeClustering

    matrix = np.random.default_rng(1).normal(size=(300, 3))

    for k, labels in fit("ward", matrix, range(2, 11)).items():
        expected = AgglomerativeClustering(n_clusters=k).fit_predict(matrix)
        assert adjusted_rand_score(expected, labels) == 1


def test_ward_cuts_ties_into_as_many_clusters_as_asked_for():
    matrix = np.array([[float(x), float(y)] for x in range(4) for y in range(4)])

    found = fit("ward", matrix, range(2, 11))

    assert {k: len(set(labels)) for k, labels in found.items()} == {
        k: k for k in range(2, 11)
    }


def test_stability_of_kmeans_is_that_of_plain_bootstraps(mixed):
    """The loop that a textbook would write, with sets, on the same draws."""
    customers, matrix, table = mixed
    count, k = len(customers), 4
    draws = np.random.default_rng(42).integers(0, count, (70, count))
    labels = KMeans(k, n_init=10, random_state=42).fit_predict(matrix)
    similarities, indices = defaultdict(list), []

    for draw in draws:
        weights = np.bincount(draw, minlength=count)
        drawn = np.flatnonzero(weights)
        again = KMeans(k, n_init=3, random_state=42).fit(
            matrix[drawn], sample_weight=weights[drawn].astype("float64")
        )
        others = [set(drawn[again.labels_ == number]) for number in range(k)]
        for number in range(k):
            own = set(np.flatnonzero(labels == number)) & set(drawn)
            similarities[number].append(
                max(len(own & other) / len(own | other) for other in others)
            )
        indices.append(adjusted_rand_score(labels[drawn], again.labels_))

    row = by_row(table).loc[("kmeans", k)]
    worst = min(similarities.values(), key=np.mean)
    assert row["smallest_jaccard"] == pytest.approx(np.mean(worst))
    assert row["jaccard_standard_error"] == pytest.approx(np.std(worst) / np.sqrt(70))
    assert row["bootstrap_ari"] == pytest.approx(np.median(indices))
    assert (row["bootstrap_count"], row["stability_sample_size"]) == (70, 400)


def test_a_cluster_that_no_sample_draws_is_not_stable():
    labels = np.array([0, 0, 1])
    drawn = [np.array([0, 1])]

    scores = measure_stability(labels, drawn, lambda _: np.array([0, 0]))

    assert scores["smallest_jaccard"] == 0


def test_the_gap_is_what_its_definition_says(mixed):
    _, matrix, table = mixed
    k = 3
    references = draw_references(matrix, 10, 42)

    def log_dispersion(data):
        labels = KMeans(k, n_init=3, random_state=42).fit_predict(data)
        # Tibshirani et al.: half the mean of squared distances between all pairs.
        total = 0.0
        for label in range(k):
            group = data[labels == label]
            pairs = ((group[:, np.newaxis] - group[np.newaxis]) ** 2).sum()
            total += pairs / (2 * len(group))
        return np.log(total)

    logarithms = [log_dispersion(reference) for reference in references]
    row = by_row(table).loc[("kmeans", k)]
    assert row["gap"] == pytest.approx(np.mean(logarithms) - log_dispersion(matrix))
    assert row["gap_standard_error"] == pytest.approx(
        np.std(logarithms) * np.sqrt(1 + 1 / 10)
    )
    assert (row["gap_sample_size"], row["reference_count"]) == (400, 10)


def test_references_fill_the_box_of_the_principal_components():
    random = np.random.default_rng(8)
    matrix = random.normal(size=(500, 2)) * [3, 0.1] @ np.array([[1, 1], [-1, 1]])
    middle = matrix.mean(axis=0)
    values, vectors = np.linalg.eigh(np.cov((matrix - middle).T))
    box = (matrix - middle) @ vectors

    turned = (np.vstack(draw_references(matrix, 20, 1)) - middle) @ vectors

    assert (turned.min(axis=0) >= box.min(axis=0) - 1e-9).all()
    assert (turned.max(axis=0) <= box.max(axis=0) + 1e-9).all()
    np.testing.assert_allclose(np.ptp(turned, axis=0), np.ptp(box, axis=0), rtol=0.01)
    assert values[0] < values[1]


def test_a_gap_of_nothing_is_not_a_number():
    assert np.isnan(measure_gap(0.0, [1.0])).all()
    assert np.isnan(measure_gap(1.0, [1.0, 0.0])).all()
    assert np.isnan(measure_gap(1.0, [])).all()


def test_the_knee_is_where_a_known_curve_bends():
    bent = pd.Series([100.0, 60, 30, 27, 24, 21], index=range(2, 8))

    assert find_knee(bent) == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert find_knee(pd.Series([5.0, 4, 3, 2, 1], index=range(2, 7))) is None
        assert find_knee(pd.Series([1.0, 1.0, 1.0], index=[2, 3, 4])) is None
        assert find_knee(bent.head(2)) is None


def test_each_algorithm_has_at_most_one_knee(mixed):
    _, _, table = mixed
    knees = table[table["is_knee"]].set_index("algorithm")["k"]
    rows = by_row(table)

    assert knees.index.is_unique
    assert "hdbscan" not in knees
    for name in ("kmeans", "ward"):
        expected = find_knee(rows.loc[name, "inertia"].astype("float64"))
        assert knees.get(name) == expected


def test_groups_far_apart_are_found_by_every_algorithm():
    customers = make_customers(600, groups=3)

    table = compare(customers, largest_k=4)

    rows = table[table["k"] == 3].set_index("algorithm")
    assert set(rows.index) == set(ALGORITHMS)
    assert (rows["smallest_jaccard"] > 0.99).all()
    assert (rows["bootstrap_ari"] > 0.99).all()
    assert (rows["silhouette"] > 0.8).all()
    assert rows.loc["kmeans", "smallest_share"] == pytest.approx(1 / 3)
    gaps = table[table["algorithm"] == "kmeans"].set_index("k")["gap"]
    assert gaps.idxmax() == 3


def test_the_order_of_customers_is_asked_for():
    customers = make_customers(40)

    with pytest.raises(ValueError, match="customer_id is not sorted or repeats"):
        compare(customers.iloc[::-1])
    with pytest.raises(ValueError, match="customer_id is not sorted or repeats"):
        compare(customers.iloc[[0, 0, 1]])


def test_the_order_of_customers_moves_no_partition():
    customers = make_customers(300, groups=3)
    shuffled = customers.sample(frac=1, random_state=1)
    renamed = shuffled.assign(customer_id=sorted(customers["customer_id"]))

    columns = ["inertia", "silhouette", "smallest_share", "cluster_count"]
    first, second = (
        by_row(compare(rows, largest_k=3))[columns].xs(3, level="k")
        for rows in (customers, renamed)
    )

    pd.testing.assert_frame_equal(first, second, check_exact=False, rtol=1e-9)


def test_two_runs_give_the_same_bits_whatever_the_threads():
    program = (
        "import hashlib, sys\n"
        "sys.path.insert(0, sys.argv[1])\n"
        "from test_candidates import compare, make_customers\n"
        "table = compare(make_customers(700), largest_k=3)\n"
        "table = table.drop(columns='fit_seconds')\n"
        "text = table.map(lambda x: x.hex() if isinstance(x, float) else str(x))\n"
        "print(hashlib.sha256(text.to_csv().encode()).hexdigest())\n"
    )

    printed = [
        subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parent)],
            env={
                **os.environ,
                "OMP_NUM_THREADS": threads,
                "OPENBLAS_NUM_THREADS": threads,
                "PYTHONHASHSEED": seed,
            },
            capture_output=True,
            text=True,
            check=True,
        )
        for threads, seed in (("1", "1"), ("4", "2"))
    ]

    assert printed[0].stdout == printed[1].stdout
    assert len(printed[0].stdout) == 65
    assert printed[0].stderr == ""


thin_values = st.one_of(
    st.just(0.0),
    st.just(1.0),
    st.just(1e12),
    st.floats(0, 1e6, allow_subnormal=False),
)


@settings(max_examples=40)
@given(
    rows=st.one_of(
        st.lists(st.tuples(thin_values, st.just(3.0)), max_size=14),
        st.lists(st.tuples(thin_values, thin_values), max_size=14),
        st.lists(st.sampled_from([(1.0, 2.0), (5.0, 2.0), (7.0, 9.0)]), max_size=60),
    ),
    transform=st.sampled_from(["log1p", "none"]),
)
def test_thin_data_give_measures_or_a_reason(rows, transform):
    customers = pd.DataFrame(rows, columns=["spent", "bought"], dtype="float64")
    customers["customer_id"] = [f"{number:03}" for number in range(len(rows))]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        table = compare_candidates(
            customers,
            key="customer_id",
            features=["spent", "bought"],
            transform=transform,
            largest_k=5,
        )

    assert table.columns.tolist() == COLUMNS
    assert len(table) == 4 * 4 + 1
    assert not table.duplicated(["algorithm", "k"]).any()
    fitted = table["unfit_reason"].isna()
    assert set(table.loc[~fitted, "unfit_reason"]) <= REASONS
    assert (
        table.loc[fitted, ["inertia", "smallest_share", "smallest_jaccard"]]
        .notna()
        .all(axis=None)
    )
    assert (
        table.loc[~fitted, ["inertia", "silhouette", "smallest_jaccard"]]
        .isna()
        .all(axis=None)
    )
    different = table["different_count"]
    few = (table["algorithm"] != "hdbscan") & (table["k"] > different)
    assert (table.loc[few, "unfit_reason"] == "too_few_different_customers").all()
    figures = table.select_dtypes("Float64").astype("float64")
    assert not np.isinf(figures).any(axis=None)


def test_an_outlier_is_a_cluster_of_its_own_and_says_so():
    customers = make_customers(200)
    customers.loc[0, FEATURES] = 1e12

    table = by_row(compare(customers, transform="none", largest_k=3))

    assert table.loc[("kmeans", 2), "smallest_share"] == 1 / 200
    assert table.loc[("kmeans", 2), "cluster_count"] == 2


def test_of_many_customers_samples_are_used_and_stated(monkeypatch):
    monkeypatch.setattr(candidates, "FIT_SIZE", 3_000)
    monkeypatch.setattr(candidates, "PAIRS_SIZE", 600)
    seen = defaultdict(set)

    def note(name, sample, counts, **rest):
        seen[name].add(len(sample.matrix))
        return partition(name, sample, counts, **rest)

    monkeypatch.setattr("retail_segments.partitions.partition", note)
    table = compare(make_customers(30_000), largest_k=3)

    assert set(table["customer_count"]) == {30_000}
    assert set(table["silhouette_sample_size"].dropna()) == {600}
    stated = table.groupby("algorithm")[
        ["fit_sample_size", "stability_sample_size", "gap_sample_size"]
    ].max()
    assert stated.loc["kmeans"].tolist() == [3_000, 600, 1_000]
    assert stated.loc["gaussian_mixture"].tolist() == [3_000, 300, 500]
    assert stated.loc["bisecting_kmeans"].tolist() == [3_000, 300, 1_000]
    assert stated.loc["ward"].tolist() == [600, 300, 600]
    assert stated.loc["hdbscan", "fit_sample_size"] == 600
    for name, sizes in seen.items():
        assert max(sizes) == stated.loc[name, "fit_sample_size"]
    shares = by_row(table).loc[("kmeans", 2), "smallest_share"] * 3_000
    assert shares == pytest.approx(round(shares))


def test_what_has_not_changed_is_not_computed_again(monkeypatch):
    customers = make_customers(40)
    first = compare(customers, largest_k=2)

    def refuse(*_):
        raise AssertionError("computed again")

    changed = customers.assign(frequency=customers["frequency"] + np.eye(40)[3])
    renamed = customers.assign(
        customer_id=customers["customer_id"].replace("0000039", "x")
    )
    monkeypatch.setattr(candidates, "_sweep", refuse)
    assert compare(customers, largest_k=2, previous=first) is first
    for other, given_settings in (
        (changed, {}),
        (renamed, {}),
        (customers, {"transform": "none"}),
        (customers, {"random_state": 1}),
        (customers, {"n_init": 3}),
        (customers, {"smallest_share": 0.1}),
        (customers, {"largest_k": 3}),
        (customers, {"features": FEATURES[:2]}),
        (customers, {"previous": first.drop(columns="gap")}),
        (customers, {"previous": None}),
        (customers, {"previous": first.head(0)}),
    ):
        with pytest.raises(AssertionError, match="computed again"):
            compare(other, **{"largest_k": 2, "previous": first, **given_settings})
    monkeypatch.setattr(memory, "version", lambda _: "0")
    with pytest.raises(AssertionError, match="computed again"):
        compare(customers, largest_k=2, previous=first)


def test_a_table_comes_back_from_the_warehouse_as_it_was():
    table = compare(make_customers(40).head(7), largest_k=4)
    assert table.isna().any(axis=None)
    session = duckdb.connect()
    session.register("given_table", table)
    session.execute("create table written as select * from given_table")

    found = recall(session, '"memory"."main"."written"')
    session.execute("create table again as select * from found")

    assert found is not None
    pd.testing.assert_frame_equal(found, table, check_exact=True)
    described = [
        session.sql(f"describe {name}").fetchall() for name in ("written", "again")
    ]
    assert described[0] == described[1]
    kept = session.sql("select * from again except all select * from written")
    assert kept.fetchall() == []


def test_a_frozen_model_that_is_not_there_is_asked_for():
    with pytest.raises(ValueError, match="frozen but no model has been fitted yet"):
        keep(recall(duckdb.connect(), '"main"."absent"'), TYPES)


def test_a_frozen_table_of_an_older_version_gets_the_columns_of_today():
    older = pd.DataFrame({"algorithm": ["kmeans"], "k": [5], "dropped": ["x"]})

    kept = keep(older, TYPES)

    assert list(kept.columns) == COLUMNS
    assert kept["k"].tolist() == [5]
    assert kept["gap"].isna().all()


@pytest.fixture(scope="module")
def textbook(real_textbook):
    """Read the customers of the published figures."""
    return real_textbook.arrow(
        "select customer_id, recency_days, frequency, "
        "cast(monetary_value as double) as monetary_value "
        "from marts.fct_customer_rfm "
        "where is_current and unscored_reason is null order by customer_id"
    ).to_pandas()


@pytest.fixture(scope="module")
def textbook_log1p(textbook):
    return by_row(compare(textbook, largest_k=6))


@pytest.mark.parametrize("k", sorted(TEXTBOOK_JACCARD))
def test_published_stability_is_found(textbook_log1p, k):
    row = textbook_log1p.loc[("kmeans", k)]

    assert row["smallest_jaccard"] == pytest.approx(TEXTBOOK_JACCARD[k], abs=0.03)


@pytest.mark.parametrize("k", sorted(TEXTBOOK_SILHOUETTE))
def test_published_partitions_are_found(textbook_log1p, k):
    row = textbook_log1p.loc[("kmeans", k)]

    # Inertia is flat here: starts end in dozens of partitions within 0.02 % of each
    # other, some fifty customers and 0.004 of silhouette apart.
    assert row["silhouette"] == pytest.approx(TEXTBOOK_SILHOUETTE[k], abs=0.005)
    assert row["smallest_share"] * 4_338 == pytest.approx(
        TEXTBOOK_SMALLEST[k], rel=0.07
    )


def test_the_largest_silhouette_is_refused(real_textbook):
    """On raw features two clusters isolate 26 customers, at silhouette 0.896."""
    [row] = real_textbook.rows(
        "select silhouette, smallest_share, is_chosen, is_rule_choice, reason "
        "from marts.rpt_cluster_candidates where algorithm = 'kmeans' and k = 2"
    )

    assert row["silhouette"] == pytest.approx(0.896, abs=0.001)
    assert row["smallest_share"] == 26 / 4_338
    assert not row["is_chosen"]
    assert not row["is_rule_choice"]
    assert row["reason"].startswith("refused: k = 2 is below the range 3 to 10; ")
    assert "holds 0.6 % of the customers, below 3.0 %" in row["reason"]
    assert "its smallest Jaccard is 0." in row["reason"]


def test_the_published_number_of_clusters_is_chosen_by_the_var(real_textbook):
    rows = real_textbook.rows(
        "select k, reason from marts.rpt_cluster_candidates where is_chosen"
    )

    assert [row["k"] for row in rows] == [4]
    assert rows[0]["reason"].startswith(
        "chosen by the var cluster_count; the rule would"
    )
    assert "below 3.0 %" in rows[0]["reason"]


def test_the_rule_chooses_five_clusters(real_net):
    rows = {
        row["k"]: row
        for row in real_net.rows(
            "select * from marts.rpt_cluster_candidates where algorithm = 'kmeans'"
        )
    }

    assert [k for k, row in rows.items() if row["is_chosen"]] == [5]
    assert rows[5]["reason"].startswith("chosen: the finest stable partition")
    assert "k = 5 is finer and passes too" in rows[4]["reason"]
    assert "its smallest Jaccard is 0." in rows[6]["reason"]
    assert (
        real_net.value("select count(distinct cluster_id) from marts.dim_segments") == 5
    )


def test_a_second_build_computes_nothing_and_a_frozen_one_neither(tmp_path):
    """Fit times are kept, so equal times are those of the first build."""
    lines = [
        {
            "invoice_no": f"{500_000 + number}",
            "stock_code": "22222",
            "quantity": 1 + number % 7,
            "invoice_date": pd.Timestamp("2011-01-03") + pd.Timedelta(days=number),
            "unit_price": 1 + number % 11,
            "customer_id": str(12_346 + number % 40),
        }
        for number in range(120)
    ]
    landing = write_landing(tmp_path / "landing", lines)
    warehouse = tmp_path / "warehouse.duckdb"

    def build(*, expect=0, **variables):
        result = run_dbt(
            [
                "build",
                "--select",
                "+ml_cluster_candidates",
                "--exclude-resource-types",
                "test",
                "unit_test",
            ],
            folder=tmp_path,
            landing=landing,
            warehouse=warehouse,
            variables={"cluster_count_max": 3, **variables},
        )
        assert result.returncode == expect, result.stdout
        if expect:
            return result.stdout
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            return json.loads(
                connection.sql("from ml.ml_cluster_candidates").df().to_json()
            )

    refused = build(expect=1, cluster_model="frozen")
    assert "cluster_model is frozen but no model has been fitted yet" in refused
    first = build()
    assert build() == first
    assert build(cluster_seed=7, cluster_model="frozen") == first
