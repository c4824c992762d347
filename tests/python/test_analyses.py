"""Every query in analyses/ runs, answers, and is named where a newcomer looks."""

import json
import re
from datetime import timedelta

import pandas as pd
import pytest
from conftest import PROJECT, run_dbt

# What each query promises; its README line and its first comment say the rest.
COLUMNS = {
    "best_customers": [
        "customer_id",
        "country_name",
        "net_amount",
        "order_count",
        "favourite_products",
        "segment_name",
        "recommended_action",
    ],
    "do_newer_customers_stay": [
        "cohort_date",
        "cohort_size",
        "retention_after_1",
        "retention_after_3",
        "retention_after_6",
        "amount_after_1",
        "amount_after_3",
        "amount_after_6",
        "is_left_censored",
    ],
    "how_first_orders_differ": [
        "order_step",
        "order_count",
        "median_gross_amount",
        "median_product_count",
        "median_item_count",
        "with_return_share",
        "fully_returned_share",
    ],
    "how_long_until_the_second_order": [
        "within_days",
        "customer_count",
        "returned_customers",
        "returned_share",
    ],
    "how_much_guests_buy": [
        "order_month",
        "order_count",
        "guest_order_count",
        "net_amount",
        "guest_net_amount",
        "guest_share",
    ],
    "place_a_new_customer": [
        "segment_name",
        "recommended_action",
        "distance_to_centroid",
    ],
    "what_sells_in_november": [
        "product_name",
        "november_amount",
        "extra_amount",
        "november_share",
        "usual_share",
    ],
    "which_countries_grow": [
        "country_name",
        "order_count_now",
        "net_amount_before",
        "net_amount_now",
        "growth",
        "growth_of_the_shop",
    ],
    "which_products_bring_people_back": [
        "product_name",
        "first_buyers",
        "returned_buyers",
        "return_share",
        "return_share_low",
        "usual_share",
    ],
    "which_returns_cost_most": [
        "product_name",
        "returned_amount",
        "returned_quantity",
        "return_rate",
        "customer_count",
        "days_to_return",
    ],
    "which_segments_grew_last_month": [
        "segment_name",
        "customers_before",
        "customers_after",
        "growth",
        "came",
        "came_new",
        "came_by_buying",
        "came_by_ageing",
        "went",
    ],
    "who_has_stopped_buying": [
        "customer_id",
        "country_name",
        "monetary_value",
        "frequency",
        "days_between_orders",
        "recency_days",
        "last_purchase_date",
        "favourite_products",
    ],
}
FILES = sorted((PROJECT / "analyses").glob("*.sql"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def queries(tmp_path_factory):
    """Compile the queries, for a warehouse file of the same name as the demo's."""
    folder = tmp_path_factory.mktemp("analyses")
    result = run_dbt(
        ["compile", "--warn-error", "--select", "resource_type:analysis"],
        folder=folder,
        landing=folder / "landing",
    )
    assert result.returncode == 0, result.stdout + result.stderr
    nodes = json.loads((folder / "target" / "manifest.json").read_text())["nodes"]
    return {
        node["name"]: node
        for node in nodes.values()
        if node["resource_type"] == "analysis"
    }


@pytest.fixture(scope="module")
def answer(queries, demo_net):
    def run(name):
        return demo_net.rows(queries[name]["compiled_code"])

    return run


def test_every_query_promises_columns():
    assert {path.stem for path in FILES} == set(COLUMNS)


@every_file
def test_first_comment_is_the_question(path):
    comment = re.match(r"(-- .*\n)+", path.read_text())

    assert comment
    assert "?" in comment.group(0)


def test_readme_names_every_query():
    readme = (PROJECT / "README.md").read_text()
    section = readme.split("## Which table answers my question?")[1].split("\n## ")[0]
    named = re.findall(r"^\| .+\? \| `(\w+)` \|$", section, flags=re.M)

    assert {path.stem for path in FILES} <= set(named)


def test_queries_read_marts_alone(queries):
    parents = {
        parent for query in queries.values() for parent in query["depends_on"]["nodes"]
    }
    marts = {path.stem for path in (PROJECT / "models" / "marts").glob("*/*.sql")}

    assert {parent.split(".")[-1] for parent in parents} <= marts


@every_file
def test_query_answers(answer, path):
    rows = answer(path.stem)

    assert rows
    assert list(rows[0]) == COLUMNS[path.stem]


def test_second_orders_are_counted_among_those_who_had_the_time(answer, demo_net):
    orders = pd.DataFrame(
        demo_net.rows(
            "select customer_id, cast(ordered_at as date) as day "
            "from marts.fct_orders where not is_guest"
        )
    )
    as_of = demo_net.value("select as_of_date from intermediate.int_as_of_date")
    days = {
        customer: sorted(set(group["day"]))
        for customer, group in orders.groupby("customer_id")
    }

    for row in answer("how_long_until_the_second_order"):
        span = timedelta(days=row["within_days"])
        had_time = [visits for visits in days.values() if as_of - visits[0] > span]
        came = [v for v in had_time if len(v) > 1 and v[1] - v[0] <= span]
        assert (row["customer_count"], row["returned_customers"]) == (
            len(had_time),
            len(came),
        )
        assert row["returned_share"] == pytest.approx(len(came) / len(had_time))


def test_first_products_are_compared_with_beginners_of_the_same_months(
    answer, demo_net
):
    lines = pd.DataFrame(
        demo_net.rows(
            "select customer_id, stock_code, cast(invoiced_at as date) as day "
            "from marts.fct_invoice_lines "
            "where line_type = 'purchase' and not is_guest"
        )
    )
    as_of = demo_net.value("select as_of_date from intermediate.int_as_of_date")
    names = dict(
        demo_net.arrow("select stock_code, product_name from marts.dim_products")
        .to_pandas()
        .to_records(index=False)
    )
    beginners = {}
    for customer, group in lines.groupby("customer_id"):
        visits = sorted(set(group["day"]))
        if (as_of - visits[0]).days > 90:
            returned = len(visits) > 1 and (visits[1] - visits[0]).days <= 90
            codes = set(group.loc[group["day"] == visits[0], "stock_code"])
            beginners[customer] = (visits[0].replace(day=1), returned, codes)
    frame = pd.DataFrame.from_dict(
        beginners, orient="index", columns=["month", "returned", "codes"]
    )
    frame["usual"] = frame.groupby("month")["returned"].transform("mean")
    products = frame.explode("codes").groupby("codes")
    expected = {
        names[code]: (len(group), group["returned"].sum(), group["usual"].mean())
        for code, group in products
    }

    rows = answer("which_products_bring_people_back")

    for row in rows:
        first, returned, usual = expected[row["product_name"]]
        assert (row["first_buyers"], row["returned_buyers"]) == (first, returned)
        assert row["first_buyers"] >= 50
        assert row["usual_share"] == pytest.approx(usual, abs=1e-8)


def test_segments_end_as_large_as_they_were_at_the_month_end(answer, demo_net):
    rows = answer("which_segments_grew_last_month")
    found = {row["segment_name"]: row["customers_after"] for row in rows}

    sizes = demo_net.rows(
        "select clusters.segment_name, count(*) as customer_count "
        "from marts.fct_customer_segments as segments "
        "inner join marts.dim_clusters as clusters using (model_id, cluster_id) "
        "where snapshot_date = (select max(snapshot_date) from marts.fct_customer_rfm "
        "where is_month_end) group by clusters.segment_name"
    )
    assert found == {row["segment_name"]: row["customer_count"] for row in sizes}
    for row in rows:
        assert row["growth"] == row["customers_after"] - row["customers_before"]
        assert row["growth"] == row["came"] - row["went"]


def test_guests_and_customers_make_up_the_revenue(answer, demo_net):
    rows = answer("how_much_guests_buy")

    assert sum(row["net_amount"] for row in rows) == demo_net.value(
        "select sum(net_amount) from marts.fct_orders"
    )
    assert (
        0
        < sum(row["guest_net_amount"] for row in rows)
        == demo_net.value("select sum(net_amount) from marts.fct_orders where is_guest")
    )


def test_who_has_stopped_buying_used_to_buy_a_lot(answer, demo_net):
    top = demo_net.value(
        "select quantile_cont(monetary_value, 0.75) from marts.fct_customer_rfm "
        "where is_current and unscored_reason is null"
    )

    for row in answer("who_has_stopped_buying"):
        assert row["monetary_value"] >= top
        assert row["recency_days"] > max(60, 3 * row["days_between_orders"] - 1)
