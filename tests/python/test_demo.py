import hashlib
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from retail_segments import demo as demo_module
from retail_segments.demo import (
    ARCHETYPE_NAMES,
    LINE_KINDS,
    LINES_FILE,
    DemoFiles,
    write_demo,
)
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from sklearn.preprocessing import StandardScaler

FEE_CODES = {
    "POST", "DOT", "C2", "M", "D", "S", "B", "BANK CHARGES", "AMAZONFEE", "CRUK",
    "GIFT_0001_20",
}  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return write_demo(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def lines(demo: DemoFiles) -> pd.DataFrame:
    return read_lines(demo)


@pytest.fixture(scope="module")
def distinct_lines(lines: pd.DataFrame) -> pd.DataFrame:
    return lines[~lines["is_copy"]]


def read_lines(demo: DemoFiles) -> pd.DataFrame:
    lines = pd.read_parquet(demo.lines)
    lines["code"] = lines["StockCode"].str.strip().str.upper()
    lines["is_product"] = ~lines["code"].isin(FEE_CODES)
    trimmed = lines.assign(
        StockCode=lines["code"], Description=lines["Description"].str.strip()
    )
    lines["is_copy"] = trimmed.duplicated()
    return lines


def read_purchases(lines: pd.DataFrame) -> pd.DataFrame:
    is_purchase = (lines["Quantity"] > 0) & (lines["UnitPrice"] > 0)
    return lines[is_purchase & lines["is_product"] & lines["CustomerID"].notna()]


def read_returns(lines: pd.DataFrame) -> pd.DataFrame:
    is_return = (lines["Quantity"] < 0) & (lines["UnitPrice"] > 0)
    return lines[is_return & lines["is_product"] & lines["CustomerID"].notna()]


def digest(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_size_and_shares_are_near_those_of_the_real_data_set(
    demo: DemoFiles, lines: pd.DataFrame
) -> None:
    counts = demo.counts
    assert len(lines) == counts["lines"]
    assert lines["InvoiceNo"].nunique() == counts["invoices"]
    assert 500_000 < counts["lines"] < 600_000
    assert 24_000 < counts["invoices"] < 30_000
    assert 3_300 < counts["cancellation_invoices"] < 4_500
    assert lines["CustomerID"].isna().mean() == pytest.approx(0.25, abs=0.03)
    assert lines["is_copy"].mean() == pytest.approx(0.01, abs=0.002)
    assert lines["code"].nunique() == pytest.approx(3_500, rel=0.02)
    assert lines["Country"].nunique() >= 20
    customers = lines.dropna(subset="CustomerID").drop_duplicates("CustomerID")
    assert len(customers) == pytest.approx(4_300, rel=0.01)
    assert (customers["Country"] == "United Kingdom").mean() == pytest.approx(
        0.9, abs=0.03
    )


def test_orders_and_returns_are_spread_as_in_the_real_data_set(
    distinct_lines: pd.DataFrame,
) -> None:
    purchases = read_purchases(distinct_lines)
    orders = purchases.groupby("CustomerID")["InvoiceNo"].nunique()
    assert (orders == 1).mean() == pytest.approx(0.35, abs=0.05)
    assert orders.median() == 2
    assert orders.max() > 40
    share = len(read_returns(distinct_lines)) / len(purchases)
    assert share == pytest.approx(0.022, abs=0.006)
    month = purchases["InvoiceDate"].dt.to_period("M")
    orders_by_month = purchases.groupby(month)["InvoiceNo"].nunique()
    assert orders_by_month.idxmax() == pd.Period("2024-11", "M")


def test_layout_is_that_of_the_online_retail_data_set(demo: DemoFiles) -> None:
    relation = duckdb.read_parquet(str(demo.lines))
    assert list(zip(relation.columns, map(str, relation.types), strict=True)) == [
        ("InvoiceNo", "VARCHAR"),
        ("StockCode", "VARCHAR"),
        ("Description", "VARCHAR"),
        ("Quantity", "INTEGER"),
        ("InvoiceDate", "TIMESTAMP"),
        ("UnitPrice", "DOUBLE"),
        ("CustomerID", "INTEGER"),
        ("Country", "VARCHAR"),
    ]


def test_shop_is_closed_on_saturdays_and_at_night(lines: pd.DataFrame) -> None:
    assert lines["InvoiceDate"].min() >= pd.Timestamp("2023-12-01 07:00")
    assert lines["InvoiceDate"].max() < pd.Timestamp("2024-12-08 21:00")
    assert not (lines["InvoiceDate"].dt.day_of_week == 5).any()
    assert lines["InvoiceDate"].dt.hour.between(7, 20).all()


def test_invoice_numbers_increase_with_time(lines: pd.DataFrame) -> None:
    assert lines["InvoiceNo"].str.fullmatch(r"[CA]?\d{6}").all()
    number = lines["InvoiceNo"].str[-6:].astype(int)
    assert number.is_monotonic_increasing
    assert lines["InvoiceDate"].is_monotonic_increasing
    in_order = lines.sort_values(["InvoiceDate", "InvoiceNo"], kind="stable")
    assert in_order.index.equals(lines.index)
    assert number.nunique() == lines["InvoiceNo"].nunique()


def test_invoice_has_one_instant_one_customer_and_one_country(
    lines: pd.DataFrame,
) -> None:
    columns = ["InvoiceDate", "CustomerID", "Country"]
    assert (lines.groupby("InvoiceNo")[columns].nunique(dropna=False) == 1).all(
        axis=None
    )


def test_stock_code_is_on_an_invoice_once_up_to_copies(
    distinct_lines: pd.DataFrame,
) -> None:
    assert not distinct_lines.duplicated(["InvoiceNo", "code"]).any()


def test_copies_differ_at_most_in_case_and_blanks(lines: pd.DataFrame) -> None:
    texts = ["StockCode", "Description"]
    plain = ["InvoiceNo", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID"]
    assert lines.duplicated([*plain, *texts]).sum() < lines["is_copy"].sum()


def test_invoice_numbers_get_a_digit_more_when_six_do_not_suffice() -> None:
    with duckdb.connect() as warehouse:
        warehouse.execute(
            """
            create table invoices as
            select
                i as invoice_key, i as minute, '' as prefix, 0 as customer_id,
                0 as country_id
            from range(500_001) as numbers(i)
            """
        )
        demo_module._number_invoices(warehouse)
        widths = warehouse.sql(
            "select distinct length(invoice_no) from numbered_invoices"
        ).fetchall()
    assert widths == [(7,)]


def test_rejected_lines_are_those_that_the_rules_set_aside(
    demo: DemoFiles, lines: pd.DataFrame
) -> None:
    prefix = lines["InvoiceNo"].str[0]
    is_free = lines["UnitPrice"] <= 0
    reason = pd.Series(pd.NA, index=lines.index, dtype="object")
    reason[is_free] = "non_positive_price"
    reason[is_free & (lines["Quantity"] < 0) & (prefix != "C")] = "stock_write_off"
    reason[lines["Quantity"] == 0] = "zero_quantity"
    reason[prefix == "A"] = "bad_debt_adjustment"
    reason[lines["is_copy"]] = "exact_duplicate"

    expected = lines.assign(reason=reason).dropna(subset="reason")
    expected = expected.groupby(["InvoiceNo", "code", "reason"]).size()
    truth = pd.read_parquet(demo.rejected)
    keys = ["invoice_no", "stock_code", "reject_reason"]
    actual = truth.set_index(keys)["line_count"].sort_index()
    assert actual.to_dict() == expected.to_dict()
    for name, count in truth.groupby("reject_reason")["line_count"].sum().items():
        assert demo.counts[f"rejected_as_{name}"] == count

    usable = lines[reason.isna()]
    customers = pd.read_parquet(demo.customers)
    assert customers["customer_id"].tolist() == sorted(
        usable["CustomerID"].dropna().unique()
    )
    assert set(customers["archetype"]) == set(ARCHETYPE_NAMES)


def serve_returns(trade: list[tuple[str, int]]) -> list[tuple[str, str, int]]:
    """Allocate one customer's returns of one code by crossing off single units."""
    units: list[str] = []
    allocated: dict[tuple[str, str], int] = defaultdict(int)
    for number, quantity in trade:
        if quantity > 0:
            units += [number] * quantity
            continue
        for _ in range(-quantity):
            allocated[number, units.pop(0) if units else ""] += 1
    return sorted((*key, quantity) for key, quantity in allocated.items())


def test_identifiable_returns_are_those_that_first_in_first_out_finds(
    demo: DemoFiles, distinct_lines: pd.DataFrame
) -> None:
    truth = pd.read_parquet(demo.returns)
    truth["purchase_invoice_no"] = truth["purchase_invoice_no"].fillna("")
    key = ["customer_id", "stock_code"]
    trade = pd.concat([read_purchases(distinct_lines), read_returns(distinct_lines)])
    trade = trade.astype({"CustomerID": "int64"}).rename(
        columns={"CustomerID": "customer_id", "code": "stock_code"}
    )
    trade = trade.merge(truth[key].drop_duplicates())
    trade["is_return"] = trade["Quantity"] < 0
    trade = trade.sort_values(["InvoiceDate", "is_return", "InvoiceNo"])
    # Crossing off the units of a lot of many thousands would take the test's time.
    trade = trade[trade.groupby(key)["Quantity"].transform("max") < 3_000]
    trades = defaultdict(list)
    columns = [*key, "InvoiceNo", "Quantity"]
    for customer, code, *event in trade[columns].itertuples(index=False):
        trades[customer, code].append(tuple(event))
    plans = defaultdict(list)
    columns = [*key, "is_identifiable", "return_invoice_no", "purchase_invoice_no"]
    for customer, code, is_identifiable, *row in truth[
        [*columns, "quantity"]
    ].itertuples(index=False):
        plans[customer, code, is_identifiable].append(tuple(row))

    checked = defaultdict(int)
    for (customer, code, is_identifiable), plan in plans.items():
        if (customer, code) in trades:
            found = serve_returns(trades[customer, code])
            assert is_identifiable == (sorted(plan) == found)
            checked[is_identifiable] += 1
    assert checked[True] > 5_000
    assert checked[False] > 500


def test_returns_follow_their_purchase_at_its_price(
    demo: DemoFiles, distinct_lines: pd.DataFrame
) -> None:
    truth = pd.read_parquet(demo.returns)
    line_key = ["return_invoice_no", "stock_code"]
    columns = ["CustomerID", "InvoiceDate", "UnitPrice", "Quantity"]
    by_line = distinct_lines.set_index(["InvoiceNo", "code"])[columns]
    returned = truth.join(by_line, on=line_key)
    assert (returned["customer_id"] == returned["CustomerID"]).all()
    units = returned.groupby(line_key).agg({"quantity": "sum", "Quantity": "first"})
    assert (units["quantity"] == -units["Quantity"]).all()
    assert len(units) == len(read_returns(distinct_lines))

    known = returned.dropna(subset="purchase_invoice_no").join(
        by_line, on=["purchase_invoice_no", "stock_code"], suffixes=("", "_bought")
    )
    assert (known["InvoiceDate"] > known["InvoiceDate_bought"]).all()
    assert (known["UnitPrice"] == known["UnitPrice_bought"]).all()
    assert (known["CustomerID"] == known["CustomerID_bought"]).all()
    bought = known.groupby(["purchase_invoice_no", "stock_code"]).agg(
        {"quantity": "sum", "Quantity_bought": "first"}
    )
    assert (bought["quantity"] <= bought["Quantity_bought"]).all()
    same_day = known["InvoiceDate"].dt.date == known["InvoiceDate_bought"].dt.date
    assert same_day.any()
    assert returned["purchase_invoice_no"].isna().sum() > 100


def test_planted_pairs_are_bought_together(
    demo: DemoFiles, distinct_lines: pd.DataFrame
) -> None:
    purchases = read_purchases(distinct_lines)
    baskets = purchases.groupby("code")["InvoiceNo"].agg(set)
    pairs = pd.read_parquet(demo.pairs)
    assert len(pairs) == 20
    for antecedent, consequent, probability in pairs.itertuples(index=False):
        both = len(baskets[antecedent] & baskets[consequent])
        confidence = both / len(baskets[antecedent])
        # Some have the consequent in their basket on their own account.
        assert probability - 0.07 < confidence < probability + 0.15
        assert both / purchases["InvoiceNo"].nunique() > 0.01


def test_dirt_is_counted(demo: DemoFiles, lines: pd.DataFrame) -> None:
    counts, text = demo.counts, lines["Description"]
    assert counts["missing_descriptions"] == text.isna().sum()
    assert counts["question_mark_descriptions"] == (text == "?").sum()
    assert (
        counts["descriptions_with_trailing_spaces"]
        == (text != text.str.rstrip()).sum() - text.isna().sum()
    )
    inner = text.str.strip()
    assert counts["descriptions_with_double_spaces"] == inner.str.contains("  ").sum()
    assert (
        counts["lower_case_stock_codes"] == (lines["StockCode"] != lines["code"]).sum()
    )
    mills = (lines["UnitPrice"] * 1000).round()
    assert counts["prices_in_tenths_of_a_penny"] == (mills % 10 != 0).sum()
    countries = lines.groupby("CustomerID")["Country"].nunique()
    assert counts["customers_in_two_countries"] == (countries > 1).sum()
    assert sum(counts[f"{kind}_lines"] for kind in LINE_KINDS) == len(lines)


def test_a_code_has_several_descriptions(distinct_lines: pd.DataFrame) -> None:
    products = distinct_lines[distinct_lines["is_product"]]
    names = products["Description"].str.strip().str.upper().str.replace("  ", " ")
    usual = names.groupby(products["code"]).value_counts()
    several = (usual[usual > 3].groupby("code").size() > 1).mean()
    assert 0.05 < several < 0.3


def test_kmeans_finds_the_archetypes_to_a_fair_degree(
    demo: DemoFiles, distinct_lines: pd.DataFrame
) -> None:
    purchases = read_purchases(distinct_lines)
    purchases = purchases.assign(amount=purchases["Quantity"] * purchases["UnitPrice"])
    rfm = purchases.groupby("CustomerID").agg(
        last=("InvoiceDate", "max"),
        frequency=("InvoiceNo", "nunique"),
        monetary_value=("amount", "sum"),
    )
    as_of = distinct_lines["InvoiceDate"].max().normalize() + pd.Timedelta(days=1)
    rfm["recency_days"] = (as_of - rfm.pop("last").dt.normalize()).dt.days
    archetype = pd.read_parquet(demo.customers).set_index("customer_id")["archetype"]
    features = StandardScaler().fit_transform(np.log1p(rfm))
    kmeans = KMeans(n_clusters=len(ARCHETYPE_NAMES), n_init=10, random_state=42)
    index = adjusted_rand_score(
        archetype.loc[rfm.index.astype(int)], kmeans.fit_predict(features)
    )
    print(f"adjusted Rand index of archetypes and clusters: {index:.3f}")
    assert 0.45 < index < 0.8


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    write_demo(tmp_path / "first", customers=1_300, seed=3)
    write_demo(tmp_path / "other", customers=1_300, seed=4)
    script = (
        "import sys; from pathlib import Path;"
        "from retail_segments.demo import write_demo;"
        "write_demo(Path(sys.argv[1]), customers=1_300, seed=3)"
    )
    source = Path(demo_module.__file__).parents[1]
    environment = os.environ | {"PYTHONHASHSEED": "77", "PYTHONPATH": str(source)}
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "second")],
        env=environment,
        check=True,
    )
    first = digest(tmp_path / "first")
    assert len(first) == 6
    assert digest(tmp_path / "second") == first
    other = digest(tmp_path / "other")
    assert all(other[name] != first[name] for name in first)


