"""Control groups are drawn fairly and for good; real effects are found, others not."""

import datetime
import hashlib
import shutil
from decimal import Decimal
from math import sqrt

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from conftest import Warehouse, run_dbt
from retail_segments.audiences import read_audience, record_launch

LAUNCH = datetime.date(2011, 6, 1)
Z = 1.959964


def bucket(customer_id, segment_name, salt="retail"):
    slug = segment_name.lower().replace(" ", "-")
    text = "\x1f".join([salt, slug, customer_id])
    return int(hashlib.md5(text.encode()).hexdigest()[:8], 16) % 10_000


@pytest.fixture(scope="module", params=["demo_net", "real_net"])
def built(request):
    if request.param == "real_net":
        request.getfixturevalue("real_file")
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def members(built):
    return built.rows(
        "select audiences.*, rfm.recency_days, rfm.frequency, rfm.monetary_value "
        "from marts.fct_campaign_audiences as audiences "
        "inner join marts.dim_customer_segments as rfm using (customer_id) "
        "order by customer_id"
    )


def test_the_hash_alone_assigns(members):
    assert members
    for member in members:
        drawn = bucket(member["customer_id"], member["segment_name"])
        assert member["control_bucket"] == drawn
        assert member["is_control"] == (drawn < 2_000)


def test_every_clustered_customer_is_in_the_campaign_of_the_segment(built, members):
    found = {member["customer_id"]: member["segment_name"] for member in members}
    expected = built.rows(
        "select customer_id, segment_name from marts.dim_customer_segments "
        "where cluster_id is not null"
    )
    assert found == {row["customer_id"]: row["segment_name"] for row in expected}
    assert len(found) == len(members)


def test_the_control_share_is_what_was_asked_for(members):
    groups = {}
    for member in members:
        groups.setdefault(member["campaign_id"], []).append(member["is_control"])
    groups["all"] = [member["is_control"] for member in members]
    for group in groups.values():
        # Five standard deviations of a binomial distribution.
        assert abs(np.mean(group) - 0.2) < 5 * sqrt(0.2 * 0.8 / len(group))


@pytest.mark.parametrize("figure", ["recency_days", "frequency", "monetary_value"])
def test_control_groups_are_like_the_treated(members, figure):
    values = np.log1p([float(member[figure]) for member in members])
    is_control = np.array([member["is_control"] for member in members])
    held_out, treated = values[is_control], values[~is_control]
    error = sqrt(
        held_out.var(ddof=1) / len(held_out) + treated.var(ddof=1) / len(treated)
    )
    assert abs(held_out.mean() - treated.mean()) < 4 * error


SEGMENTS = ["Best customers", "Lost small buyers", "Lapsed"]


def segment_rows(count, *, date=LAUNCH):
    return [
        {
            "customer_id": f"{number}",
            "cluster_id": number % 3 + 1,
            "segment_name": SEGMENTS[number % 3],
            "recommended_action": "Write.",
            "snapshot_date": date,
        }
        for number in range(count)
    ]


def assign(models, rows):
    found = audiences(models, rows)
    return {
        row["customer_id"]: (row["control_bucket"], row["is_control"]) for row in found
    }


def audiences(models, rows):
    forecasts = [
        {"customer_id": "1", "expected_orders": 2.0, "expected_amount": Decimal(50)}
    ]
    return models.run(
        "fct_campaign_audiences",
        given={
            "dim_customer_segments": as_table(rows),
            "rpt_action_plan": as_table([{"cluster_id": 1, "lever": "loyalty"}]),
            "rpt_customer_forecast": as_table(forecasts),
        },
    )


def as_table(rows):
    return pa.Table.from_pylist(rows)


def test_nobody_changes_group_when_customers_come_or_rows_are_shuffled(net_models):
    rows = segment_rows(2_000)
    before = assign(net_models, rows[:900])
    shuffled = [rows[place] for place in np.random.default_rng(1).permutation(2_000)]
    later = [
        row | {"snapshot_date": datetime.date(2011, 7, 1)} for row in reversed(rows)
    ]

    assert before.items() <= assign(net_models, shuffled).items()
    assert before.items() <= assign(net_models, later).items()


