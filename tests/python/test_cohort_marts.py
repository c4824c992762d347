"""Cohorts, their groups and their curve, worked out a second time in pandas."""

import math
from datetime import date, datetime
from decimal import Decimal
from statistics import NormalDist

import oracle
import pandas as pd
import pyarrow as pa
import pytest

MARTS = ["rpt_cohort_retention", "rpt_cohort_retention_by_group", "rpt_cohort_curve"]
# Pandas names weeks for the day on which they end.
FREQUENCIES = {"month": "M", "week": "W-SUN", "quarter": "Q"}
DECEMBER_2010 = [885, 324, 286, 340, 321, 352, 321, 309, 313, 350, 331, 445, 235]
SMALLEST_COUNTRY = 20
Z = NormalDist().inv_cdf(0.975)


def wilson(successes, trials):
    """Solve (p - share)^2 = z^2 p (1 - p) / n for p, the definition of the interval."""
    share = successes / trials
    a = 1 + Z**2 / trials
    b = -(2 * share + Z**2 / trials)
    root = math.sqrt(b**2 - 4 * a * share**2)
    return (-b - root) / (2 * a), (-b + root) / (2 * a)


def money(ten_thousandths):
    return Decimal(int(ten_thousandths)) / 10_000


def recompute(orders, *, period, last_day, first_cohort=None):
    """Follow customers period by period; amounts are whole ten-thousandths.

    `orders` has customer, ordered_at, gross and net; `last_day` is the last line's.
    """
    frequency = FREQUENCIES[period]
    orders = orders.assign(period=orders["ordered_at"].dt.to_period(frequency))
    orders["cohort"] = orders.groupby("customer")["period"].transform("min")
    last = pd.Period(last_day, freq=frequency)
    first_cohort = first_cohort or orders["cohort"].min()
    cells = {}
    for cohort, members in orders.groupby("cohort"):
        size = members["customer"].nunique()
        for since in range((last - cohort).n + 1):
            here = members[members["period"] == cohort + since]
            so_far = members[members["period"] <= cohort + since]
            active = here["customer"].nunique()
            low, high = wilson(active, size)
            cells[cohort.start_time.date(), since] = {
                "period_date": (cohort + since).start_time.date(),
                "cohort_size": size,
                "active_customers": active,
                "retention_rate": pytest.approx(active / size, abs=1e-9),
                "retention_low": pytest.approx(low, abs=1e-9),
                "retention_high": pytest.approx(high, abs=1e-9),
                "order_count": len(here),
                "gross_amount": money(here["gross"].sum()),
                "returned_amount": money(here["gross"].sum() - here["net"].sum()),
                "net_amount": money(here["net"].sum()),
                "average_order_value": pytest.approx(
                    money(here["net"].sum()) / len(here), abs=Decimal("0.0001")
                )
                if len(here)
                else None,
                "cumulative_order_count": len(so_far),
                "cumulative_gross_amount": money(so_far["gross"].sum()),
                "cumulative_net_amount": money(so_far["net"].sum()),
                "cumulative_net_amount_per_customer": pytest.approx(
                    money(so_far["net"].sum()) / size, abs=Decimal("0.0001")
                ),
                "is_complete": (cohort + since).end_time.date() <= last_day,
                "is_left_censored": cohort == first_cohort,
            }
    return cells


def recompute_curve(cells):
    points = {}
    for since in sorted({since for _, since in cells}):
        there = [
            cell
            for (_, number), cell in cells.items()
            if number == since and cell["is_complete"]
        ]
        if not there:
            continue
        size = sum(cell["cohort_size"] for cell in there)
        active = sum(cell["active_customers"] for cell in there)
        rates = [cell["active_customers"] / cell["cohort_size"] for cell in there]
        young = [cell for cell in there if not cell["is_left_censored"]]
        young_size = sum(cell["cohort_size"] for cell in young)
        low, high = wilson(active, size)
        points[since] = {
            "cohort_count": len(there),
            "customer_count": size,
            "active_customers": active,
            "retention_rate": pytest.approx(active / size, abs=1e-9),
            "retention_low": pytest.approx(low, abs=1e-9),
            "retention_high": pytest.approx(high, abs=1e-9),
            "lowest_retention_rate": pytest.approx(min(rates), abs=1e-9),
            "highest_retention_rate": pytest.approx(max(rates), abs=1e-9),
            "uncensored_retention_rate": pytest.approx(
                sum(cell["active_customers"] for cell in young) / young_size, abs=1e-9
            )
            if young
            else None,
            "net_amount": sum(cell["net_amount"] for cell in there),
            "net_amount_per_customer": pytest.approx(
                sum(cell["net_amount"] for cell in there) / size,
                abs=Decimal("0.0001"),
            ),
        }
    return points


