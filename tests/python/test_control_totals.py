"""The control totals agree on any build, and name the layer where something is lost."""

from datetime import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

ROWS = [
    {
        "invoice_no": invoice,
        "stock_code": code,
        "description": code,
        "quantity": quantity,
        "invoice_date": datetime(2011, 1, day),
        "unit_price": Decimal(price),
        "customer_id": customer,
        "country": "France",
    }
    for invoice, code, quantity, day, price, customer in [
        ("1", "22423", 10, 1, "2.50", "77"),
        ("1", "22423", 10, 1, "2.50", "77"),
        ("1", "POST", 1, 1, "9.99", "77"),
        ("2", "84879", 3, 2, "1.1050", "78"),
        ("3", "84879", 1, 2, "1.10", None),
        ("C4", "22423", -12, 3, "2.40", "77"),
        ("5", "22423", 4, 4, "2.50", "77"),
        ("6", "22423", 4, 4, "0", None),
    ]
]
CLUSTER_MODELS = pa.table(
    {
        "model_id": ["m", "m"],
        "cluster_id": [1, 2],
        "cluster_size": [1, 1],
        "feature": ["monetary_value", "monetary_value"],
        "transform": ["none", "none"],
        "feature_mean": [0.0, 0.0],
        "feature_deviation": [1.0, 1.0],
        "centroid_z": [10.0, 3.0],
        "centroid_value": [10.0, 3.0],
        "recency_z": [1.0, -1.0],
        "frequency_z": [1.0, -1.0],
        "monetary_z": [1.0, -1.0],
        "name_recency_z": [1.0, -1.0],
        "name_value_z": [1.0, -1.0],
        "is_current": [True, True],
    }
)
# What K-Means, which is no SQL, hands over.
MODELLED = {"ml_cluster_models": CLUSTER_MODELS}


def find_differences(models, **given):
    rows = models.run("rpt_control_totals", ROWS, given={**MODELLED, **given})
    compared = [row for row in rows if row["agrees_with"] is not None]
    assert len(compared) > 20
    return {
        (row["measure"], row["layer"])
        for row in compared
        if row["difference"] is None or row["difference"] != 0
    }


def lose_first(rows):
    return rows[1:]


def add_to_first(column, much):
    def change(rows):
        first = next(row for row in rows if row[column])
        return [
            row | {column: row[column] + much} if row is first else row for row in rows
        ]

    return change


def test_nothing_differs_on_a_sound_build(net_models):
    assert find_differences(net_models) == set()


@pytest.mark.parametrize(
    ("table", "fault", "measure", "layer"),
    [
        ("int_lines_classified", lose_first, "line_count", "classified"),
        ("fct_invoice_lines", lose_first, "line_count", "used_and_set_aside"),
        ("fct_rejected_lines", lose_first, "line_count", "used_and_set_aside"),
        (
            "fct_invoice_lines",
            add_to_first("line_amount", Decimal("0.0001")),
            "line_amount",
            "used_and_set_aside",
        ),
        (
            "fct_invoice_lines",
            add_to_first("net_amount", Decimal("0.0001")),
            "line_amount",
            "used_net_of_returns",
        ),
        (
            "fct_invoice_lines",
            add_to_first("returned_quantity", 1),
            "returned_quantity",
            "allocations",
        ),
        ("fct_return_allocations", lose_first, "return_amount", "allocations"),
        (
            "fct_orders",
            add_to_first("gross_amount", Decimal("0.0001")),
            "gross_amount",
            "orders",
        ),
        (
            "fct_orders",
            add_to_first("returned_item_count", 1),
            "returned_quantity",
            "orders",
        ),
        (
            "dim_products",
            add_to_first("returned_amount", Decimal("0.0001")),
            "returned_amount",
            "products",
        ),
        ("dim_customers", lose_first, "customer_count", "rfm"),
        ("dim_customers", lose_first, "order_count", "customers"),
        (
            "dim_customers",
            add_to_first("other_amount", Decimal("0.0001")),
            "known_line_amount",
            "customers",
        ),
        ("fct_customer_rfm", lose_first, "counted_order_count", "rfm"),
        (
            "fct_customer_rfm",
            add_to_first("monetary_value", Decimal("0.0001")),
            "counted_amount",
            "rfm",
        ),
        ("dim_customer_segments", lose_first, "customer_count", "customer_segments"),
        ("dim_segments", lose_first, "clustered_customer_count", "segments"),
        ("dim_segments", lose_first, "clustered_amount", "segments"),
    ],
)
def test_a_fault_shows_at_its_layer(net_models, table, fault, measure, layer):
    sound = net_models.run(table, ROWS, given=MODELLED)
    faulty = pa.Table.from_pylist(fault(sound))

    assert (measure, layer) in find_differences(net_models, **{table: faulty})
