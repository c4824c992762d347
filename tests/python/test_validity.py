"""How much of the future groups explain: planted shares are found, nothing leaks."""

import os
import subprocess
import sys
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retail_segments.groupings import FEATURES, GROUPINGS, RFM, group_customers
from retail_segments.validity import (
    ALL_ORIGINS,
    COLUMNS,
    MIN_CUSTOMERS,
    RESAMPLES,
    fingerprint_inputs,
    measure_validity,
    predict_from_groups,
)
from sklearn.model_selection import KFold

SETTINGS = {
    "features": list(RFM),
    "transform": "log1p",
    "n_clusters": 4,
    "random_state": 42,
    "n_init": 2,
}
FUTURE = ["next_order_count", "next_amount"]
ORIGIN = "2011-09-09"
CENTRES = np.array([(10, 30, 9_000), (40, 8, 1_200), (120, 3, 300), (300, 1, 60)])


def make_customers(count=400, *, share=0.4, seed=7, origin=ORIGIN):
    """Make customers in four groups that explain a share of what they spend next."""
    random = np.random.default_rng(seed)
    group = np.arange(count) % 4
    customers = pd.DataFrame(
        random.lognormal(2, 1, (count, len(FEATURES))), columns=list(FEATURES)
    )
    customers[list(RFM)] = CENTRES[group] * random.uniform(0.97, 1.03, (count, 3))
    # Four means of mean 0 and variance 1, and noise of the same variance.
    effect = np.array([-3, -1, 1, 3])[group] / np.sqrt(5)
    noise = random.normal(0, 1, count)
    logarithm = 5 + np.sqrt(share) * effect + np.sqrt(1 - share) * noise
    return customers.assign(
        customer_id=[f"{number:05}" for number in range(count)],
        origin_date=pd.Timestamp(origin),
        outcome_end_date=pd.Timestamp(origin) + pd.DateOffset(months=3, days=1),
        rfm_code=np.array(["555", "454", "222", "111"])[group],
        rfm_segment=np.array(["Champions", "Loyal", "Hibernating", "Lost"])[group],
        next_order_count=(effect + noise > 0).astype("int64"),
        next_amount=np.expm1(logarithm),
        scored_customer_count=count,
    )


def make_origins(*days, count=200):
    return pd.concat(
        [make_customers(count, seed=i, origin=day) for i, day in enumerate(days)],
        ignore_index=True,
    )


def measure(customers, **changed):
    rows = measure_validity(customers, **{**SETTINGS, **changed})
    return rows.set_index(["scope", "target", "grouping"])


def share_of(rows, grouping, target="spending", scope=ORIGIN):
    return rows.loc[(scope, target, grouping), "explained_variance"]


@settings(max_examples=12)
@given(share=st.floats(0, 0.9), seed=st.integers(0, 2**32 - 1))
def test_a_planted_share_is_found(share, seed):
    rows = measure(make_customers(2_000, share=share, seed=seed))

    for grouping in ("segments", "rfm_codes", "rfm_segments"):
        assert share_of(rows, grouping) == pytest.approx(share, abs=0.07)
    assert abs(share_of(rows, "random_groups")) < 0.02


def test_shares_are_those_of_a_plain_loop_over_the_folds():
    customers = make_customers(300)
    values = np.log1p(customers["next_amount"].to_numpy())
    predicted = np.empty(300)
    for learned, held_out in KFold(10, shuffle=True, random_state=42).split(values):
        means = pd.Series(values[learned]).groupby(
            customers["rfm_code"].to_numpy()[learned]
        )
        predicted[held_out] = customers["rfm_code"].iloc[held_out].map(means.mean())
    expected = (
        1 - ((values - predicted) ** 2).sum() / ((values - values.mean()) ** 2).sum()
    )

    rows = measure(customers)

    assert share_of(rows, "rfm_codes") == pytest.approx(expected, abs=1e-8)


