"""What segments are worth, how they buy and what they like, worked out in pandas."""

import numpy as np
import pandas as pd
import pytest
from conftest import make_once, shared_folder
from retail_segments.demo import write_demo
from retail_segments.load import load_files

METRICS = [
    "recency_days",
    "frequency",
    "monetary_value",
    "average_order_value",
    "items_per_order",
    "product_count",
    "days_between_orders",
    "tenure_days",
    "return_rate",
]
CUSTOMERS = 600


def write_and_load(folder):
    demo = write_demo(folder / "demo", customers=CUSTOMERS)
    load_files([demo.lines], landing=folder / "landing", kind="demo")


@pytest.fixture(scope="module")
def demo(build_warehouse, tmp_path_factory):
    folder = make_once(shared_folder(tmp_path_factory) / "demo-small", write_and_load)
    return build_warehouse(folder / "landing", with_gates=False)


@pytest.fixture(
    scope="module", params=["demo", "real_net", "real_textbook"], ids=lambda name: name
)
def warehouse(request):
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="module")
def clustered(warehouse):
    """Read every clustered customer with all that is compared."""
    columns = ", ".join(f"cast({metric} as double) as {metric}" for metric in METRICS)
    customers = pd.DataFrame(
        warehouse.rows(
            f"select cluster_id, customer_id, {columns} "
            "from intermediate.int_customers_snapshotted "
            "inner join (select customer_id, cluster_id "
            "from marts.fct_customer_segments where is_current) using (customer_id) "
            "where is_current"
        )
    )
    assert len(customers) == warehouse.value(
        "select count(cluster_id) from marts.dim_customer_segments"
    )
    return customers.set_index("customer_id").sort_index()


def test_segments_are_worth_what_their_customers_are(warehouse, clustered):
    customers = warehouse.rows(
        "select customer_id, monetary_value, returned_amount "
        "from marts.fct_customer_rfm "
        "inner join marts.dim_customers using (customer_id) where is_current"
    )
    cluster_of = clustered["cluster_id"].to_dict()
    expected = {number: [0, 0, 0] for number in set(cluster_of.values())}
    for row in customers:
        if row["customer_id"] in cluster_of:
            sums = expected[cluster_of[row["customer_id"]]]
            sums[0] += 1
            sums[1] += row["monetary_value"]
            sums[2] += row["returned_amount"]
    totals = [sum(column) for column in zip(*expected.values(), strict=True)]

    found = warehouse.rows("select * from marts.dim_segments")

    assert len(found) == len(expected)
    assert all(total > 0 for total in totals)
    for row in found:
        sums = expected[row["cluster_id"]]
        assert [
            row[name]
            for name in ("customer_count", "monetary_value", "returned_amount")
        ] == sums
        assert [
            row[name] for name in ("customer_share", "monetary_share", "returned_share")
        ] == pytest.approx(
            [float(part / total) for part, total in zip(sums, totals, strict=True)]
        )


def test_profiles_equal_those_of_pandas(warehouse, clustered):
    logs = np.log1p(clustered[METRICS])
    deviations = logs.std(ddof=0).where(clustered[METRICS].nunique() > 1)
    standardised = ((logs - logs.mean()) / deviations).fillna(0)
    everybody = clustered[METRICS].mean()

    found = {
        (row["cluster_id"], row["metric"]): row
        for row in warehouse.rows("select * from marts.rpt_segment_profiles")
    }

    clusters = clustered.groupby("cluster_id")
    assert set(found) == {(n, metric) for n in clusters.groups for metric in METRICS}
    for number, members in clusters[METRICS]:
        for metric in METRICS:
            values = members[metric]
            quartiles = np.percentile(values, [25, 50, 75])
            row = found[number, metric]
            assert row["customer_count"] == len(values)
            assert row["customer_share"] == pytest.approx(len(values) / len(clustered))
            assert [
                row[name] for name in ("first_quartile", "median", "third_quartile")
            ] == pytest.approx(quartiles.tolist(), abs=1e-8)
            assert row["mean"] == pytest.approx(values.mean(), abs=1e-6)
            assert row["population_mean"] == pytest.approx(everybody[metric], abs=1e-6)
            assert row["relative_importance"] == pytest.approx(
                values.mean() / everybody[metric] - 1, abs=1e-8
            )
            assert row["standardised_mean"] == pytest.approx(
                standardised.loc[members.index, metric].mean(), abs=1e-8
            )