def test_a_larger_share_only_adds_and_another_salt_draws_anew(models, net_models):
    rows = segment_rows(2_000)
    usual = assign(net_models, rows)
    larger = assign(models(campaign_control_share=0.3), rows)
    nobody = assign(models(campaign_control_share=0), rows)
    anew = assign(models(campaign_salt="again"), rows)

    held_out = {name for name, (_, is_control) in usual.items() if is_control}
    assert held_out < {name for name, (_, is_control) in larger.items() if is_control}
    assert not any(is_control for _, is_control in nobody.values())
    both = [name for name in held_out if anew[name][1]]
    assert abs(len(both) / len(held_out) - 0.2) < 5 * sqrt(0.16 / len(held_out))


def test_campaigns_are_named_for_segment_and_month(net_models):
    found = audiences(net_models, segment_rows(3))
    assert {row["campaign_id"] for row in found} == {
        "best-customers-2011-06",
        "lost-small-buyers-2011-06",
        "lapsed-2011-06",
    }


def measure(models, audiences, orders, *, as_of=datetime.date(2011, 12, 10)):
    """Measure campaigns, of which each is an id, customers and who is held out."""
    names = [name for name, customers, _ in audiences for _ in customers]
    staged = pa.table(
        {
            "campaign_id": names,
            "customer_id": [
                each for _, customers, _ in audiences for each in customers
            ],
            "is_control": np.concatenate([flags for _, _, flags in audiences]),
            "launched_date": pa.array([LAUNCH] * len(names), pa.date32()),
            "window_days": pa.array([90] * len(names), pa.int64()),
        }
    )
    rows = models.run(
        "rpt_campaign_results",
        given={
            "stg_campaigns__audiences": staged,
            "int_orders_counted": orders,
            "int_as_of_date": pa.table({"as_of_date": [as_of]}),
        },
    )
    return {row["campaign_id"]: row for row in rows}


def order_table(customers, amounts):
    """One order in the window for each customer with an amount."""
    cents = np.round(np.asarray(amounts) * 100).astype(int)
    bought = [
        (each, Decimal(int(amount)) / 100)
        for each, amount in zip(customers, cents, strict=True)
        if amount > 0
    ]
    return pa.table(
        {
            "customer_id": [each for each, _ in bought],
            "counted_amount": pa.array(
                [amount for _, amount in bought], pa.decimal128(18, 4)
            ),
            "ordered_at": pa.array(
                [datetime.datetime(2011, 7, 1, 12)] * len(bought), pa.timestamp("us")
            ),
        }
    )


def simulate(seed, *, count=1_500, share=0.3, lift=0.0):
    """Draw customers of whom a share buys for lognormal amounts, more if treated."""
    random = np.random.default_rng(seed)
    is_control = random.random(count) < 0.2
    buys = random.random(count) < share + np.where(is_control, 0, lift)
    amounts = np.where(buys, random.lognormal(4, 0.8, count), 0)
    return is_control, np.round(amounts, 2)