def test_buying_is_one_less_brier_score_by_variance():
    customers = make_customers(300)
    bought = (customers["next_order_count"] > 0).to_numpy(dtype="float64")
    codes = customers["rfm_code"].to_numpy()
    brier = 0.0
    for learned, held_out in KFold(10, shuffle=True, random_state=42).split(bought):
        for i in held_out:
            same = learned[codes[learned] == codes[i]]
            brier += (bought[i] - bought[same].mean()) ** 2 / 300

    rows = measure(customers)

    expected = 1 - brier / bought.var()
    assert share_of(rows, "rfm_codes", "buying") == pytest.approx(expected, abs=1e-8)


def test_nothing_is_learned_by_heart():
    """In sample, one group per customer would explain everything."""
    customers = make_customers(400)
    customers["rfm_code"] = customers["customer_id"]

    rows = measure(customers)

    assert share_of(rows, "rfm_codes") <= 0
    assert rows.loc[(ORIGIN, "spending", "rfm_codes"), "group_count"] == 400


@settings(max_examples=100)
@given(
    cells=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 3), st.floats(-9, 9)),
        min_size=2,
        max_size=30,
    )
)
def test_a_prediction_does_not_see_its_own_fold(cells):
    groups, folds, values = (np.array(column) for column in zip(*cells, strict=True))
    # Other folds hold someone.
    folds[0], folds[1] = 0, 1

    predicted = predict_from_groups(groups, values, folds)

    for i, (group, fold) in enumerate(zip(groups, folds, strict=True)):
        others = values[(folds != fold) & (groups == group)]
        if not len(others):
            others = values[folds != fold]
        assert predicted[i] == pytest.approx(others.mean(), abs=1e-9)
    changed = np.where(folds == folds[0], 1e6, values)
    again = predict_from_groups(groups, changed, folds)
    assert again[folds == folds[0]] == pytest.approx(
        predicted[folds == folds[0]], abs=1e-3
    )


def test_what_follows_changes_no_group():
    customers = make_customers()

    groups = group_customers(customers, **SETTINGS)
    blind = group_customers(customers.drop(columns=FUTURE), **SETTINGS)

    assert set(groups) == set(GROUPINGS) - {
        "boosting",
        "random_groups",
        "rfm_clusters",
    }
    assert all((groups[name] == blind[name]).all() for name in groups)
    assert not set(FEATURES) & set(FUTURE)


def test_features_that_say_nothing_foretell_nothing():
    customers = make_customers(1_000)
    random = np.random.default_rng(3)
    shuffled = customers[FUTURE].iloc[random.permutation(1_000)].reset_index(drop=True)

    rows = measure(customers.assign(**shuffled))

    assert rows.loc[ORIGIN, "explained_variance"].max() < 0.02


def test_an_origin_knows_nothing_of_the_others():
    customers = make_origins("2011-08-09", ORIGIN)
    changed = customers.copy()
    is_other = changed["origin_date"] == ORIGIN
    changed.loc[is_other, "next_amount"] = 1.0
    changed.loc[is_other, "next_order_count"] = 1
    changed.loc[is_other, list(RFM)] = 5.0

    before, after = (measure(frame) for frame in (customers, changed))

    pd.testing.assert_frame_equal(before.loc[["2011-08-09"]], after.loc[["2011-08-09"]])
    assert not before.loc[[ORIGIN]].equals(after.loc[[ORIGIN]])


def test_over_all_origins_squares_are_added_up():
    customers = make_origins("2011-08-09", ORIGIN)
    values = np.log1p(customers["next_amount"])
    deviations = values - values.groupby(customers["origin_date"]).transform("mean")
    deviations = (deviations**2).groupby(customers["origin_date"]).sum()

    rows = measure(customers)

    shares = [share_of(rows, "segments", scope=day) for day in ("2011-08-09", ORIGIN)]
    pooled = share_of(rows, "segments", scope=ALL_ORIGINS)
    assert pooled == pytest.approx(np.average(shares, weights=deviations), abs=1e-7)
    assert rows.loc[ALL_ORIGINS, "customer_count"].unique().tolist() == [400]
    assert rows.loc[ALL_ORIGINS, "origin_date"].isna().all()