def measures(row, *keys):
    left_out = {*keys, "cohort_period", "cohort_month", "months_since"}
    return {name: value for name, value in row.items() if name not in left_out}


def read_cells(warehouse):
    rows = warehouse.rows("select * from marts.rpt_cohort_retention")
    return {
        (row["cohort_date"], row["periods_since"]): measures(
            row, "cohort_date", "periods_since"
        )
        for row in rows
    }


def read_curve(warehouse):
    return {
        row["periods_since"]: measures(row, "periods_since")
        for row in warehouse.rows("select * from marts.rpt_cohort_curve")
    }


def read_groups(warehouse):
    groups = {}
    for row in warehouse.rows("select * from marts.rpt_cohort_retention_by_group"):
        cells = groups.setdefault((row["group_kind"], row["group_name"]), {})
        cells[row["cohort_date"], row["periods_since"]] = measures(
            row, "group_kind", "group_name", "cohort_date", "periods_since"
        )
    return groups


def read_orders(warehouse):
    """Put orders together from their lines."""
    rows = warehouse.rows(
        "select customer_id as customer, "
        "min(invoiced_at) filter (counted_quantity > 0) as ordered_at, "
        "cast(10000 * sum(line_amount) as bigint) as gross, "
        "cast(10000 * sum(counted_amount) as bigint) as net "
        "from marts.fct_invoice_lines where is_counted and not is_guest "
        "group by customer_id, invoice_number having sum(counted_quantity) > 0"
    )
    return pd.DataFrame(rows)


def read_last_day(warehouse):
    return warehouse.value("select last_line_date from intermediate.int_as_of_date")


def find_groups(warehouse, orders):
    """Name the country and the segment of each customer who bought."""
    customers = pd.DataFrame(
        warehouse.rows(
            "select customer_id, country_name, segments.segment_name "
            "from marts.dim_customers "
            "left join marts.dim_customer_segments as segments using (customer_id)"
        )
    )
    buyers = customers[customers["customer_id"].isin(orders["customer"])]
    buyers = buyers.set_index("customer_id")
    countries = buyers["country_name"].fillna("Unknown")
    sizes = countries.map(countries.value_counts())
    return {
        "country": countries.where(sizes >= SMALLEST_COUNTRY, "Other"),
        "segment": buyers["segment_name"].fillna("No segment"),
    }


def check(warehouse, orders, period="month"):
    """Compare all three marts with what pandas makes of the orders."""
    last_day = read_last_day(warehouse)
    expected = recompute(orders, period=period, last_day=last_day)
    cells = read_cells(warehouse)
    assert cells == expected
    assert read_curve(warehouse) == recompute_curve(cells)

    first_cohort = orders["ordered_at"].min().to_period(FREQUENCIES[period])
    groups = read_groups(warehouse)
    names = set()
    for kind, group_of in find_groups(warehouse, orders).items():
        for name, part in orders.groupby(orders["customer"].map(group_of)):
            names.add((kind, name))
            assert groups[kind, name] == recompute(
                part, period=period, last_day=last_day, first_cohort=first_cohort
            )
    assert set(groups) == names
    return cells


@pytest.fixture(scope="module")
def clean_orders(real_file):
    """Orders of the raw file as published analyses count them."""
    lines = pd.read_parquet(real_file).drop_duplicates()
    is_clean = (
        lines["CustomerID"].notna() & (lines["Quantity"] > 0) & (lines["UnitPrice"] > 0)
    )
    lines = lines[is_clean]
    prices = (lines["UnitPrice"] * 10_000).round().astype("int64")
    lines = lines.assign(
        customer=lines["CustomerID"].astype("int64").astype("str"),
        net=lines["Quantity"].astype("int64") * prices,
    )
    orders = (
        lines.groupby(["customer", "InvoiceNo"])
        .agg(ordered_at=("InvoiceDate", "min"), net=("net", "sum"))
        .reset_index()
    )
    return orders.assign(gross=orders["net"])