def test_figures_are_those_of_another_computation(net_models):
    is_control, amounts = simulate(7, lift=0.1)
    customers = [f"{number}" for number in range(len(amounts))]
    orders = order_table(customers, amounts)
    [found] = measure(net_models, [("c", customers, is_control)], orders).values()

    treated, held_out = amounts[~is_control], amounts[is_control]
    shares = (treated > 0).mean(), (held_out > 0).mean()
    uplift = treated.mean() - held_out.mean()
    deviations = np.sum((treated - treated.mean()) ** 2)
    deviations += np.sum((held_out - held_out.mean()) ** 2)
    error = sqrt(
        deviations / (len(amounts) - 2) * (1 / len(treated) + 1 / len(held_out))
    )
    share_error = sqrt(
        shares[0] * (1 - shares[0]) / len(treated)
        + shares[1] * (1 - shares[1]) / len(held_out)
    )
    expected = {
        "treated_count": len(treated),
        "control_count": len(held_out),
        "treated_buyer_count": (treated > 0).sum(),
        "control_order_count": (held_out > 0).sum(),
        "treated_buyer_share": shares[0],
        "control_buyer_share": shares[1],
        "buyer_share_uplift": shares[0] - shares[1],
        "buyer_share_uplift_low": shares[0] - shares[1] - Z * share_error,
        "buyer_share_uplift_high": shares[0] - shares[1] + Z * share_error,
        "amount_uplift": uplift,
        "amount_uplift_low": uplift - Z * error,
        "amount_uplift_high": uplift + Z * error,
        "incremental_amount": uplift * len(treated),
        "incremental_amount_low": (uplift - Z * error) * len(treated),
    }
    for name, value in expected.items():
        assert float(found[name]) == pytest.approx(value, abs=1e-4), name


def test_amounts_of_any_size_have_room(net_models):
    is_control = np.arange(200) < 80
    customers = [f"{number}" for number in range(200)]
    orders = order_table(customers, np.where(is_control, 1e11, 2e11))
    [found] = measure(net_models, [("c", customers, is_control)], orders).values()

    assert found["amount_uplift"] == Decimal(10**11)
    assert float(found["amount_uplift_low"]) == pytest.approx(1e11, rel=1e-6)
    assert found["incremental_amount"] == 120 * Decimal(10**11)


@pytest.mark.parametrize(
    ("control_count", "buyer_count", "reason"),
    [(30, 50, None), (29, 100, "too_few"), (100, 15, None), (100, 14, "too_few")],
)
def test_small_groups_and_few_buyers_are_not_judged(
    net_models, control_count, buyer_count, reason
):
    """From 30 customers and five expected buyers in the smaller group on."""
    customers = [f"{number}" for number in range(300)]
    is_control = np.arange(300) >= 300 - control_count
    orders = order_table(customers, np.arange(300) < buyer_count)
    [found] = measure(net_models, [("c", customers, is_control)], orders).values()

    assert found["unmeasured_reason"] == reason
    assert (found["is_significant"] is None) == bool(reason)
    assert (found["amount_uplift_low"] is None) == bool(reason)


def test_a_planted_uplift_is_found_within_its_interval(net_models):
    """In 95 % of 300 campaigns, and significant in most of them."""
    planted = 0.12
    # The mean of the amounts that buyers spend.
    mean = np.exp(4 + 0.8**2 / 2)
    audiences, customers, amounts = [], [], []
    for seed in range(300):
        is_control, spent = simulate(seed, lift=planted)
        names = [f"{seed}-{number}" for number in range(len(spent))]
        audiences.append((f"{seed}", names, is_control))
        customers += names
        amounts.append(spent)
    orders = order_table(customers, np.concatenate(amounts))
    found = list(measure(net_models, audiences, orders).values())

    assert len(found) == 300
    in_share = [
        row["buyer_share_uplift_low"] <= planted <= row["buyer_share_uplift_high"]
        for row in found
    ]
    in_amount = [
        float(row["amount_uplift_low"])
        <= planted * mean
        <= float(row["amount_uplift_high"])
        for row in found
    ]
    assert 0.91 <= np.mean(in_share) <= 0.99
    assert 0.91 <= np.mean(in_amount) <= 0.99
    assert np.mean([row["is_significant"] for row in found]) > 0.7
    assert np.mean([row["is_buyer_share_significant"] for row in found]) > 0.9
    for row in found:
        assert row["is_significant"] == (row["result"].startswith(("Worked", "Did")))