def test_intervals_hold_the_figure_and_shrink_with_more_customers():
    few, many = (measure(make_customers(count)) for count in (200, 3_200))

    for rows in (few, many):
        assert (rows["lower_bound"] <= rows["explained_variance"]).all()
        assert (rows["explained_variance"] <= rows["upper_bound"]).all()
        assert (rows["difference_lower_bound"] <= rows["difference_to_segments"]).all()
        assert (rows["difference_to_segments"] <= rows["difference_upper_bound"]).all()
    widths = [
        rows.loc[(ORIGIN, "spending", "segments"), "upper_bound"]
        - rows.loc[(ORIGIN, "spending", "segments"), "lower_bound"]
        for rows in (few, many)
    ]
    assert widths[0] / widths[1] == pytest.approx(4, rel=0.4)


def test_intervals_are_those_of_a_plain_bootstrap():
    customers = make_customers(300)
    values = np.log1p(customers["next_amount"].to_numpy())
    folds = np.empty(300, dtype="int64")
    splits = KFold(10, shuffle=True, random_state=42).split(values)
    for number, (_, held_out) in enumerate(splits):
        folds[held_out] = number
    codes = np.unique(customers["rfm_code"], return_inverse=True)[1]
    errors = (values - predict_from_groups(codes, values, folds)) ** 2
    random = np.random.default_rng(99)
    shares = []
    for _ in range(2 * RESAMPLES):
        drawn = random.integers(0, 300, 300)
        shares.append(1 - errors[drawn].mean() / values[drawn].var())

    row = measure(customers).loc[(ORIGIN, "spending", "rfm_codes")]

    expected = np.percentile(shares, [2.5, 97.5])
    assert [row["lower_bound"], row["upper_bound"]] == pytest.approx(expected, abs=0.01)


def test_the_segments_do_not_differ_from_themselves():
    rows = measure(make_customers()).xs("segments", level="grouping")

    assert (rows.filter(like="difference") == 0).all(axis=None)


@pytest.mark.parametrize(
    ("features", "left_out"),
    [
        (RFM, "rfm_clusters"),
        (RFM[::-1], "rfm_clusters"),
        ((*RFM, "product_count"), "rfm_and_product_clusters"),
        (("recency_days",), None),
    ],
)
def test_no_grouping_is_measured_under_two_names(features, left_out):
    rows = measure(make_customers(100), features=list(features))

    found = set(rows.index.get_level_values("grouping"))
    assert found == set(GROUPINGS) - {left_out}


def test_two_runs_and_any_order_of_rows_give_the_same_bits():
    customers = make_origins("2011-08-09", ORIGIN)

    first = measure(customers)

    pd.testing.assert_frame_equal(first, measure(customers), check_exact=True)
    shuffled = customers.sample(frac=1, random_state=5)
    pd.testing.assert_frame_equal(first, measure(shuffled), check_exact=True)