def test_customers_do_not_depend_on_how_many_follow(tmp_path: Path) -> None:
    few = read_lines(write_demo(tmp_path / "few", customers=1_200))
    many = read_lines(write_demo(tmp_path / "many", customers=2_000))

    def first_thousand(lines: pd.DataFrame) -> pd.DataFrame:
        mine = lines[lines["CustomerID"] < 12346 + 1_000].drop(columns="InvoiceNo")
        return mine.sort_values([*mine.columns], ignore_index=True)

    pd.testing.assert_frame_equal(first_thousand(few), first_thousand(many))
    assert many["CustomerID"].max() == 12346 + 1_999


def test_rare_things_are_in_small_demos_too(tmp_path: Path) -> None:
    small = write_demo(tmp_path, customers=200)
    assert 15_000 < small.counts["lines"] < 40_000
    assert all(small.counts[f"{kind}_lines"] > 0 for kind in LINE_KINDS)


def test_progress_reaches_the_number_of_customers(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    write_demo(tmp_path, customers=1_001, progress=lambda *step: steps.append(step))
    assert steps == [(1_000, 1_001), (1_001, 1_001)]


def test_a_demo_that_fails_leaves_the_former_one(tmp_path: Path) -> None:
    write_demo(tmp_path, customers=20)
    before = digest(tmp_path)

    def fail(done: int, customers: int) -> None:
        raise RuntimeError(f"{done} of {customers}")

    with pytest.raises(RuntimeError, match="1000 of 1500"):
        write_demo(tmp_path, customers=1_500, progress=fail)
    assert digest(tmp_path) == before

    write_demo(tmp_path, customers=20, seed=1)
    after = digest(tmp_path)
    assert set(after) == set(before)
    assert after[LINES_FILE] != before[LINES_FILE]


def test_refuses_no_customers_and_negative_seeds(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1 customer, not 0"):
        write_demo(tmp_path, customers=0)
    with pytest.raises(ValueError, match="negative: -5"):
        write_demo(tmp_path, seed=-5)
    assert not digest(tmp_path)
