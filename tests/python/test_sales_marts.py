"""What the shop sells, worked out a second time in pandas, and on inputs with nothing.

Money is counted in whole ten-thousandths, so that sums are exact.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
import oracle
import pandas as pd
import pyarrow as pa
import pytest
from conftest import lists_of
from hypothesis import given, settings
from hypothesis import strategies as st

SALES = [
    "rpt_sales_monthly",
    "rpt_sales_by_country",
    "rpt_sales_by_weekday_hour",
    "rpt_order_values",
    "rpt_purchase_frequency",
    "rpt_revenue_concentration",
    "rpt_product_sales",
    "rpt_inter_purchase_times",
    "rpt_customer_rhythms",
    "rpt_reject_reasons",
    "rpt_column_profiles",
]
MONTHS = {
    "2010-12": ("570422.73", 1_400),
    "2011-01": ("568101.31", 987),
    "2011-02": ("446084.92", 997),
    "2011-03": ("594081.76", 1_321),
    "2011-04": ("468374.33", 1_149),
    "2011-05": ("677355.15", 1_555),
    "2011-06": ("660046.05", 1_393),
    "2011-07": ("598962.90", 1_331),
    "2011-08": ("644051.04", 1_280),
    "2011-09": ("950690.20", 1_755),
    "2011-10": ("1035642.45", 1_929),
    "2011-11": ("1156205.61", 2_657),
    "2011-12": ("517190.44", 778),
}
COUNTRIES = {
    "United Kingdom": "7285024.64",
    "Netherlands": "285446.34",
    "EIRE": "265262.46",
    "Germany": "228678.40",
    "France": "208934.31",
    "Australia": "138453.81",
    "Spain": "61558.56",
    "Switzerland": "56443.95",
    "Belgium": "41196.34",
    "Sweden": "38367.83",
}
FOLDED = {
    "Czech Republic": "Czechia",
    "EIRE": "Ireland",
    "RSA": "South Africa",
    "USA": "United States",
}
PENNY = Decimal("0.01")


def units(amount):
    """Count money in whole ten-thousandths."""
    return int(amount * 10_000)


def close(found, expected):
    return (found is None and np.isnan(expected)) or found == pytest.approx(
        expected, abs=1e-9
    )


@pytest.fixture(scope="module", params=["net", "textbook"])
def basis(request):
    return request.param


@pytest.fixture(scope="module")
def warehouse(basis, request):
    return request.getfixturevalue(f"real_{basis}")


@pytest.fixture(scope="module")
def lines(basis, warehouse):
    """Usable lines with what a queue finds sent back, and what counts of them."""
    rows = warehouse.rows(
        "select invoice_line_id, invoice_number, customer_id, stock_code, line_type, "
        "country_name, quantity, unit_price, is_product, invoiced_at "
        "from marts.fct_invoice_lines"
    )
    back_units, back_money = {}, {}
    for part in oracle.allocate_returns(rows):
        key = part.purchase_id
        back_units[key] = back_units.get(key, 0) + part.quantity
        back_money[key] = back_money.get(key, 0) + units(part.amount)
    frame = pd.DataFrame(rows)
    frame["price"] = [units(price) for price in frame["unit_price"]]
    frame["amount"] = frame["quantity"] * frame["price"]
    frame["back_units"] = frame["invoice_line_id"].map(back_units).fillna(0).astype(int)
    frame["back"] = frame["invoice_line_id"].map(back_money).fillna(0).astype(int)
    frame["is_sold"] = frame["line_type"] == "purchase"
    if basis == "net":
        counts = frame["is_sold"]
        frame["counted_units"] = (frame["quantity"] - frame["back_units"]).where(
            counts, 0
        )
        frame["counted"] = (frame["amount"] - frame["back"]).where(counts, 0)
    else:
        counts = (frame["quantity"] > 0) & frame["customer_id"].notna()
        frame["counted_units"] = frame["quantity"].where(counts, 0)
        frame["counted"] = frame["amount"].where(counts, 0)
    frame["counts"] = counts
    frame.attrs["unmatched"] = back_money[None]
    return frame


@pytest.fixture(scope="module")
def orders(lines):
    """Invoices that count, guests' included; an invoice is one customer's."""
    counted = lines[lines["counts"]].copy()
    counted["customer"] = counted["customer_id"].fillna("guest")
    counted["kept_at"] = counted["invoiced_at"].where(counted["counted_units"] > 0)
    grouped = counted.groupby(["invoice_number", "customer"])
    frame = grouped.agg(
        amount=("counted", "sum"),
        units=("counted_units", "sum"),
        at=("kept_at", "min"),
        country=("country_name", "min"),
    ).reset_index()
    frame = frame[frame["units"] > 0].copy()
    frame["is_guest"] = frame["customer"] == "guest"
    frame["month"] = frame["at"].dt.strftime("%Y-%m")
    known = frame[~frame["is_guest"]]
    frame["first_month"] = frame["customer"].map(
        known.groupby("customer")["at"].min().dt.strftime("%Y-%m")
    )
    return frame


@pytest.fixture(scope="module")
def customers(orders):
    known = orders[~orders["is_guest"]]
    return known.groupby("customer").agg(
        orders=("at", "size"), amount=("amount", "sum")
    )


def test_published_months(real_file, real_textbook):
    raw = pd.read_parquet(real_file).drop_duplicates()
    price = (raw["UnitPrice"] * 10_000).round().astype("int64")
    clean = raw[raw["CustomerID"].notna() & (raw["Quantity"] > 0) & (price > 0)]
    amounts = (clean["Quantity"].astype("int64") * price[clean.index]).groupby(
        clean["InvoiceDate"].dt.strftime("%Y-%m")
    )
    invoices = clean.groupby(clean["InvoiceDate"].dt.strftime("%Y-%m"))["InvoiceNo"]
    recomputed = {
        month: (int(amount), int(count))
        for month, amount, count in zip(
            amounts.groups, amounts.sum(), invoices.nunique(), strict=True
        )
    }
    found = {
        f"{row['sales_month']:%Y-%m}": (
            units(row["counted_amount"]),
            row["order_count"],
        )
        for row in real_textbook.rows("select * from marts.rpt_sales_monthly")
    }

    assert found == recomputed
    assert {
        month: (str((Decimal(amount) / 10_000).quantize(PENNY)), count)
        for month, (amount, count) in found.items()
    } == MONTHS


def test_published_countries(real_textbook):
    rows = real_textbook.rows(
        "select * from marts.rpt_sales_by_country order by amount_rank limit 10"
    )

    assert {
        row["country_name"]: str(row["counted_amount"].quantize(PENNY)) for row in rows
    } == COUNTRIES
    assert [row["amount_rank"] for row in rows] == list(range(1, 11))


def test_months(warehouse, lines, orders):
    sold = lines[lines["is_sold"]]
    by_month = sold["invoiced_at"].dt.strftime("%Y-%m")
    returns = lines[lines["line_type"] == "return"]
    refunded = -returns.groupby(returns["invoiced_at"].dt.strftime("%Y-%m"))[
        "amount"
    ].sum()
    grouped = orders.groupby("month")
    known = orders[~orders["is_guest"]]
    new = known[known["month"] == known["first_month"]]
    expected = pd.DataFrame(
        {
            "gross_amount": sold.groupby(by_month)["amount"].sum(),
            "returned_amount": sold.groupby(by_month)["back"].sum(),
            "refunded_amount": refunded,
            "counted_amount": grouped["amount"].sum(),
            "guest_amount": orders[orders["is_guest"]].groupby("month")["amount"].sum(),
            "order_count": grouped.size(),
            "guest_order_count": grouped["is_guest"].sum(),
            "customer_count": known.groupby("month")["customer"].nunique(),
            "new_customer_count": new.groupby("month")["customer"].nunique(),
            "item_count": grouped["units"].sum(),
        }
    ).fillna(0)
    found = warehouse.rows("select * from marts.rpt_sales_monthly order by sales_month")

    assert [f"{row['sales_month']:%Y-%m}" for row in found] == list(expected.index)
    for row, (_, month) in zip(found, expected.iterrows(), strict=True):
        for name in ("gross", "returned", "refunded", "counted", "guest"):
            assert units(row[f"{name}_amount"]) == month[f"{name}_amount"], name
        for name in ("order", "guest_order", "customer", "new_customer"):
            assert row[f"{name}_count"] == month[f"{name}_count"], name
        assert row["net_amount"] == row["gross_amount"] - row["returned_amount"]
        assert (
            row["returning_customer_count"]
            == month["customer_count"] - month["new_customer_count"]
        )
        assert row["average_order_value"] == pytest.approx(
            month["counted_amount"] / month["order_count"] / 10_000
        )
        assert row["items_per_order"] == pytest.approx(
            month["item_count"] / month["order_count"]
        )
    assert (
        sum(units(row["unmatched_refund_amount"]) for row in found)
        == lines.attrs["unmatched"]
    )


def test_growth_and_trend_of_complete_months(warehouse, orders):
    amounts = orders.groupby("month")["amount"].sum() / 10_000
    complete = amounts.drop("2011-12")
    line = np.polyfit(np.arange(1, 13), complete, 1)
    found = warehouse.rows("select * from marts.rpt_sales_monthly order by sales_month")

    assert [row["is_partial"] for row in found] == 12 * [False] + [True]
    growth = complete.pct_change().reindex(amounts.index)
    index = (complete / complete.mean()).reindex(amounts.index)
    for number, row in enumerate(found):
        assert close(row["growth_on_last_month"], growth.iloc[number])
        assert close(row["amount_index"], index.iloc[number])
        assert float(row["trend_amount"]) == pytest.approx(
            np.polyval(line, number + 1), abs=0.001
        )
        for name in ("growth_on_last_year", "centred_mean_amount", "seasonal_index"):
            assert row[name] is None


def test_countries(warehouse, orders, lines):
    grouped = orders.groupby("country")
    sold = lines[lines["is_sold"]].groupby("country_name")
    ranks = grouped["amount"].sum().rank(method="min", ascending=False)
    found = warehouse.rows("select * from marts.rpt_sales_by_country")

    assert {row["country_name"] for row in found} == set(sold.groups) | set(
        grouped.groups
    )
    total = orders["amount"].sum()
    for row in found:
        name = row["country_name"]
        group = orders[orders["country"] == name]
        known = group[~group["is_guest"]]
        assert row["country"] == FOLDED.get(name, name)
        assert units(row["gross_amount"]) == sold["amount"].sum()[name]
        assert units(row["returned_amount"]) == sold["back"].sum()[name]
        assert units(row["counted_amount"]) == group["amount"].sum()
        assert row["order_count"] == len(group)
        assert row["customer_count"] == known["customer"].nunique()
        assert row["amount_share"] == pytest.approx(group["amount"].sum() / total)
        assert row["amount_rank"] == ranks.get(name, len(ranks) + 1)
    codeless = {row["country_name"] for row in found if row["iso_alpha3"] is None}
    assert codeless == {"Channel Islands", "European Community", "Unspecified"}


def test_weekdays_and_hours(warehouse, orders):
    grouped = orders.groupby([orders["at"].dt.day_of_week + 1, orders["at"].dt.hour])
    amounts, counts = grouped["amount"].sum(), grouped.size()
    found = warehouse.rows("select * from marts.rpt_sales_by_weekday_hour")

    assert len(found) == 168
    for row in found:
        key = row["weekday_number"], row["hour_of_day"]
        assert units(row["counted_amount"]) == amounts.get(key, 0)
        assert row["order_count"] == counts.get(key, 0)
        assert row["weekday_name"] == f"{datetime(2011, 1, 2 + key[0]):%A}"


def test_order_values(warehouse, orders):
    found = warehouse.rows("select * from marts.rpt_order_values order by band_number")
    edges = [step * 10**power for power in range(9) for step in (1, 2, 5)]
    bands = np.searchsorted(np.multiply(edges, 10_000), orders["amount"], "right") + 1
    bands = np.where(orders["amount"] <= 0, 0, bands)
    counts = np.bincount(bands)

    assert [row["band_number"] for row in found] == list(
        range(bands.min(), bands.max() + 1)
    )
    running = 0
    for row in found:
        inside = orders["amount"][bands == row["band_number"]]
        assert row["order_count"] == counts[row["band_number"]]
        assert units(row["counted_amount"]) == inside.sum()
        running += len(inside)
        assert row["cumulative_order_share"] == pytest.approx(running / len(orders))


def test_purchase_frequency(warehouse, customers):
    found = warehouse.rows("select * from marts.rpt_purchase_frequency")
    grouped = customers.groupby("orders")["amount"]

    assert {
        row["frequency"]: (row["customer_count"], units(row["counted_amount"]))
        for row in found
    } == {count: (len(amounts), int(amounts.sum())) for count, amounts in grouped}
    for row in found:
        more = customers[customers["orders"] >= row["frequency"]]
        assert row["customer_share_from_here"] == pytest.approx(
            len(more) / len(customers)
        )
        assert row["amount_share_from_here"] == pytest.approx(
            more["amount"].sum() / customers["amount"].sum()
        )


def gini(amounts):
    """Half the mean difference of all pairs, by the mean."""
    pairs = np.abs(np.subtract.outer(amounts, amounts)).mean()
    return pairs / 2 / amounts.mean()


def test_lorenz_curve_and_gini(warehouse, customers):
    amounts = np.sort(customers["amount"].clip(lower=0).to_numpy(dtype="float64"))
    curve = np.append(0, np.cumsum(amounts)) / amounts.sum()
    shares = np.interp(
        np.arange(101) / 100, np.arange(len(amounts) + 1) / len(amounts), curve
    )
    found = warehouse.rows(
        "select * from marts.rpt_revenue_concentration order by percentile"
    )

    assert [row["lowest_amount_share"] for row in found] == pytest.approx(list(shares))
    assert [row["best_amount_share"] for row in found] == pytest.approx(
        list(1 - shares[::-1])
    )
    assert {row["customer_count"] for row in found} == {len(customers)}
    [coefficient] = {row["gini"] for row in found}
    assert coefficient == pytest.approx(gini(amounts), abs=1e-9)


def test_products(warehouse, lines):
    sold = lines[lines["is_sold"]]
    goods = lines[lines["counts"]].groupby("stock_code")
    brought = goods["counted"].sum()
    is_product = lines.groupby("stock_code")["is_product"].first()
    ranked = brought[is_product[brought.index] & (brought > 0)]
    found = {
        row["stock_code"]: row
        for row in warehouse.rows("select * from marts.rpt_product_sales")
    }

    for code, row in found.items():
        assert units(row["counted_amount"]) == brought.get(code, 0)
        assert (row["amount_rank"] is None) == (code not in ranked)
    by_rank = sorted(ranked.items(), key=lambda item: (-item[1], item[0]))
    before, total = 0, ranked.sum()
    for code, amount in by_rank:
        expected = (
            "A" if before < 0.8 * total else "B" if before < 0.95 * total else "C"
        )
        assert found[code]["abc_class"] == expected
        before += amount
        assert found[code]["cumulative_amount_share"] == pytest.approx(before / total)

    month = sold["invoiced_at"].dt.strftime("%Y-%m")
    table = (
        sold.groupby(["stock_code", month])["invoice_number"]
        .nunique()
        .unstack(fill_value=0)
    )
    year = table.drop(columns="2011-12")
    first = sold.groupby("stock_code")["invoiced_at"].min()
    seen = set()
    for code, counts in year.iterrows():
        ring = counts.to_numpy()
        quarters = ring + np.roll(ring, -1) + np.roll(ring, -2)
        row = found[code]
        assert row["months_sold"] == (table.loc[code] > 0).sum()
        if ring.sum() == 0:
            assert row["season_class"] is None
            continue
        share = quarters.max() / ring.sum()
        assert row["best_quarter_share"] == pytest.approx(share)
        # The year begins in December.
        assert row["best_quarter_month"] == (quarters.argmax() + 11) % 12 + 1
        if ring.sum() < 12:
            expected = "sporadic"
        elif first[code] >= pd.Timestamp("2011-03-01"):
            expected = "new"
        else:
            expected = "seasonal" if share >= 0.5 else "steady"
        assert row["season_class"] == expected
        seen.add(expected)
    assert seen == {"sporadic", "new", "seasonal", "steady"}


def test_gaps_and_rhythms(warehouse, orders):
    known = orders[~orders["is_guest"]]
    days = (
        known.assign(day=known["at"].dt.normalize())
        .drop_duplicates(["customer", "day"])
        .sort_values(["customer", "day"])
    )
    days["gap"] = days.groupby("customer")["day"].diff().dt.days
    gaps = days.dropna(subset="gap").copy()
    usual = gaps.groupby("customer")["gap"].median()
    counts = gaps.groupby("customer").size()
    gaps["ratio"] = (gaps["gap"] / gaps["customer"].map(usual)).round(4)
    told = gaps[gaps["customer"].map(counts) >= 3]
    percentiles = np.arange(1, 101)
    found = warehouse.rows(
        "select * from marts.rpt_inter_purchase_times order by percentile"
    )

    assert [row["gap_days"] for row in found] == list(
        np.percentile(gaps["gap"], percentiles, method="inverted_cdf")
    )
    assert [row["gap_ratio"] for row in found] == pytest.approx(
        np.percentile(told["ratio"], percentiles, method="inverted_cdf"), abs=2e-4
    )
    [horizon] = [row for row in found if row["is_overdue_horizon"]]
    assert horizon["percentile"] == 90

    last = known.groupby("customer")["at"].max()
    rhythms = warehouse.rows("select * from marts.rpt_customer_rhythms")
    assert {row["customer_id"] for row in rhythms} == set(last.index)
    for row in rhythms:
        customer = row["customer_id"]
        since = (date(2011, 12, 10) - last[customer].date()).days
        assert row["recency_days"] == since
        assert row["gap_count"] == counts.get(customer, 0)
        if row["gap_count"] >= 3:
            limit = round(horizon["gap_ratio"] * usual[customer], 1)
        else:
            limit = horizon["gap_days"]
        assert row["overdue_after_days"] == pytest.approx(limit, abs=0.11)
        assert row["is_overdue"] == (since > row["overdue_after_days"])


def test_profiles_of_the_columns(real_file, real_net):
    raw = pd.read_parquet(real_file)
    names = {
        "invoice_no": "InvoiceNo",
        "stock_code": "StockCode",
        "description": "Description",
        "quantity": "Quantity",
        "invoice_date": "InvoiceDate",
        "unit_price": "UnitPrice",
        "customer_id": "CustomerID",
        "country": "Country",
    }
    rows = {
        row["column_name"]: row
        for row in real_net.rows("select * from marts.rpt_column_profiles")
    }

    for name, column in names.items():
        values = raw[column]
        row = rows[name]
        assert row["line_count"] == 541_909
        assert row["null_count"] == values.isna().sum()
        assert row["distinct_count"] == values.nunique()
        assert (row["blank_count"], row["unreadable_count"]) == (0, 0)
        if name in ("quantity", "unit_price"):
            median = np.percentile(values, 50, method="inverted_cdf")
            distances = np.abs(values - median).round(9)
            spread = np.percentile(distances, 50, method="inverted_cdf")
            assert float(row["median_value"]) == pytest.approx(median)
            assert float(row["median_deviation"]) == pytest.approx(spread)
            assert row["outlier_count"] == (0.6745 * distances > 3.5 * spread).sum()
            assert float(row["first_value"]) == values.min()
            assert float(row["last_value"]) == values.max()
        else:
            assert row["outlier_count"] is None
        if name in ("stock_code", "description", "country"):
            texts = pd.Series(values.dropna().unique())
            sizes = texts.str.lower().str.replace(" ", "").value_counts()
            assert row["respelt_value_count"] == (sizes > 1).sum()
    assert rows["stock_code"]["respelt_value_count"] > 100


def line(invoice, day, **changed):
    return {
        "invoice_no": invoice,
        "stock_code": "22423",
        "description": "CAKESTAND",
        "quantity": 2,
        "invoice_date": datetime(2011, 1, 3, 9) + timedelta(days=day),
        "unit_price": Decimal("2.5"),
        "customer_id": "7",
        "country": "France",
        **changed,
    }


ONE_ORDER = [line("1", 0)]
GUESTS = [line("1", 0, customer_id=None), line("2", 40, customer_id=None)]
RETURNS = [line("C1", 0, quantity=-2), line("C2", 1, quantity=-1, customer_id=None)]
ALL_BACK = [line("1", 0), line("C2", 1, quantity=-2)]
CHEAPER_BACK = [line("1", 0), line("C2", 1, quantity=-2, unit_price=Decimal("2"))]
DEARER_BACK = [line("1", 0), line("C2", 1, quantity=-1, unit_price=Decimal("9"))]
NOTHING_READ = [line("1", 0, invoice_date=None, raw_invoice_date="soon")]
NO_COUNTRY = [line("1", 0, country=" "), line("2", 400, country=None)]
CASES = {
    "nothing": ([], [0, 0, 168, 0, 0, 0, 0, 0, 0]),
    "nothing readable": (NOTHING_READ, [0, 0, 168, 0, 0, 0, 1, 0, 0]),
    "one order": (ONE_ORDER, [1, 1, 168, 1, 1, 101, 1, 0, 1]),
    "guests": (GUESTS, [2, 1, 168, 1, 0, 0, 1, 0, 0]),
    "returns": (RETURNS, [1, 0, 168, 0, 0, 0, 1, 0, 0]),
    "all back": (ALL_BACK, [1, 1, 168, 0, 0, 0, 1, 0, 0]),
    "cheaper back": (CHEAPER_BACK, [1, 1, 168, 0, 0, 0, 1, 0, 0]),
    "dearer back": (DEARER_BACK, [1, 1, 168, 1, 1, 101, 1, 0, 1]),
    "no country": (NO_COUNTRY, [14, 1, 168, 1, 1, 101, 1, 100, 1]),
}


@pytest.mark.parametrize("case", CASES)
def test_little_input_gives_few_rows(net_models, case):
    rows, counts = CASES[case]

    built = net_models.run_all(SALES, rows)

    assert [len(built[name]) for name in SALES[:9]] == counts
    assert len(built["rpt_reject_reasons"]) == 17
    assert len(built["rpt_column_profiles"]) == 10
    for month in built["rpt_sales_monthly"]:
        assert month["seasonal_index"] is None
    for row in built["rpt_sales_by_country"]:
        assert row["country"] == ("Unspecified" if case == "no country" else "France")


@pytest.mark.parametrize("case", ["guests", "returns", "all back"])
def test_little_input_gives_few_rows_of_textbook(models, case):
    built = models(purchase_basis="textbook").run_all(SALES, CASES[case][0])

    assert len(built["rpt_purchase_frequency"]) == (case == "all back")


def test_a_customer_below_zero_brings_nothing(net_models):
    rows = [*DEARER_BACK, line("3", 0, customer_id="8", quantity=4)]

    curve = net_models.run("rpt_revenue_concentration", rows)

    assert {row["worthless_customer_count"] for row in curve} == {1}
    assert {row["gini"] for row in curve} == {0.5}
    assert {
        row["percentile"]: row["best_amount_share"]
        for row in curve
        if row["percentile"] in (0, 25, 50, 75, 100)
    } == {0: 0, 25: 0.5, 50: 1, 75: 1, 100: 1}


@pytest.mark.parametrize(
    ("at", "cell"),
    [
        (datetime(2011, 1, 3, 0, 0), (1, 0, "Monday")),
        (datetime(2011, 1, 8, 12, 59, 59), (6, 12, "Saturday")),
        (datetime(2011, 1, 9, 23, 59, 59), (7, 23, "Sunday")),
    ],
)
def test_cell_of_an_order(net_models, at, cell):
    cells = net_models.run("rpt_sales_by_weekday_hour", [line("1", 0, invoice_date=at)])

    assert [
        (row["weekday_number"], row["hour_of_day"], row["weekday_name"])
        for row in cells
        if row["order_count"]
    ] == [cell]
    assert sum(row["amount_share"] for row in cells) == 1


def test_percentiles_are_by_nearest_rank(net_models):
    gaps = [("A", gap, 4, 2.0) for gap in (1, 2, 2, 8)] + [("B", 30, 1, 30.0)]
    columns = ("customer_id", "gap_days", "gap_count", "usual_gap_days")
    table = pa.Table.from_pylist([dict(zip(columns, gap, strict=True)) for gap in gaps])

    rows = net_models.run(
        "rpt_inter_purchase_times", given={"int_purchase_gaps_measured": table}
    )

    days = {row["percentile"]: row["gap_days"] for row in rows}
    ratios = {row["percentile"]: row["gap_ratio"] for row in rows}
    assert [days[p] for p in (1, 20, 21, 60, 61, 80, 81, 100)] == [
        1, 1, 2, 2, 8, 8, 30, 30,
    ]  # fmt: skip
    assert [ratios[p] for p in (1, 25, 26, 75, 76, 100)] == [0.5, 0.5, 1, 1, 4, 4]


@pytest.mark.parametrize("month_count", [23, 24, 25, 30, 41])
def test_seasons_are_ratios_to_the_centred_mean(net_models, month_count):
    months = pd.period_range("2009-03", periods=month_count, freq="M")
    rng = np.random.default_rng(7)
    amounts = pd.Series(
        (1_000 + 20 * np.arange(month_count))
        * (1 + 0.4 * np.sin(months.month))
        * rng.uniform(0.9, 1.1, month_count),
        index=months,
    ).round(2)
    rows = [
        line(str(number), 0, invoice_date=month.to_timestamp(), quantity=1)
        | {"unit_price": Decimal(str(amount))}
        for number, (month, amount) in enumerate(amounts.items())
    ]
    # The last month is seen to its last day.
    rows[-1]["invoice_date"] = months[-1].to_timestamp(how="end").floor("s")

    found = net_models.run("rpt_sales_monthly", rows)

    found.sort(key=lambda row: row["sales_month"])
    centred = amounts.rolling(12).mean().rolling(2).mean().shift(-6)
    ratios = (amounts / centred).groupby(months.month).mean()
    index = 12 * ratios / ratios.sum()
    growth = amounts.pct_change(12)
    assert [row["is_partial"] for row in found] == month_count * [False]
    for number, row in enumerate(found):
        mean = row["centred_mean_amount"]
        # Half of the last decimal, which two ways of adding up round apart.
        assert (mean is None) == np.isnan(centred.iloc[number])
        assert mean is None or abs(float(mean) - centred.iloc[number]) < 0.000051
        assert close(row["growth_on_last_year"], growth.iloc[number])
        if month_count < 24:
            assert row["seasonal_index"] is None
        else:
            assert row["seasonal_index"] == pytest.approx(
                index[months[number].month], abs=1e-6
            )


# Few customers, codes and days, so that lines meet; guests and fees among them.
drawn_lines = lists_of(
    st.fixed_dictionaries(
        {
            "invoice_no": st.sampled_from(["1", "2", "3", "C4", "C5", "6"]),
            "stock_code": st.sampled_from(["10001", "10002", "POST"]),
            "quantity": st.integers(-4, 6),
            "day": st.sampled_from([0, 0, 27, 28, 29, 300]),
            "unit_price": st.sampled_from([Decimal("0"), Decimal("0.01"), Decimal(3)]),
            "customer_id": st.sampled_from(["1", "1", "2", None]),
            "country": st.sampled_from(["France", "EIRE", None]),
        }
    ),
    max_size=24,
)


@pytest.mark.parametrize("purchase_basis", ["net", "textbook"])
@settings(max_examples=25)
@given(drawn=drawn_lines)
def test_views_add_up_on_any_lines(models, purchase_basis, drawn):
    rows = [
        line(row.pop("invoice_no"), row.pop("day"), **row) for row in map(dict, drawn)
    ]

    built = models(purchase_basis=purchase_basis).run_all(
        [*SALES, "fct_invoice_lines", "fct_orders", "int_orders_counted"], rows
    )

    sold = [row for row in built["fct_invoice_lines"] if row["line_type"] == "purchase"]
    back = [row for row in built["fct_invoice_lines"] if row["line_type"] == "return"]
    months = built["rpt_sales_monthly"]

    def total(model, column):
        return sum(row[column] for row in built[model])

    for model in [*SALES[:3], "rpt_product_sales", "fct_orders"]:
        assert total(model, "gross_amount") == sum(row["line_amount"] for row in sold)
        for name in ("returned_amount", "net_amount"):
            assert total(model, name) == sum(row[name] for row in sold)
    assert total(SALES[0], "refunded_amount") == -sum(
        row["line_amount"] for row in back
    )
    assert total(SALES[0], "refunded_amount") - total(
        SALES[0], "unmatched_refund_amount"
    ) == total(SALES[0], "returned_amount")
    for name in ("order_count", "counted_amount"):
        assert len({total(model, name) for model in SALES[:4]}) == 1
    known = sum(row["counted_amount"] - row["guest_amount"] for row in months)
    assert known == total("int_orders_counted", "counted_amount")
    assert known == total("rpt_purchase_frequency", "counted_amount")
    assert total(SALES[0], "new_customer_count") == len(
        {row["customer_id"] for row in built["int_orders_counted"]}
    )
    assert total("rpt_product_sales", "counted_amount") == total(
        "fct_invoice_lines", "counted_amount"
    )
