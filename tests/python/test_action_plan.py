"""The action plan, worked out in plain Python, and its control groups in simulation."""

import datetime
import math
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import norm

DAYS = 91
TEXTS = {"segment_name": "S", "action": "A", "action_words": "Win back"}


def segment(**values):
    """Make a row of int_segments_planned."""
    row = {
        **TEXTS,
        "cluster_id": 1,
        "effect_source": "test",
        "segment_rank": 1,
        "lever": "win_back",
        "customer_count": 5_000,
        "contacted_count": 5_000,
        "baseline_amount": 1000.0,
        "expected_orders": 50.0,
        "offered_amount": 100.0,
        "offered_count": 10,
        "return_rate": 0.2,
        "shop_return_rate": 0.1,
        "buyer_share": 0.3,
        "amount_per_buyer": 40.0,
        "one_time_buyer_share": 0.25,
        "amount_per_one_time_buyer": 40.0,
        "amount_deviation": 4.0,
        "assumed_effect": 0.1,
        "assumed_effect_low": 0.05,
        "assumed_effect_high": 0.2,
    }
    return {**row, **values}


def plan_of(models, *rows):
    table = pa.Table.from_pylist(list(rows))
    column = table.schema.get_field_index("baseline_amount")
    table = table.set_column(
        column, "baseline_amount", table["baseline_amount"].cast(pa.decimal128(18, 4))
    )
    return models.run("rpt_action_plan", given={"int_segments_planned": table})


def needed_for_shares(first, second):
    middle = (first + second) / 2
    root = norm.ppf(0.975) * math.sqrt(2 * middle * (1 - middle))
    root += norm.ppf(0.8) * math.sqrt(first * (1 - first) + second * (1 - second))
    return root**2 / (second - first) ** 2


def needed_for_means(deviation, difference):
    return 2 * ((norm.ppf(0.975) + norm.ppf(0.8)) * deviation / difference) ** 2


def test_the_plan_equals_that_of_plain_python(demo_net):
    as_of = demo_net.value("select as_of_date from intermediate.int_as_of_date")
    rows = demo_net.rows("select * from marts.fct_customer_segments")
    rfm = {
        (row["customer_id"], row["snapshot_date"]): row
        for row in demo_net.rows("select * from marts.fct_customer_rfm")
    }
    orders = defaultdict(list)
    for row in demo_net.rows("select * from intermediate.int_orders_counted"):
        orders[row["customer_id"]].append(row)
    forecasts = {
        row["customer_id"]: row
        for row in demo_net.rows("select * from marts.rpt_customer_forecast")
    }
    prices = {
        row["stock_code"]: float(row["net_amount"]) / row["order_count"]
        for row in demo_net.rows(
            "select * from marts.dim_products where order_count > 0 and net_amount > 0"
        )
    }
    tops = {
        row["customer_id"]: row["score"] * prices[row["stock_code"]]
        for row in demo_net.rows("select * from marts.rpt_product_recommendations")
        if row["recommendation_rank"] == 1 and row["stock_code"] in prices
    }
    assumed = {
        row["lever"]: row
        for row in demo_net.rows("select * from reference.plan_assumptions")
    }

    # What each customer did in the quarter after each month end.
    quarters = defaultdict(list)
    for row in rows:
        start = row["snapshot_date"]
        end = start + datetime.timedelta(days=DAYS)
        snapshot = rfm[row["customer_id"], start]
        if (
            row["cluster_id"] is None
            or not snapshot["is_month_end"]
            or end > as_of
            or start < as_of - datetime.timedelta(days=365 + DAYS)
        ):
            continue
        amounts = [
            float(order["counted_amount"])
            for order in orders[row["customer_id"]]
            if start <= order["ordered_at"].date() < end
        ]
        quarters[row["cluster_id"]].append(
            (len(amounts) > 0, sum(amounts), snapshot["frequency"])
        )
    members = defaultdict(list)
    for row in rows:
        if row["is_current"] and row["cluster_id"] is not None:
            members[row["cluster_id"]].append(row["customer_id"])

    plan = demo_net.rows("select * from marts.rpt_action_plan")
    assert {row["cluster_id"] for row in plan} == set(members)
    assert len({row["lever"] for row in plan}) >= 3
    for row in plan:
        assert row["no_plan_reason"] is None
        customers = members[row["cluster_id"]]
        history = quarters[row["cluster_id"]]
        of_today = [rfm[customer, as_of] for customer in customers]
        amount = sum(
            float(forecasts[c]["expected_amount"]) * DAYS / forecasts[c]["horizon_days"]
            for c in customers
        )
        order_counts = {
            c: forecasts[c]["expected_orders"] * DAYS / forecasts[c]["horizon_days"]
            for c in customers
        }
        contacted = len(customers)
        lever = row["lever"]
        if lever in ("win_back", "second_order"):
            if lever == "second_order":
                history = [past for past in history if past[2] == 1]
                contacted = sum(past["frequency"] == 1 for past in of_today)
            bought = [past[1] for past in history if past[0]]
            rate = len(bought) / len(history)
            whole = contacted * rate * np.mean(bought)
        elif lever == "basket_upsell":
            whole = sum(tops.get(c, 0) * order_counts[c] for c in customers)
            rate = whole / sum(order_counts.values())
        elif lever == "loyalty":
            whole, rate = amount, sum(order_counts.values()) / contacted
        else:
            rate = np.mean([past["return_rate"] for past in of_today])
            whole = amount * rate / (1 - rate)
        effect = assumed[lever]["effect_middle"]
        uplift = whole * effect
        if lever in ("win_back", "second_order"):
            needed = needed_for_shares(rate, rate * (1 + effect))
        else:
            deviation = np.std([past[1] for past in history], ddof=1)
            needed = needed_for_means(deviation, uplift / contacted)
        assert float(row["baseline_amount"]) == pytest.approx(amount, abs=1e-3)
        assert row["base_rate"] == pytest.approx(rate, rel=1e-6)
        assert row["contacted_count"] == contacted
        assert float(row["expected_uplift_amount"]) == pytest.approx(uplift, rel=1e-6)
        assert float(row["expected_profit"]) == pytest.approx(
            0.35 * uplift - 0.30 * contacted, abs=1e-2
        )
        assert row["control_count"] == pytest.approx(math.ceil(needed), abs=1)

    total = sum(float(row["baseline_amount"]) for row in plan)
    reached, chosen = 0.0, set()
    for row in sorted(plan, key=lambda row: -row["expected_profit"]):
        if row["expected_profit"] > 0 and reached < total / 10:
            chosen.add(row["cluster_id"])
            reached += float(row["expected_uplift_amount"])
    assert {row["cluster_id"] for row in plan if row["is_in_plan"]} == chosen
    assert float(plan[0]["planned_uplift_amount"]) == pytest.approx(reached, abs=1e-2)
    assert plan[0]["is_target_reached"] == (reached >= total / 10)