def test_the_number_of_threads_moves_no_bit():
    """In a process of its own, where scikit-learn is not loaded yet."""
    program = (
        "import hashlib, numpy as np, pandas as pd\n"
        "from retail_segments.validity import COLUMNS, measure_validity\n"
        "from retail_segments.groupings import FEATURES\n"
        "random = np.random.default_rng(5)\n"
        "customers = pd.DataFrame(random.lognormal(3, 1.5, (3000, len(COLUMNS))),\n"
        "    columns=list(COLUMNS))\n"
        "customers['customer_id'] = range(3000)\n"
        "customers['origin_date'] = pd.Timestamp('2011-09-09')\n"
        "customers['next_order_count'] = (customers['frequency'] > 20) * 1\n"
        "customers['rfm_code'] = customers['customer_id'] % 90\n"
        "rows = measure_validity(customers, features=['frequency', 'return_rate'])\n"
        "bits = rows.select_dtypes('float64').map(float.hex).to_csv()\n"
        "print(hashlib.sha256(bits.encode()).hexdigest())\n"
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


def buy_nothing(customers):
    return customers.assign(next_order_count=0, next_amount=0.0)


def buy_the_same(customers):
    return customers.assign(next_order_count=1, next_amount=5.0)


def be_alike(customers):
    return customers.assign(**dict.fromkeys(FEATURES, 5.0))


@pytest.mark.parametrize(
    ("change", "target", "grouping", "reason"),
    [
        (lambda c: c.head(1), "spending", "segments", "too_few_customers"),
        (
            lambda c: c.head(MIN_CUSTOMERS - 1),
            "buying",
            "boosting",
            "too_few_customers",
        ),
        (buy_nothing, "buying", "rfm_codes", "nobody_bought"),
        (buy_nothing, "spending", "boosting", "nobody_bought"),
        (buy_the_same, "buying", "segments", "everybody_bought"),
        (buy_the_same, "spending", "segments", "all_spent_the_same"),
        (be_alike, "spending", "segments", "too_few_different_customers"),
        (be_alike, "buying", "published_recipe", "too_few_different_customers"),
        (be_alike, "buying", "random_groups", "too_few_different_customers"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_thin_data_gives_a_reason(change, target, grouping, reason):
    rows = measure(change(make_customers(100)))

    for scope in (ORIGIN, ALL_ORIGINS):
        row = rows.loc[(scope, target, grouping)]
        assert row["unmeasured_reason"] == reason
        assert row.filter(regex="variance|bound|difference").isna().all()
    assert (rows["unmeasured_reason"].isna() == rows["lower_bound"].notna()).all()


@pytest.mark.filterwarnings("error")
def test_without_an_origin_every_row_says_so():
    rows = measure(make_customers(100).head(0))

    assert set(rows["unmeasured_reason"]) == {"no_origin"}
    assert set(rows.index.get_level_values("scope")) == {ALL_ORIGINS}
    assert len(rows) == 2 * (len(GROUPINGS) - 1)
    assert set(rows["customer_count"]) == {0}


@pytest.mark.filterwarnings("error")
def test_without_a_number_of_clusters_the_other_groupings_are_measured():
    rows = measure(make_customers(100), n_clusters=None).loc[(ORIGIN, "spending")]

    unmeasured = rows["unmeasured_reason"].dropna()
    assert set(unmeasured) == {"no_cluster_count"}
    assert set(unmeasured.index) == {
        "segments",
        "rfm_and_product_clusters",
        "random_groups",
    }
    assert rows["difference_to_segments"].isna().all()


@pytest.mark.filterwarnings("error")
def test_customers_that_are_alike_can_still_be_told_apart_by_code():
    rows = measure(be_alike(make_customers(400)))

    assert share_of(rows, "rfm_codes") > 0.2
    assert share_of(rows, "boosting") == pytest.approx(0, abs=0.02)


@pytest.mark.filterwarnings("error")
def test_a_single_buyer_breaks_nothing():
    customers = buy_nothing(make_customers(60))
    customers.loc[7, FUTURE] = [1, 80.0]

    rows = measure(customers)

    assert rows["unmeasured_reason"].isna().all()
    assert np.isfinite(rows["lower_bound"]).all()


def test_a_thin_origin_leaves_the_others_in_the_sum():
    thin = make_customers(10, origin="2011-08-09")
    full = make_customers(200)

    rows = measure(pd.concat([thin, full], ignore_index=True))

    figures = ["explained_variance", "customer_count"]
    alone = measure(full)
    pd.testing.assert_frame_equal(
        rows.loc[ALL_ORIGINS, figures], alone.loc[ALL_ORIGINS, figures]
    )


def test_a_missing_column_and_a_repeated_customer_are_refused():
    customers = make_customers(60)

    with pytest.raises(ValueError, match="columns rfm_code are missing"):
        measure_validity(customers.drop(columns="rfm_code"), **SETTINGS)
    with pytest.raises(ValueError, match="3 rows repeat a customer"):
        measure_validity(pd.concat([customers, customers.head(3)]), **SETTINGS)


def test_the_fingerprint_follows_data_and_settings():
    customers = make_customers(60)
    fingerprint = fingerprint_inputs(customers, **SETTINGS)
    richer = customers.assign(next_amount=customers["next_amount"] + 0.01)

    assert len(fingerprint) == 16
    assert fingerprint == fingerprint_inputs(customers.sample(frac=1), **SETTINGS)
    assert fingerprint == fingerprint_inputs(customers.assign(more=1), **SETTINGS)
    changed = {
        fingerprint_inputs(richer, **SETTINGS),
        fingerprint_inputs(customers.head(59), **SETTINGS),
        fingerprint_inputs(customers, **{**SETTINGS, "n_clusters": 5}),
        fingerprint_inputs(customers, **{**SETTINGS, "features": ["frequency"]}),
    }
    assert len(changed | {fingerprint}) == 5


@pytest.fixture(scope="module")
def real_rows(real_textbook):
    """Measure the real data set as published analyses count purchases."""
    columns = ", ".join(COLUMNS)
    customers = real_textbook.arrow(
        f"select {columns} from (select *, snapshot_date as origin_date "
        "from intermediate.int_customers_snapshotted where is_origin "
        "and unscored_reason is null) "
        "inner join intermediate.int_customers_outcomes "
        "using (customer_id, origin_date)"
    ).to_pandas()
    return measure(customers, n_clusters=5, n_init=10)


def test_published_customers_and_amounts_at_the_origin(real_textbook):
    [row] = real_textbook.rows(
        "select count(*) as customers, sum(next_amount) as amount, "
        "avg(case when has_bought then 1 else 0 end) as buyer_share, "
        "max(outcome_end_date) as outcome_end_date "
        "from intermediate.int_customers_outcomes "
        f"where origin_date = date '{ORIGIN}'"
    )

    assert row["customers"] == 3_362
    assert str(row["outcome_end_date"])[:10] == "2011-12-10"
    assert row["amount"] == Decimal("2862927.7210")
    assert row["buyer_share"] == pytest.approx(0.571, abs=0.0005)


def test_published_shares_at_the_origin(real_rows):
    assert share_of(real_rows, "segments") >= 0.235
    assert share_of(real_rows, "segments") == pytest.approx(0.239, abs=0.01)
    assert share_of(real_rows, "rfm_and_product_clusters") == pytest.approx(
        0.248, abs=0.01
    )
    assert share_of(real_rows, "published_recipe") == pytest.approx(0.160, abs=0.02)
    assert share_of(real_rows, "rfm_codes") == pytest.approx(0.238, abs=0.02)
    assert share_of(real_rows, "boosting") == pytest.approx(0.272, abs=0.02)
    assert share_of(real_rows, "random_groups") == pytest.approx(0, abs=0.01)


def test_boosting_is_above_and_the_published_recipe_below_the_segments(real_rows):
    spending = real_rows.xs("spending", level="target")

    for scope in (ORIGIN, ALL_ORIGINS):
        rows = spending.loc[scope]
        assert rows.loc["boosting", "difference_lower_bound"] > 0
        assert rows.loc["published_recipe", "difference_upper_bound"] < 0


def test_the_report_says_so_in_words(real_net):
    verdicts = {
        row["grouping"]: row["verdict"]
        for row in real_net.rows(
            "select grouping, verdict from marts.rpt_segment_validity "
            f"where scope = '{ALL_ORIGINS}' and target = 'spending'"
        )
    }

    assert verdicts["segments"] == "the segments themselves"
    assert verdicts["boosting"] == "explains more than the segments"
    assert verdicts["published_recipe"] == "explains less than the segments"
    assert verdicts["random_groups"] == "explains less than the segments"
