"""What customers will order and spend: known at the origin, measured, chosen, used."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from conftest import lists_of
from hypothesis import given, settings
from hypothesis import strategies as st
from retail_segments.customer_forecasts import forecast_customers
from retail_segments.forecast_scores import (
    GROUP_COUNT,
    Calibration,
    calibrate,
    captured_share,
    intervals,
    read_calibration,
    score_methods,
)
from retail_segments.forecasting import (
    BASELINES,
    FACTORS,
    HISTORY,
    LIFETIME_FITS,
    METHODS,
    Origin,
    Past,
    Season,
    forecast,
    passed,
    read_origins,
)
from scipy.stats import spearmanr
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

NO_GROUPS = pd.DataFrame(columns=["method", "group_number", "low_ratio"])
FIRST_DAY = datetime.datetime(2011, 1, 1)
SCORED = "select * from marts.rpt_forecast_scoreboard where is_scored"


def make_histories(count=400, *, seed=5, days=300.0):
    """Draw customers who buy at rates of their own, and leave at random."""
    random = np.random.default_rng(seed)
    age = random.integers(1, int(days), count).astype("float64")
    repeats = random.poisson(random.gamma(0.8, 1 / 40, count) * age * 0.7)
    recency = np.where(repeats > 0, np.floor(age * random.uniform(0, 1, count)), 0)
    value = random.gamma(3, 60, count) + 1
    last_window = np.minimum(repeats, random.poisson(0.7, count))
    known = pd.DataFrame(
        {
            "order_count": repeats + 1,
            "purchase_day_count": repeats + 1,
            "repeat_frequency": repeats,
            "recency_at_last_purchase_days": recency,
            "customer_age_days": age,
            "recency_days": np.maximum(age - recency, 1),
            "amount": value * (repeats + 1),
            "repeat_amount": value * repeats,
            "last_window_order_count": last_window,
            "last_window_amount": value * last_window,
            "previous_window_order_count": 0,
            "previous_window_amount": 0,
            "year_ago_order_count": np.nan,
            "year_ago_amount": np.nan,
            "returned_share": 0,
        }
    )
    return known.astype("float64")


def make_past(day, *, count=400, seed=5, season=None):
    histories = make_histories(count, seed=seed)
    random = np.random.default_rng(seed + 1)
    rate = (histories["repeat_frequency"] + 0.3) / (histories["customer_age_days"] + 90)
    orders = random.poisson(rate * 90).astype("float64")
    per_order = (histories["amount"] / histories["order_count"]).to_numpy()
    origin = Origin(pd.Timestamp(day), histories, 90, season or Season())
    return Past(origin, orders, orders * per_order)


@pytest.fixture(scope="module")
def pasts():
    days = ("2011-02-13", "2011-05-14", "2011-08-12")
    return [make_past(day, seed=seed) for seed, day in enumerate(days, start=3)]


@pytest.fixture(scope="module")
def current():
    return Origin(pd.Timestamp("2011-12-10"), make_histories(seed=20), 90)


@pytest.fixture(scope="module")
def scores(pasts, current):
    return score_methods(pasts, current, scored=3, interval=0.8)


lines = lists_of(
    st.fixed_dictionaries(
        {
            "invoice_no": st.integers(1, 12).map(str),
            "stock_code": st.sampled_from(["22697", "22698"]),
            "quantity": st.sampled_from([1, 2, 5, -1, -3]),
            "unit_price": st.sampled_from([Decimal("1.25"), Decimal(4)]),
            "customer_id": st.sampled_from(["17850", "13047", "12583"]),
            "invoice_date": st.integers(0, 200 * 24).map(
                lambda hours: FIRST_DAY + datetime.timedelta(hours=hours)
            ),
        }
    ),
    max_size=25,
)


def at_origin(rows, day):
    return sorted(
        (row for row in rows if row["origin_date"] == day),
        key=lambda row: row["customer_id"],
    )


@settings(max_examples=60)
@given(known=lines, later=lines)
def test_what_comes_later_changes_nothing_at_an_origin(models, known, later):
    """Returns of a later day leave the order as it was; so does everything else."""
    origin = datetime.date(2011, 7, 1)
    # The first line and the last one, so that the days of origins are given.
    ends = [
        {"invoice_no": number, "invoice_date": day, "customer_id": "11111"}
        | {"stock_code": "22697", "quantity": 1, "unit_price": Decimal(1)}
        for number, day in (
            ("98", datetime.datetime(2011, 1, 1, 8)),
            ("99", datetime.datetime(2011, 7, 30, 20)),
        )
    ]
    cut = datetime.datetime(2011, 7, 1)

    def numbered(rows):
        return [
            {
                **row,
                "invoice_no": ("C" if row["quantity"] < 0 else "") + row["invoice_no"],
                "description": "CUP",
                "country": "United Kingdom",
            }
            for row in rows
        ]

    before = [row for row in known if row["invoice_date"] < cut] + ends
    # The same 200 days, pressed into the 29 that are left.
    after = [
        {**row, "invoice_date": cut + (row["invoice_date"] - FIRST_DAY) / 7}
        for row in later
    ]
    whole = models(forecast_horizon_days=30).run(
        "int_forecast_histories", numbered(before + after)
    )
    cut_off = models(forecast_horizon_days=30, as_of_date="2011-07-01").run(
        "int_forecast_histories", numbered(before + after)
    )
    quiet = models(forecast_horizon_days=30).run(
        "int_forecast_histories", numbered(before)
    )

    assert at_origin(whole, origin) == at_origin(cut_off, origin)
    assert at_origin(whole, origin) == at_origin(quiet, origin)
    assert at_origin(whole, origin)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_learns_from_no_horizon_that_has_not_passed(method, pasts):
    other = [
        Past(past.origin, past.orders[::-1].copy() + 7, past.amounts + 999)
        if past.origin.end_date > pd.Timestamp("2011-08-12")
        else past
        for past in pasts
    ]
    origin = pasts[2].origin

    one = forecast(method, origin, passed(pasts, origin))
    two = forecast(method, origin, passed(other, origin))

    assert one.reason == two.reason
    if one.orders is not None:
        assert np.array_equal(one.orders, two.orders)
        assert np.array_equal(one.amounts, two.amounts)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_every_customer_a_figure_or_says_why_not(method, current):
    made = forecast(method, current, [])

    if made.orders is None:
        assert made.reason
        return
    assert len(made.orders) == len(made.amounts) == len(current.histories)
    for figures in (made.orders, made.amounts):
        assert np.isfinite(figures).all()
        assert (figures >= 0).all()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_customers_crash_nothing(method, count):
    known = make_histories(5).head(count)
    origin = Origin(pd.Timestamp("2011-12-10"), known, 365)
    once = known.assign(
        order_count=1.0,
        purchase_day_count=1.0,
        repeat_frequency=0.0,
        recency_at_last_purchase_days=0.0,
        customer_age_days=1.0,
    )

    for histories in (known, once):
        made = forecast(method, Origin(origin.date, histories, origin.horizon_days), [])
        assert made.reason or np.isfinite(made.amounts).all()


def test_the_season_moves_the_level_of_every_method(pasts, current):
    season = Season(coming=(1.5, 2.0), trailing=(0.5, 0.8), growth=(1.2, 1.1))
    histories = current.histories.assign(year_ago_order_count=1.0, year_ago_amount=20.0)
    plain = Origin(current.date, histories, 90)
    seasonal = Origin(current.date, histories, 90, season)
    factors = dict.fromkeys([*BASELINES, *LIFETIME_FITS], (1.5, 2.0))
    factors["last_window"] = (1.5 / 0.5, 2.0 / 0.8)
    factors["year_ago_window"] = (1.2, 1.1)

    for method, (orders, amount) in factors.items():
        one, two = forecast(method, plain, pasts), forecast(method, seasonal, pasts)
        if one.orders is None:
            assert two.orders is None
            continue
        np.testing.assert_allclose(two.orders, one.orders * orders)
        np.testing.assert_allclose(two.amounts, one.amounts * amount)

    # Boosting starts from the last window, whose own season is taken out.
    seasonal = Origin(current.date, histories, 90, Season(coming=(1.5, 2.0)))
    one = forecast("gradient_boosting", plain, pasts)
    two = forecast("gradient_boosting", seasonal, pasts)
    np.testing.assert_allclose(two.orders, one.orders * 1.5)
    np.testing.assert_allclose(two.amounts, one.amounts * 2)


def test_boosting_learns_who_orders_and_not_how_much_all_do(pasts, current):
    """Half as much in a weaker season teaches the same."""
    halved = [Past(past.origin, past.orders / 2, past.amounts / 2) for past in pasts]

    one = forecast("gradient_boosting", current, pasts)
    two = forecast("gradient_boosting", current, halved)

    np.testing.assert_allclose(one.orders, two.orders)
    np.testing.assert_allclose(one.amounts, two.amounts)


def test_scores_are_what_libraries_say(pasts, scores):
    past = pasts[2]
    for method in ("last_window", "repeat_rate", "gradient_boosting"):
        made = forecast(method, past.origin, passed(pasts, past.origin))
        own = scores[
            (scores["method"] == method)
            & (scores["origin_date"] == past.origin.date)
            & scores["group_number"].isna()
        ].set_index("metric")["value"]
        for target, expected, actual in (
            ("orders", made.orders, past.orders),
            ("amount", made.amounts, past.amounts),
        ):
            assert own[f"{target}_mae"] == pytest.approx(
                mean_absolute_error(actual, expected)
            )
            assert own[f"{target}_rmse"] == pytest.approx(
                root_mean_squared_error(actual, expected)
            )
            assert own[f"{target}_bias"] == pytest.approx(
                expected.sum() / actual.sum() - 1
            )
            assert own[f"{target}_spearman"] == pytest.approx(
                spearmanr(expected, actual)[0]
            )
        ranked = sorted(
            zip(-made.amounts, range(len(made.amounts)), past.amounts, strict=True)
        )
        top = sum(amount for _, _, amount in ranked[: len(ranked) // 10])
        assert own["amount_captured_share"] == pytest.approx(top / past.amounts.sum())


def test_groups_hold_everybody_once(scores):
    counts = scores[scores["metric"] == "group_customer_count"]
    totals = counts.groupby(["origin_date", "method"])["value"].sum()

    assert (totals == 400).all()
    assert counts["group_number"].max() <= GROUP_COUNT
    expected = scores[scores["metric"] == "group_expected_amount"]
    rising = expected.sort_values("group_number").groupby(["origin_date", "method"])
    assert rising["value"].apply(lambda values: values.is_monotonic_increasing).all()
    followed = scores[scores["metric"] == "group_actual_amount"]
    assert followed["origin_date"].max() < scores["origin_date"].max()


def test_the_interval_holds_as_many_as_it_says():
    """Where the level is right, that of other customers holds what it should."""

    def spend(day, seed):
        past = make_past(day, count=4_000, seed=seed)
        known = past.origin.histories["last_window_amount"].to_numpy()
        random = np.random.default_rng(seed)
        return Past(past.origin, past.orders, known * random.gamma(2, 0.5, 4_000))

    then = spend("2011-09-11", 77)
    for interval in (0.6, 0.8, 0.95):
        found = calibrate("last_window", [spend("2011-02-13", 5)], interval=interval)
        expected = then.origin.histories["last_window_amount"].to_numpy()
        low, high = intervals(expected, found)
        is_in = ((low <= then.amounts) & (then.amounts <= high))[expected > 0]
        assert is_in.mean() == pytest.approx(interval, abs=0.04)


def test_a_level_that_was_off_widens_the_interval(pasts):
    """By its error at each origin; what customers do beside it stays as it was."""

    def after(*factors):
        return [
            Past(
                past.origin,
                past.orders,
                past.origin.histories["last_window_amount"].to_numpy() * factor,
            )
            for past, factor in zip(pasts, factors, strict=False)
        ]

    right = calibrate("last_window", after(1.0, 1.0), interval=0.8)
    off = calibrate("last_window", after(2.0, 0.5), interval=0.8)

    assert (right.low_ratios[1:] == 1).all()
    assert (right.high_ratios[1:] == 1).all()
    # 1.2816 standard deviations on both sides, each of a factor of two.
    np.testing.assert_allclose(off.high_ratios[1:], 2 * 2**1.281552, rtol=1e-5)
    np.testing.assert_allclose(off.low_ratios[1:], 0.5 / 2**1.281552, rtol=1e-5)


def test_boosting_is_not_calibrated_on_what_it_learned_from(pasts):
    assert calibrate("gradient_boosting", pasts[:1], interval=0.8) is None
    assert calibrate("gradient_boosting", pasts[:2], interval=0.8) is not None


def test_an_interval_that_begins_at_0_ends_where_the_share_does():
    """Half spend nothing, the others 1 to 100 % of what was expected."""
    known = make_histories(200).assign(last_window_amount=10.0)
    spent = np.concatenate([np.zeros(100), np.arange(1, 101) / 10])
    past = Past(Origin(pd.Timestamp("2011-06-13"), known, 90), spent, spent)

    found = calibrate("last_window", [past], interval=0.8)

    assert found.low_ratios[1] == 0
    error = abs(np.log(spent.sum() / 2000))
    high = np.quantile(spent / 10, 0.8, method="higher")
    assert found.high_ratios[1] == pytest.approx(high * np.exp(1.2815516 * error))


def test_nothing_is_known_of_the_interval_at_the_first_origin(scores):
    coverage = scores[scores["metric"] == "amount_coverage"]

    assert len(coverage) > 0
    assert coverage["origin_date"].min() > scores["origin_date"].min()


@given(
    expected=st.lists(st.floats(0, 1e6), min_size=1, max_size=30),
    uppers=st.lists(st.floats(0.01, 1e6), min_size=1, max_size=8, unique=True),
)
def test_an_interval_is_that_of_the_customers_group(expected, uppers):
    bounds = np.array([0.0, *sorted(uppers)])
    lows, highs = np.arange(len(bounds)) + 1.0, np.arange(len(bounds)) + 2.0
    low, high = intervals(np.array(expected), Calibration(bounds, lows, highs))

    for position, value in enumerate(expected):
        group = next(
            (n for n, bound in enumerate(bounds) if value <= bound), len(bounds) - 1
        )
        scale = value if group else 1.0
        assert low[position] == lows[group] * scale
        assert high[position] == highs[group] * scale


def test_a_tenth_of_few_is_one():
    assert captured_share(np.array([1.0, 2.0]), np.array([3.0, 1.0])) == 0.25
    assert np.isnan(captured_share(np.array([1.0]), np.array([0.0])))


def test_twice_the_same_bits(pasts, current, scores):
    fresh = [
        Past(
            Origin(past.origin.date, past.origin.histories, 90),
            past.orders,
            past.amounts,
        )
        for past in pasts[::-1]
    ]
    again = score_methods(fresh, current, scored=3, interval=0.8)

    pd.testing.assert_frame_equal(again, scores, check_exact=True)


def test_the_year_goes_on_at_the_rate_of_the_horizon_where_nobody_leaves(current):
    calm = Origin(
        current.date,
        current.histories.assign(
            recency_at_last_purchase_days=0.0, repeat_frequency=0.0, order_count=1.0
        ),
        73,
        Season(coming=(1.0, 2.0)),
    )
    found = forecast_customers(
        pd.Series([str(n) for n in range(400)]),
        calm,
        [],
        methods={"orders": "last_window", "amount": "last_window"},
        groups=NO_GROUPS,
        discount_rate=0.0,
    )

    assert found["probability_active"].isna().all()
    np.testing.assert_allclose(
        found["customer_lifetime_value"].to_numpy(dtype="float64"),
        found["expected_amount"].to_numpy(dtype="float64") * 5 / 2,
    )


def test_a_later_amount_is_worth_less(current):
    def value(rate):
        return forecast_customers(
            pd.Series([str(n) for n in range(400)]),
            current,
            [],
            methods={"orders": "nbd", "amount": "nbd"},
            groups=NO_GROUPS,
            discount_rate=rate,
        )["customer_lifetime_value"].to_numpy(dtype="float64")

    plain, discounted = value(0.0), value(0.2)

    assert (discounted < plain).all()
    assert (discounted > plain / 1.2).all()


def test_a_calibration_is_read_in_the_order_of_its_groups():
    groups = pd.DataFrame(
        {
            "method": ["nbd", "nbd", "bg_nbd"],
            "group_number": [1, 0, 0],
            "upper_amount": [9.0, 0.0, 0.0],
            "low_ratio": [0.3, 0.2, None],
            "high_ratio": [1.5, 2.0, None],
        }
    )

    found = read_calibration(groups, "nbd")

    assert found.upper_amounts.tolist() == [0.0, 9.0]
    assert found.high_ratios.tolist() == [2.0, 1.5]
    assert read_calibration(groups, "bg_nbd") is None


def test_one_origin_is_current():
    origins = pd.DataFrame(
        {
            "origin_date": pd.to_datetime(["2011-06-13", "2011-12-10"]),
            "horizon_days": 90,
            "is_current": [True, True],
            **dict.fromkeys(FACTORS, 1.0),
        }
    )
    with pytest.raises(ValueError, match="2 of 2 origins are current"):
        read_origins(pd.DataFrame({"origin_date": []}), origins)


def test_an_unknown_method_is_told(current):
    with pytest.raises(ValueError, match="no method is called prophet"):
        forecast("prophet", current, [])


def test_marts_say_what_the_methods_do(demo_net):
    """Every customer of the demo has the forecast that the chosen method makes."""
    chosen = {
        row["target"]: row["method"]
        for row in demo_net.rows(
            "select * from marts.rpt_forecast_methods where is_chosen"
        )
    }
    columns = ", ".join(HISTORY)
    query = f"""
        select customer_id, origin_date, {columns}, next_order_count, next_amount
        from intermediate.int_forecast_histories
        left join intermediate.int_forecast_outcomes using (origin_date, customer_id)
        order by origin_date, sample_number"""
    histories = demo_net.arrow(query).to_pandas()
    origins = demo_net.arrow(
        "select * from intermediate.int_forecast_origins "
        "join intermediate.int_forecast_seasons using (origin_date)"
    ).to_pandas()
    pasts, current = read_origins(histories, origins)
    lessons = passed(pasts, current)
    orders = forecast(chosen["orders"], current, lessons).orders
    amounts = forecast(chosen["amount"], current, lessons).amounts
    found = demo_net.arrow(
        "select customer_id, expected_orders, "
        "cast(expected_amount as double) as expected_amount "
        "from marts.rpt_customer_forecast where method is not null"
    ).to_pandas()
    is_current = pd.to_datetime(histories["origin_date"]) == current.date
    wanted = pd.DataFrame(
        {
            "customer_id": histories.loc[is_current, "customer_id"].to_numpy(),
            "orders": orders,
            "amount": amounts,
        }
    ).merge(found, on="customer_id", how="outer")

    assert set(chosen) == {"orders", "amount"}
    assert len(wanted) == len(found) == is_current.sum()
    np.testing.assert_allclose(wanted["orders"], wanted["expected_orders"])
    np.testing.assert_allclose(wanted["amount"], wanted["expected_amount"], atol=1e-4)


def test_segments_add_their_customers_up(demo_net):
    [row] = demo_net.rows("""
        select
            (
                select sum(expected_amount) from marts.rpt_customer_forecast
                where cluster_id is not null
            ) as of_customers,
            (select sum(expected_amount) from marts.rpt_segment_forecast) as of_months,
            (
                select count(*) from marts.rpt_segment_forecast
                where not (
                    amount_low <= expected_amount and expected_amount <= amount_high
                )
            ) as outside,
            (
                select count(distinct days) from (
                    select sum(day_count) as days from marts.rpt_segment_forecast
                    group by cluster_id
                )
            ) as lengths""")

    assert row["of_customers"] == pytest.approx(row["of_months"], abs=Decimal("0.01"))
    assert row["outside"] == 0
    assert row["lengths"] == 1


def test_the_real_forecast_beats_the_baselines_or_is_one(real_net, record_property):
    chosen = real_net.rows("select * from marts.rpt_forecast_methods where is_chosen")

    assert {row["target"] for row in chosen} == {"orders", "amount"}
    for row in chosen:
        query = f"{SCORED} and metric = '{row['metric']}'"
        means = {}
        for score in real_net.rows(query):
            means.setdefault(score["method"], []).append(score["value"])
        assert len(means[row["method"]]) >= 3
        for baseline in BASELINES:
            if len(means.get(baseline, ())) == len(means[row["method"]]):
                assert np.mean(means[row["method"]]) <= np.mean(means[baseline])
        record_property(f"{row['metric']} of {row['method']}", float(row["mean_value"]))


def test_the_real_bg_nbd_fit_is_flagged(real_net):
    fits = real_net.rows(
        "select distinct method, is_degenerate, reason "
        "from marts.rpt_forecast_methods where method = 'bg_nbd'"
    )

    assert all(fit["is_degenerate"] for fit in fits)
    assert all("not used" in fit["reason"] for fit in fits)
    assert set(LIFETIME_FITS) == {"nbd", "bg_nbd", "pareto_nbd"}


def test_the_real_intervals_hold_what_they_say(real_net, record_property):
    coverage = real_net.values(
        f"select avg(value) from ({SCORED}) "
        "where metric = 'amount_coverage' and is_chosen"
    )[0]
    record_property("share of amounts within their 80 % interval", float(coverage))

    assert coverage == pytest.approx(0.8, abs=0.05)


def test_the_top_tenth_of_august_captures_as_published(
    build_warehouse, real_landing, record_property
):
    """A hundred days from 2011-09-01 on, as in published comparisons."""
    warehouse = build_warehouse(
        real_landing,
        marts=["rpt_forecast_scoreboard"],
        with_gates=False,
        forecast_horizon_days=100,
    )
    [share] = warehouse.values(
        f"select value from ({SCORED}) where metric = 'amount_captured_share' "
        "and is_chosen and origin_date = date '2011-09-01'"
    )
    record_property("share of spend captured by the top tenth", float(share))

    assert share >= 0.527