@pytest.mark.parametrize("only", ["everybody", "the segment that spends most"])
def test_campaigns_that_do_nothing_are_significant_one_time_in_twenty(
    net_models, built, only, record_property
):
    """An A/A test: what customers really bought, split by 400 salts."""
    as_of = built.value("select as_of_date from intermediate.int_as_of_date")
    clusters = "1" if only != "everybody" else "cluster_id"
    bought = built.rows(
        "select customers.customer_id, customers.segment_name, "
        "coalesce(sum(orders.counted_amount), 0) as amount "
        "from marts.dim_customer_segments as customers "
        "left join intermediate.int_orders_counted as orders "
        "on orders.customer_id = customers.customer_id "
        f"and orders.ordered_at >= date '{as_of}' - 90 "
        f"where customers.cluster_id = {clusters} group by all order by all"
    )
    customers = [row["customer_id"] for row in bought]
    orders = order_table(customers, [float(row["amount"]) for row in bought])
    audiences = []
    for salt in range(400):
        drawn = [
            bucket(row["customer_id"], row["segment_name"], f"salt{salt}")
            for row in bought
        ]
        audiences.append((f"{salt}", customers, np.array(drawn) < 2_000))
    # A small segment may draw fewer than 30 customers.
    found = [
        row
        for row in measure(net_models, audiences, orders).values()
        if row["unmeasured_reason"] is None
    ]

    assert len(found) >= 300
    by_amount = np.mean([row["is_significant"] for row in found])
    by_share = np.mean([row["is_buyer_share_significant"] for row in found])
    record_property(f"A/A tests of {only}, by amount", float(by_amount))
    record_property(f"A/A tests of {only}, by buyer share", float(by_share))
    # Four standard deviations of a binomial distribution around one in twenty. Where
    # nearly everybody buys, the buyer share cannot tell, and never does.
    reach = 4 * sqrt(0.05 * 0.95 / len(found))
    assert abs(by_amount - 0.05) < reach
    assert by_share < 0.05 + reach


def test_a_build_measures_what_was_launched(demo_net, demo_folder, tmp_path):
    """The record is found beside the lines, and is not taken for lines."""
    landing = tmp_path / "a [landing] folder"
    landing.mkdir()
    [lines] = (demo_folder / "landing").glob("*.parquet")
    (landing / lines.name).symlink_to(lines)
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(demo_net.path, warehouse)
    [campaign_id] = demo_net.values(
        "select min(campaign_id) from marts.fct_campaign_audiences"
    )
    members = read_audience(warehouse, campaign_id)
    as_of = members[0]["audience_date"]
    record_launch(
        landing,
        members,
        launched_date=as_of - datetime.timedelta(days=60),
        window_days=60,
    )

    # Only what reads the landing folder, and what follows from the record.
    chosen = ["stg_online_retail__lines", "stg_campaigns__audiences"]
    chosen += ["int_as_of_date", "rpt_campaign_results"]
    chosen += ["--exclude-resource-types", "unit_test"]
    result = run_dbt(
        ["build", "--warn-error", "--select", *chosen],
        folder=tmp_path,
        landing=landing,
        warehouse=warehouse,
    )

    assert result.returncode == 0, result.stdout + result.stderr
    rebuilt = Warehouse(warehouse)
    count = "select count(*) from staging.stg_online_retail__lines"
    with duckdb.connect() as connection:
        [(line_count,)] = connection.execute(
            "select count(*) from read_parquet(?)", [str(lines)]
        ).fetchall()
    assert rebuilt.value(count) == line_count
    [row] = rebuilt.rows("select * from marts.rpt_campaign_results")
    assert row["campaign_id"] == campaign_id
    assert row["is_finished"]
    assert row["window_end_date"] == as_of
    assert row["treated_count"] + row["control_count"] == len(members)
    assert row["control_count"] == sum(member["is_control"] for member in members)
    [spent] = rebuilt.values(
        "select sum(counted_amount) from intermediate.int_orders_counted "
        "inner join marts.fct_campaign_audiences using (customer_id) "
        f"where campaign_id = '{campaign_id}' and not is_control "
        f"and ordered_at >= date '{as_of}' - 60"
    )
    assert row["treated_amount"] == spent