def list_items(warehouse, clustered):
    """List customer, kind, item and amount, once for each customer and item."""
    bought = pd.DataFrame(
        warehouse.rows(
            "select customer_id, stock_code as item, counted_amount as amount "
            "from marts.fct_invoice_lines "
            "where is_product and counted_quantity > 0 and customer_id is not null"
        )
    )
    lived = pd.DataFrame(
        warehouse.rows(
            "select customer_id, country_name as item, monetary_value as amount "
            "from marts.dim_customers inner join marts.fct_customer_rfm "
            "using (customer_id) where is_current and country_name is not null"
        )
    )
    items = pd.concat([bought.assign(kind="product"), lived.assign(kind="country")])
    # Whole ten-thousandths, so that sums are exact.
    items["amount"] = (
        (items["amount"].astype("float64") * 10_000).round().astype("int64")
    )
    items = items.groupby(["customer_id", "kind", "item"], as_index=False)[
        "amount"
    ].sum()
    return items.join(clustered["cluster_id"], on="customer_id", how="inner")


def test_affinities_equal_those_of_pandas(warehouse, clustered):
    items = list_items(warehouse, clustered)
    sizes = clustered.groupby("cluster_id").size()
    table = items.groupby(["cluster_id", "kind", "item"], as_index=False).agg(
        customer_count=("customer_id", "nunique"), amount=("amount", "sum")
    )
    table["everywhere"] = table.groupby(["kind", "item"])["customer_count"].transform(
        "sum"
    )
    table["size"] = table["cluster_id"].map(sizes)
    table["lift"] = (
        table["customer_count"] / table["size"] / (table["everywhere"] / len(clustered))
    ).round(9)
    table["is_supported"] = (table["everywhere"] >= 20) & (table["customer_count"] >= 5)
    groups = ["cluster_id", "kind"]
    by_lift = table[table["is_supported"]].sort_values(
        [*groups, "lift", "customer_count", "amount", "item"],
        ascending=[True, True, False, False, False, True],
    )
    table["lift_rank"] = by_lift.groupby(groups).cumcount() + 1
    by_amount = table.sort_values(
        [*groups, "amount", "customer_count", "item"],
        ascending=[True, True, False, False, True],
    )
    table["amount_rank"] = by_amount.groupby(groups).cumcount() + 1
    kept = table[(table["lift_rank"] <= 20) | (table["amount_rank"] <= 20)]
    expected = {
        (row.cluster_id, row.kind, row.item): (
            row.customer_count,
            row.everywhere,
            row.amount,
            None if np.isnan(row.lift_rank) else int(row.lift_rank),
            row.amount_rank,
            row.is_supported,
        )
        for row in kept.itertuples()
    }

    found = {
        (row["cluster_id"], row["kind"], row["item"]): row
        for row in warehouse.rows("select * from marts.rpt_segment_affinities")
    }

    assert {kind for _, kind, _ in expected} == {"product", "country"}
    assert {
        key: (
            row["customer_count"],
            row["all_customer_count"],
            int(row["amount"] * 10_000),
            row["lift_rank"],
            row["amount_rank"],
            row["is_supported"],
        )
        for key, row in found.items()
    } == expected
    lifts = kept.set_index(["cluster_id", "kind", "item"])["lift"]
    for key, row in found.items():
        assert row["lift"] == pytest.approx(lifts[key], abs=1e-8)
        assert row["lift"] == pytest.approx(
            row["segment_share"] / row["population_share"], abs=1e-8
        )