@pytest.fixture(scope="module")
def kept_orders(real_net):
    """Orders of the real data set, less what a queue finds returned."""
    lines = real_net.rows(
        "select invoice_line_id, invoice_number, customer_id, stock_code, line_type, "
        "quantity, unit_price, invoiced_at from marts.fct_invoice_lines "
        "where customer_id is not null"
    )
    counted = oracle.count_orders(
        lines, oracle.allocate_returns(lines), purchase_basis="net"
    )
    gross = dict.fromkeys(counted, Decimal(0))
    for line in lines:
        key = (line["customer_id"], line["invoice_number"])
        if line["line_type"] == "purchase" and key in gross:
            gross[key] += line["quantity"] * line["unit_price"]
    return pd.DataFrame(
        {
            "customer": customer,
            "ordered_at": pd.Timestamp(order.ordered_at),
            "gross": int(gross[customer, number] * 10_000),
            "net": int(order.amount * 10_000),
        }
        for (customer, number), order in counted.items()
    )


def test_real_cohorts_as_published_analyses_count_them(real_textbook, clean_orders):
    cells = check(real_textbook, clean_orders)

    december = [cells[date(2010, 12, 1), since] for since in range(13)]
    assert [cell["active_customers"] for cell in december] == DECEMBER_2010
    assert [cell["is_complete"] for cell in december] == [True] * 12 + [False]
    assert (date(2010, 12, 1), 13) not in cells
    last = [
        cells[key]
        for key in cells
        if (key[0].year * 12 + key[0].month) + key[1] == 2011 * 12 + 12
    ]
    assert sum(cell["cumulative_net_amount"] for cell in last) == Decimal("8887208.894")
    assert sum(cell["cohort_size"] for cell in last) == 4_338


def test_real_cohorts_net_of_returns(real_net, kept_orders):
    cells = check(real_net, kept_orders)

    amounts = real_net.value(
        "select sum(monetary_value) from marts.fct_customer_rfm where is_current"
    )
    assert sum(cell["net_amount"] for cell in cells.values()) == amounts
    assert any(cell["returned_amount"] for cell in cells.values())


def test_months_keep_their_names(demo_net):
    for mart in MARTS:
        assert not demo_net.value(
            f"select count(*) from marts.{mart} where cohort_period != 'month' "
            "or months_since is distinct from periods_since"
        )
    for mart in MARTS[:2]:
        assert not demo_net.value(
            f"select count(*) from marts.{mart} "
            "where cohort_month is distinct from cohort_date"
        )


@pytest.mark.parametrize("period", ["month", "week", "quarter"])
def test_demo_cohorts_of_any_period(build_warehouse, demo_folder, period):
    if period == "month":
        warehouse = build_warehouse(demo_folder / "landing")
    else:
        # The gates hold for weeks, of which there are the most.
        warehouse = build_warehouse(
            demo_folder / "landing",
            marts=[] if period == "week" else [*MARTS, "fct_invoice_lines"],
            with_gates=period == "week",
            cohort_period=period,
        )

    cells = check(warehouse, read_orders(warehouse), period)

    assert len(cells) > 10
    # The demo ends on a Sunday, and so with a week.
    is_last_complete = period == "week"
    assert all(cell["is_complete"] for cell in cells.values()) == is_last_complete
    if period != "month":
        for mart in MARTS:
            assert warehouse.value(f"select count(months_since) from marts.{mart}") == 0


def sale(invoice, day, quantity=1, customer="77", code="22423", country="France"):
    return {
        "invoice_no": invoice,
        "stock_code": code,
        "description": code,
        "quantity": quantity,
        "invoice_date": datetime.fromisoformat(day),
        "unit_price": Decimal("2.50"),
        "customer_id": customer,
        "country": country,
    }


def run(models, rows):
    """Run the three marts, with customers who have countries and no segments."""
    customers = sorted({row["customer_id"] for row in rows if row["customer_id"]})
    strings = pa.string()
    given = {
        "dim_customers": pa.table(
            {
                "customer_id": pa.array(customers, strings),
                "country_name": pa.array(["France"] * len(customers), strings),
            }
        ),
        "dim_customer_segments": pa.table(
            {
                "customer_id": pa.array(customers, strings),
                "segment_name": pa.nulls(len(customers), strings),
            }
        ),
    }
    return models.run_all(MARTS, rows, given=given)


