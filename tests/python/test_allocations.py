"""Returns are matched to purchases as a first-in-first-out queue would match them."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from decimal import Decimal

import oracle
from conftest import lists_of
from hypothesis import given, settings
from hypothesis import strategies as st

START = datetime(2011, 1, 3, 9, 0)
KEYS = ("return_line_id", "purchase_line_id")

# Few customers, codes and instants, so that lines meet; guests and fees among them.
lines = lists_of(
    st.fixed_dictionaries(
        {
            "customer_id": st.sampled_from(["1", "1", "1", "2", None]),
            "stock_code": st.sampled_from(["10001", "10001", "10002", "POST"]),
            "quantity": st.integers(-6, 6).filter(bool),
            "hour": st.sampled_from([0, 1, 14, 15, 16, 40]),
            "unit_price": st.sampled_from([Decimal("0.001"), Decimal("2.55")]),
            "is_cancellation": st.booleans(),
        }
    ),
    max_size=24,
)


def deliver(drawn):
    """Make landing rows: each line is an invoice of its own, numbered in no order."""
    return [
        {
            "invoice_no": "C" * (line["is_cancellation"] and line["quantity"] < 0)
            + str(1_000 + 389 * number % 1_000),
            "stock_code": line["stock_code"],
            "quantity": line["quantity"],
            "invoice_date": START + timedelta(hours=line["hour"]),
            "unit_price": line["unit_price"],
            "customer_id": line["customer_id"],
        }
        for number, line in enumerate(drawn)
    ]


def as_allocations(rows):
    return sorted(
        (
            oracle.Allocation(
                row["return_line_id"],
                row["purchase_line_id"],
                row["allocated_quantity"],
                row["allocated_amount"],
                row["days_to_return"],
                row["unmatched_reason"],
            )
            for row in rows
        ),
        key=in_order,
    )


def in_order(allocation):
    return allocation.return_id, allocation.purchase_id or ""


@settings(max_examples=120)
@given(drawn=lines)
def test_allocations_equal_a_queue(net_models, drawn):
    built = net_models.run_all(
        ["fct_invoice_lines", "fct_return_allocations"], deliver(drawn)
    )

    expected = oracle.allocate_returns(built["fct_invoice_lines"])

    assert as_allocations(built["fct_return_allocations"]) == sorted(
        expected, key=in_order
    )


@settings(max_examples=60)
@given(drawn=lines)
def test_allocations_keep_within_what_was_bought_and_returned(net_models, drawn):
    built = net_models.run_all(
        ["fct_invoice_lines", "fct_return_allocations"], deliver(drawn)
    )
    by_id = {line["invoice_line_id"]: line for line in built["fct_invoice_lines"]}
    taken: Counter[str] = Counter()
    given_back: Counter[str] = Counter()
    money: dict[str, Decimal] = defaultdict(Decimal)

    for allocation in built["fct_return_allocations"]:
        back = by_id[allocation["return_line_id"]]
        given_back[back["invoice_line_id"]] += allocation["allocated_quantity"]
        assert back["line_type"] == "return"
        assert (allocation["purchase_line_id"] is None) == (
            allocation["unmatched_reason"] is not None
        )
        if allocation["purchase_line_id"] is not None:
            bought = by_id[allocation["purchase_line_id"]]
            taken[bought["invoice_line_id"]] += allocation["allocated_quantity"]
            money[bought["invoice_line_id"]] += allocation["allocated_amount"]
            assert bought["line_type"] == "purchase"
            assert bought["invoiced_at"] <= back["invoiced_at"]
            for name in ("customer_id", "stock_code"):
                assert bought[name] == back[name] == allocation[name]

    for line_id, line in by_id.items():
        if line["line_type"] == "return":
            assert given_back[line_id] == -line["quantity"]
        assert taken[line_id] <= max(line["quantity"], 0)
        assert line["returned_quantity"] == taken[line_id]
        assert line["returned_amount"] == money[line_id]
    # Refunds are taken off purchases, so what is left adds up to what was charged.
    moved: dict[tuple[str | None, str], Decimal] = defaultdict(Decimal)
    for line in by_id.values():
        key = (line["customer_id"], line["stock_code"])
        moved[key] += line["net_amount"] - line["line_amount"]
    assert not any(moved.values())


def test_real_allocations_equal_a_queue(real_net):
    # Products that a customer never sent back are left out: half a million rows.
    lines = real_net.rows(
        "select invoice_line_id, customer_id, stock_code, line_type, quantity, "
        "unit_price, invoiced_at from marts.fct_invoice_lines as lines "
        "where line_type = 'return' or (line_type = 'purchase' and exists ("
        "select 1 from marts.fct_invoice_lines as returns "
        "where returns.line_type = 'return' "
        "and returns.customer_id = lines.customer_id "
        "and returns.stock_code = lines.stock_code))"
    )
    found = real_net.rows("select * from marts.fct_return_allocations")

    expected = oracle.allocate_returns(lines)

    assert as_allocations(found) == sorted(expected, key=in_order)
    assert sum(allocation.purchase_id is not None for allocation in expected) > 7_900