def test_control_groups_of_shares_find_the_effect_four_times_in_five(net_models):
    for share, effect in [(0.05, 0.5), (0.3, 0.1), (0.6, 0.2)]:
        row = segment(buyer_share=share, assumed_effect=effect)
        [plan] = plan_of(net_models, row)
        count = plan["control_count"]

        assert count == math.ceil(needed_for_shares(share, share * (1 + effect)))
        random = np.random.default_rng(1)
        treated = random.binomial(count, share * (1 + effect), 20_000) / count
        control = random.binomial(count, share, 20_000) / count
        pooled = (treated + control) / 2
        z = (treated - control) / np.sqrt(2 * pooled * (1 - pooled) / count)
        assert np.mean(np.abs(z) > norm.ppf(0.975)) == pytest.approx(0.8, abs=0.02)


def test_control_groups_of_amounts_find_the_effect_four_times_in_five(net_models):
    [plan] = plan_of(
        net_models,
        segment(lever="loyalty", customer_count=100, contacted_count=100),
    )
    count = plan["control_count"]

    # 10 % of 1,000 are one each for 100 customers.
    assert count == math.ceil(needed_for_means(4, 1))
    random = np.random.default_rng(1)
    treated = random.normal(11, 4, (5_000, count))
    control = random.normal(10, 4, (5_000, count))
    error = np.sqrt((treated.var(axis=1, ddof=1) + control.var(axis=1, ddof=1)) / count)
    z = (treated.mean(axis=1) - control.mean(axis=1)) / error
    assert np.mean(np.abs(z) > norm.ppf(0.975)) == pytest.approx(0.8, abs=0.02)


@pytest.mark.parametrize(("lever", "rate"), [("win_back", 0.95), ("second_order", 1.0)])
def test_nobody_buys_with_a_chance_above_one(net_models, lever, rate):
    row = segment(lever=lever, buyer_share=rate, one_time_buyer_share=rate)
    [plan] = plan_of(net_models, row)

    lifted = 5_000 * (1 - rate) * 40
    assert float(plan["expected_uplift_amount"]) == pytest.approx(lifted)
    assert (plan["control_count"] is None) == (rate == 1)


def test_each_var_moves_what_it_must(models, net_models):
    row = segment()
    [before] = plan_of(net_models, row)
    [after] = plan_of(models(plan_margin=0.7, plan_contact_cost=2), row)
    uplift = 5_000 * 0.3 * 40 * 0.1

    assert float(before["expected_profit"]) == pytest.approx(0.35 * uplift - 1_500)
    assert float(after["expected_profit"]) == pytest.approx(0.7 * uplift - 10_000)
    assert before["is_worthwhile"]
    assert not after["is_worthwhile"]
    assert after["planned_uplift_amount"] == 0
    assert after["needed_multiple"] is None
    assert after["plan_finding"] == "No campaign pays, so the plan adds nothing."

    [far] = plan_of(models(plan_target=9), row)
    assert before["is_target_reached"]
    assert not far["is_target_reached"]
    assert far["needed_multiple"] == pytest.approx(9_000 / uplift)


def test_no_segment_is_no_row(net_models):
    empty = pa.Table.from_pylist([segment()]).slice(0, 0)

    assert (
        net_models.run("rpt_action_plan", given={"int_segments_planned": empty}) == []
    )


def test_numbers_are_told_with_separators(net_models):
    amounts = [0, 7, 999, 1_000, 999_999.6, 12_345_678, 1_234_567_890, -1_234.4]
    rows = [
        segment(cluster_id=number, lever="win_back", baseline_amount=float(amount))
        for number, amount in enumerate(amounts)
    ]

    plan = plan_of(net_models, *rows)

    for row in plan:
        told = f"to a baseline of {round(amounts[row['cluster_id']]):,};"
        assert told in row["finding"]