def cells_of(found):
    return {
        (row["cohort_date"], row["periods_since"]): row
        for row in found["rpt_cohort_retention"]
    }


def test_a_later_return_restates_the_period_of_the_purchase(net_models):
    rows = [
        sale("1", "2011-01-05", 10),
        sale("2", "2011-03-05", 4, code="84879"),
        sale("3", "2011-03-06", 1, customer="78"),
    ]
    first_of_january = date(2011, 1, 1)

    before = cells_of(run(net_models, rows))
    after = cells_of(run(net_models, [*rows, sale("C4", "2011-03-07", -6)]))

    assert set(before) == set(after)
    changed = [key for key in before if before[key] != after[key]]
    # The cells after it change in what has come in so far.
    assert changed == [(first_of_january, since) for since in range(3)]
    assert {
        name
        for name in before[first_of_january, 2]
        if before[first_of_january, 2][name] != after[first_of_january, 2][name]
    } == {"cumulative_net_amount", "cumulative_net_amount_per_customer"}
    cell = after[first_of_january, 0]
    assert (cell["gross_amount"], cell["returned_amount"], cell["net_amount"]) == (
        Decimal(25),
        Decimal(15),
        Decimal(10),
    )


def test_who_keeps_nothing_is_in_no_cohort_and_else_in_that_of_what_is_kept(net_models):
    found = run(
        net_models,
        [
            sale("1", "2011-01-05", 10),
            sale("C2", "2011-01-06", -10),
            sale("3", "2011-02-05", 4, code="84879"),
            sale("4", "2011-01-07", 1, customer="78"),
            sale("C5", "2011-02-08", -1, customer="78"),
        ],
    )

    [row] = found["rpt_cohort_retention"]
    assert (row["cohort_date"], row["cohort_size"]) == (date(2011, 2, 1), 1)
    assert (row["gross_amount"], row["net_amount"]) == (Decimal(10), Decimal(10))


def test_periods_in_which_nobody_buys_are_there_and_later_ones_are_not(net_models):
    found = run(
        net_models,
        [
            sale("1", "2011-01-05"),
            sale("2", "2011-04-02"),
            sale("3", "2011-04-30", customer=None),
        ],
    )

    cells = cells_of(found)
    assert [
        cells[date(2011, 1, 1), since]["active_customers"] for since in range(4)
    ] == [
        1,
        0,
        0,
        1,
    ]
    assert len(cells) == 4
    assert all(cell["is_complete"] for cell in cells.values())
    assert [row["retention_rate"] for row in found["rpt_cohort_curve"]] == [1, 0, 0, 1]
    assert [row["uncensored_retention_rate"] for row in found["rpt_cohort_curve"]] == [
        None
    ] * 4


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        pytest.param([], (0, 0, 0), id="no lines"),
        pytest.param([sale("1", "2011-01-05")], (1, 2, 0), id="one order"),
        pytest.param(
            [sale("1", "2011-01-05"), sale("2", "2011-01-31", customer="78")],
            (1, 2, 1),
            id="one month",
        ),
        pytest.param([sale("1", "2011-01-05", customer=None)], (0, 0, 0), id="guests"),
        pytest.param([sale("C1", "2011-01-05", -1)], (0, 0, 0), id="returns"),
        pytest.param(
            [sale("1", "2011-01-05", code="POST")], (0, 0, 0), id="fees alone"
        ),
    ],
)
def test_little_data_gives_few_rows(net_models, rows, counts):
    found = run(net_models, rows)

    assert tuple(len(found[mart]) for mart in MARTS) == counts
    for row in found["rpt_cohort_retention_by_group"]:
        assert row["group_name"] in ("Other", "No segment")
        assert 0 < row["retention_low"] < row["retention_high"] == 1


def test_little_data_by_week(models):
    found = run(models(cohort_period="week"), [sale("1", "2011-01-02")])

    [row] = found["rpt_cohort_retention"]
    assert (row["cohort_date"], row["is_complete"]) == (date(2010, 12, 27), True)
    assert (row["cohort_month"], row["months_since"]) == (None, None)
