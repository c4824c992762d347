"""Shops with next to no customers: a plain reason, RFM all the same, and no crash."""

import datetime
from decimal import Decimal

import pytest
from conftest import write_landing


def line(number, customer, *, day=1, quantity=1, price="5"):
    return {
        "invoice_no": f"{number:06}",
        "stock_code": "85123A",
        "description": "HEART",
        "quantity": quantity,
        "invoice_date": datetime.datetime(2011, 1, day, 10, 0),
        "unit_price": Decimal(price),
        "customer_id": customer,
        "country": "France",
    }


SHOPS = {
    "one customer": [line(1, "1")],
    "guests only": [line(1, None), line(2, None, day=2)],
    "forty alike": [line(number, str(number)) for number in range(1, 41)],
    "one giant among forty": [
        *[line(number, str(number), day=1 + number % 9) for number in range(1, 41)],
        line(99, "99", quantity=999, price="9999999"),
    ],
}


@pytest.fixture(scope="module", params=list(SHOPS))
def shop(request, tmp_path_factory, build_warehouse):
    name = request.param
    folder = tmp_path_factory.mktemp(name.replace(" ", "-"))
    landing = write_landing(folder / name.replace(" ", "-"), SHOPS[name])
    return name, build_warehouse(landing)


def test_every_gate_holds_and_everybody_has_a_segment_or_a_reason(shop):
    name, built = shop
    customers = {row["customer_id"] for row in SHOPS[name]} - {None}
    rows = built.rows("select * from marts.dim_customer_segments")

    assert {row["customer_id"] for row in rows} == customers
    assert all(row["frequency"] == 1 for row in rows)
    assert all(row["rfm_segment"] for row in rows)
    if name in ("one customer", "forty alike"):
        assert {row["unclustered_reason"] for row in rows} == {"too_few_customers"}
        assert built.rows("select * from marts.dim_segments") == []


def test_no_partition_is_chosen_without_a_word(shop):
    name, built = shop
    rows = built.rows("select * from marts.rpt_cluster_candidates")

    assert rows
    assert all(row["reason"] for row in rows)
    chosen = [row for row in rows if row["is_chosen"]]
    assert len(chosen) == (1 if name == "one giant among forty" else 0)


def test_everybody_has_a_forecast_or_a_reason(shop):
    """The horizon is longer than these histories: nothing could be compared."""
    name, built = shop
    rows = built.rows("select * from marts.rpt_customer_forecast")
    methods = built.rows("select * from marts.rpt_forecast_methods")

    assert len(rows) == len({row["customer_id"] for row in SHOPS[name]} - {None})
    assert all(row["expected_amount"] is not None for row in rows)
    assert all(row["amount_low"] is None for row in rows)
    assert all(row["reason"] for row in methods)
    assert {row["target"] for row in methods} == {"orders", "amount"}
    chosen = [row["method"] for row in methods if row["is_chosen"]]
    assert chosen == (["last_window"] * 2 if rows else [])


def test_a_customer_of_the_future_is_not_forecast(tmp_path, build_warehouse):
    lines = [line(number, str(number), day=1 + number) for number in range(1, 21)]
    landing = write_landing(tmp_path / "future", lines)

    built = build_warehouse(landing, as_of_date="2011-01-12")

    query = "select customer_id from marts.rpt_customer_forecast order by 1"
    known = sorted(row["customer_id"] for row in lines[:10])
    assert built.values(query) == known
