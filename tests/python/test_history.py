"""Every month end of the history is what was known then."""

from collections import defaultdict
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import oracle
import pytest
from conftest import lists_of
from hypothesis import given, settings
from hypothesis import strategies as st

MONTH_ENDS = [date(2011, 2, 1), date(2011, 3, 1)]
TABLES = ["fct_invoice_lines", "int_customers_snapshotted", "fct_customer_rfm"]
HABITS = (
    "product_count",
    "tenure_days",
    "days_between_orders",
    "average_order_value",
    "items_per_order",
    "return_rate",
)

# On both sides of each month end, and several in an invoice.
INSTANTS = [
    datetime(2011, 1, 5, 9, 0),
    datetime(2011, 1, 5, 9, 1),
    datetime(2011, 1, 31, 23, 59),
    datetime(2011, 2, 1, 0, 0),
    datetime(2011, 2, 10, 12, 0),
    datetime(2011, 2, 28, 23, 59),
    datetime(2011, 3, 1, 0, 0),
    datetime(2011, 3, 15, 8, 0),
]
# Few customers, codes and invoices, so that lines meet; guests and fees among them.
purchases = st.fixed_dictionaries(
    {
        "invoice_no": st.sampled_from(["501", "502", "503", "504"]),
        "stock_code": st.sampled_from(["10001", "10001", "10002", "POST"]),
        "quantity": st.integers(1, 4),
        "invoice_date": st.sampled_from(INSTANTS),
        "unit_price": st.sampled_from([Decimal("1.10"), Decimal("2.55")]),
        "customer_id": st.sampled_from(["1", "1", "1", "2", "3", None]),
    }
)
returns = purchases.map(
    lambda row: {
        **row,
        "invoice_no": f"C{row['invoice_no']}",
        "quantity": -row["quantity"],
    }
)
# A guest's line in the end, so that the history always holds both month ends.
LAST = {
    "invoice_no": "599",
    "stock_code": "10001",
    "quantity": 1,
    "invoice_date": datetime(2011, 3, 20, 9, 0),
    "unit_price": Decimal(1),
    "customer_id": None,
}
lines = lists_of(st.one_of(purchases, purchases, returns), max_size=28).map(
    lambda rows: [*rows, LAST]
)


def without_flag(rows):
    """Leave out what alone tells a history from a build of its own day."""
    return sorted(
        (
            tuple((name, value) for name, value in row.items() if name != "is_current")
            for row in rows
        ),
        key=repr,
    )


def known_before(rows, day):
    return [row for row in rows if row["invoiced_at"].date() < day]


def as_habits(row):
    return {
        name: None if row[name] is None else pytest.approx(row[name], rel=1e-12)
        for name in HABITS
    }


def as_numbers(habits):
    return {
        name: float(value) if isinstance(value, Fraction) else value
        for name, value in habits.__dict__.items()
    }


def as_rfm(row):
    scores = (row["r_score"], row["f_score"], row["m_score"])
    return oracle.Rfm(
        row["recency_days"],
        row["frequency"],
        row["monetary_value"],
        None if None in scores else scores,
        row["unscored_reason"],
    )


def assert_history_is_recomputed(lines, rows, *, purchase_basis, days):
    """Work each snapshot out again from the lines before it alone."""
    found = defaultdict(dict)
    for row in rows:
        found[row["snapshot_date"]][row["customer_id"]] = row
    for day in days:
        known = known_before(lines, day)
        settings = {"purchase_basis": purchase_basis, "as_of_date": day}
        rfm = oracle.measure_rfm(known, **settings)
        habits = oracle.measure_habits(known, **settings)

        assert {name: as_rfm(row) for name, row in found[day].items()} == rfm
        for name, row in found[day].items():
            assert as_numbers(habits[name]) == as_habits(row), (name, day)


@pytest.mark.parametrize("purchase_basis", ["net", "textbook"])
@settings(max_examples=30)
@given(rows=lines)
def test_a_month_end_is_what_a_build_of_that_day_says(models, purchase_basis, rows):
    chosen = {} if purchase_basis == "net" else {"purchase_basis": purchase_basis}
    history = models(**chosen).run("fct_customer_rfm", rows)

    for day in MONTH_ENDS:
        then = models(**chosen, as_of_date=str(day)).run("fct_customer_rfm", rows)
        found = [row for row in history if row["snapshot_date"] == day]

        assert not any(row["is_current"] for row in found)
        assert without_flag(found) == without_flag(
            row for row in then if row["is_current"]
        )
        # What lies before that day is the history of both.
        assert without_flag(then) == without_flag(
            row for row in history if row["snapshot_date"] <= day
        )


@pytest.mark.parametrize("purchase_basis", ["net", "textbook"])
@settings(max_examples=50)
@given(rows=lines)
def test_every_snapshot_is_recomputed_line_by_line(models, purchase_basis, rows):
    chosen = {} if purchase_basis == "net" else {"purchase_basis": purchase_basis}
    built = models(**chosen).run_all(TABLES, rows)
    days = [*MONTH_ENDS, date(2011, 3, 21)]

    for table in TABLES[1:]:
        assert {row["snapshot_date"] for row in built[table]} <= set(days)
        assert_history_is_recomputed(
            built["fct_invoice_lines"],
            built[table],
            purchase_basis=purchase_basis,
            days=days,
        )


@settings(max_examples=30)
@given(rows=lines)
def test_versions_of_an_invoice_follow_each_other(net_models, rows):
    built = net_models.run("int_orders_versioned", rows)
    versions = defaultdict(list)
    for row in built:
        versions[row["customer_id"], row["invoice_number"]].append(row)

    for periods in versions.values():
        periods.sort(key=lambda row: row["known_from"])
        for row, later in pairwise(periods):
            assert row["known_until"] <= later["known_from"]
        for row in periods:
            assert row["counted_quantity"] > 0
            assert row["ordered_at"] <= row["known_from"]
            assert row["known_until"] is None or row["known_from"] < row["known_until"]


def test_a_real_month_end_is_what_a_build_of_that_day_says(
    real_net, real_landing, build_warehouse
):
    day = "2011-09-01"
    then = build_warehouse(
        real_landing, marts=["fct_customer_rfm"], with_gates=False, as_of_date=day
    )
    query = f"select * from marts.fct_customer_rfm where snapshot_date <= '{day}'"

    history = real_net.rows(query)

    assert without_flag(history) == without_flag(then.rows(query))
    assert sum(row["snapshot_date"] == date(2011, 9, 1) for row in history) == 3_360


def test_a_real_snapshot_is_recomputed_line_by_line(real_net):
    day = date(2011, 9, 9)
    lines = real_net.rows(
        "select invoice_line_id, invoice_number, customer_id, stock_code, line_type, "
        "quantity, unit_price, invoiced_at from marts.fct_invoice_lines "
        f"where customer_id is not null and invoiced_at < '{day}'"
    )
    rows = real_net.rows(
        "select * from intermediate.int_customers_snapshotted "
        f"where snapshot_date = '{day}'"
    )

    assert len(rows) > 3_300
    assert_history_is_recomputed(lines, rows, purchase_basis="net", days=[day])
