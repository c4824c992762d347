"""Published figures of the UCI Online Retail data set, 2010-12-01 to 2011-12-09.

Each figure is stated here, worked out from the raw file in pandas, and read from the
marts; the three must agree to the last decimal. Money is counted in whole
ten-thousandths, so that nothing is rounded on the way.

"Clean" lines are what published analyses count: exact duplicates dropped, customer
known, quantity and price above 0. The var `purchase_basis: textbook` counts the same.
"""

from collections import Counter, defaultdict
from decimal import Decimal

import numpy as np
import oracle
import pandas as pd
import pytest
from conftest import PROJECT
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score
from sklearn.preprocessing import StandardScaler

AS_OF_DATE = pd.Timestamp("2011-12-10")
EARLIER_DATE = "2011-09-09"
ALL_LINES = (
    "(select invoice_line_id, invoice_number, stock_code, customer_id, country_name, "
    "quantity, unit_price, line_amount, reject_reason from marts.fct_rejected_lines "
    "union all by name "
    "select invoice_line_id, invoice_number, stock_code, customer_id, country_name, "
    "quantity, unit_price, line_amount, null as reject_reason "
    "from marts.fct_invoice_lines)"
)
CURRENT_RFM = "(select * from marts.fct_customer_rfm where is_current)"
DISTINCT = "reject_reason is distinct from 'exact_duplicate'"


def money(ten_thousandths):
    return Decimal(int(ten_thousandths)) / 10_000


@pytest.fixture(scope="module")
def raw(real_file):
    """Read the raw lines, with prices and amounts in ten-thousandths."""
    lines = pd.read_parquet(real_file)
    lines["price"] = (lines["UnitPrice"] * 10_000).round().astype("int64")
    assert (lines["price"] / 10_000 - lines["UnitPrice"]).abs().max() < 1e-9
    lines["amount"] = lines["Quantity"].astype("int64") * lines["price"]
    lines["is_cancellation"] = lines["InvoiceNo"].str.startswith("C")
    return lines


@pytest.fixture(scope="module")
def distinct(raw):
    return raw.drop_duplicates()


@pytest.fixture(scope="module")
def clean(distinct):
    is_clean = (
        distinct["CustomerID"].notna()
        & (distinct["Quantity"] > 0)
        & (distinct["price"] > 0)
    )
    return distinct[is_clean]


@pytest.fixture(scope="module")
def clean_rfm(clean):
    grouped = clean.groupby("CustomerID")
    days = AS_OF_DATE - grouped["InvoiceDate"].max().dt.normalize()
    return pd.DataFrame(
        {
            "recency_days": days.dt.days,
            "frequency": grouped["InvoiceNo"].nunique(),
            "amount": grouped["amount"].sum(),
        }
    )


@pytest.fixture(scope="module")
def non_product_codes():
    return oracle.read_non_product_codes(PROJECT / "seeds" / "non_product_codes.csv")


def test_rows_and_duplicates(raw, distinct, real_net):
    counts = (len(raw), len(distinct), len(raw) - len(distinct))

    assert counts == (541_909, 536_641, 5_268)
    assert counts == (
        real_net.value(f"select count(*) from {ALL_LINES}"),
        real_net.value(f"select count(*) from {ALL_LINES} where {DISTINCT}"),
        real_net.value(f"select count(*) from {ALL_LINES} where not {DISTINCT}"),
    )


def test_amounts_of_all_and_of_distinct_rows(raw, distinct, real_net):
    amounts = (money(raw["amount"].sum()), money(distinct["amount"].sum()))

    assert amounts == (Decimal("9747747.934"), Decimal("9726006.954"))
    assert amounts == (
        real_net.value(f"select sum(line_amount) from {ALL_LINES}"),
        real_net.value(f"select sum(line_amount) from {ALL_LINES} where {DISTINCT}"),
    )


def test_invoices_countries_and_stock_codes(raw, real_net):
    invoices = raw["InvoiceNo"].drop_duplicates()

    counts = (
        len(invoices),
        int(invoices.str.startswith("C").sum()),
        raw["Country"].nunique(),
    )

    assert counts == (25_900, 3_836, 38)
    assert counts == (
        real_net.value(f"select count(distinct invoice_number) from {ALL_LINES}"),
        real_net.value(
            f"select count(distinct invoice_number) from {ALL_LINES} "
            "where invoice_number like 'C%'"
        ),
        real_net.value(f"select count(distinct country_name) from {ALL_LINES}"),
    )
    # The same code is written 85123A and 85123a: the marts hold it once.
    assert raw["StockCode"].nunique() == 4_070
    assert raw["StockCode"].str.upper().nunique() == real_net.value(
        "select count(*) from marts.dim_products"
    )


def test_cancellation_lines(raw, distinct, real_net):
    counts = (
        int(raw["is_cancellation"].sum()),
        int(distinct["is_cancellation"].sum()),
    )
    query = f"select count(*) from {ALL_LINES} where invoice_number like 'C%'"

    assert counts == (9_288, 9_251)
    assert counts == (
        real_net.value(query),
        real_net.value(f"{query} and {DISTINCT}"),
    )


def test_lines_without_quantity_price_or_customer(raw, real_net):
    no_quantity = raw["Quantity"] <= 0
    counts = {
        "quantity <= 0": no_quantity.sum(),
        "quantity <= 0 and invoice_number not like 'C%'": (
            no_quantity & ~raw["is_cancellation"]
        ).sum(),
        "unit_price <= 0": (raw["price"] <= 0).sum(),
        "unit_price < 0": (raw["price"] < 0).sum(),
        "customer_id is null": raw["CustomerID"].isna().sum(),
    }

    assert list(counts.values()) == [10_624, 1_336, 2_517, 2, 135_080]
    for condition, count in counts.items():
        assert count == real_net.value(
            f"select count(*) from {ALL_LINES} where {condition}"
        )


def test_bad_debt_adjustments(raw, real_net):
    adjustments = raw[raw["InvoiceNo"].str.startswith("A")]
    amounts = dict(
        zip(adjustments["InvoiceNo"], map(money, adjustments["amount"]), strict=True)
    )

    assert amounts == {
        "A563185": Decimal("11062.06"),
        "A563186": Decimal("-11062.06"),
        "A563187": Decimal("-11062.06"),
    }
    found = real_net.rows(
        "select invoice_number, line_amount from marts.fct_rejected_lines "
        "where reject_reason = 'bad_debt_adjustment'"
    )
    assert {row["invoice_number"]: row["line_amount"] for row in found} == amounts


def test_customers(raw, clean, real_net, real_textbook):
    counts = (raw["CustomerID"].nunique(), clean["CustomerID"].nunique())

    assert counts == (4_372, 4_338)
    assert counts[0] - counts[1] == 34
    assert counts[0] == real_net.value(
        f"select count(distinct customer_id) from {ALL_LINES}"
    )
    assert counts[1] == real_textbook.value(
        f"select count(*) from {CURRENT_RFM} where unscored_reason is null"
    )


def test_customers_with_usable_lines_have_one_row_each(distinct, real_net):
    is_usable = distinct["CustomerID"].notna() & (distinct["price"] > 0)
    usable = distinct[is_usable & (distinct["Quantity"] != 0)]["CustomerID"]

    assert usable.nunique() == real_net.value(
        "select count(*) from marts.dim_customers"
    )


def test_clean_lines_invoices_and_amount(clean, real_textbook):
    figures = (len(clean), clean["InvoiceNo"].nunique(), money(clean["amount"].sum()))

    assert figures == (392_692, 18_532, Decimal("8887208.894"))
    [found] = real_textbook.rows(
        "select count(*) as line_count, "
        "count(distinct invoice_number) as invoice_count, "
        "sum(counted_amount) as amount "
        "from marts.fct_invoice_lines where counted_quantity > 0"
    )
    assert figures == tuple(found.values())
    [by_customer] = real_textbook.rows(
        "select sum(frequency) as frequency, sum(monetary_value) as monetary_value "
        f"from {CURRENT_RFM}"
    )
    assert figures[1:] == tuple(by_customer.values())


def test_prices_that_are_not_whole_pennies(raw, real_net):
    count = int((raw["price"] % 100 != 0).sum())

    assert count == 4
    assert count == real_net.value(
        f"select count(*) from {ALL_LINES} where unit_price <> round(unit_price, 2)"
    )


def test_customers_whose_lines_sum_to_nothing(distinct, real_net):
    sums = (
        distinct[distinct["CustomerID"].notna()].groupby("CustomerID")["amount"].sum()
    )
    customers = {str(int(customer)) for customer in sums[sums <= 0].index}

    assert len(customers) == 55
    found = real_net.values(
        f"select customer_id from {ALL_LINES} "
        f"where customer_id is not null and {DISTINCT} "
        "group by customer_id having sum(line_amount) <= 0"
    )
    assert set(found) == customers
    # The marts' own sums agree, for each who has a usable line.
    closed = real_net.values(
        "select customer_id from marts.dim_customers "
        "where net_amount - unmatched_return_amount + other_amount <= 0"
    )
    with_row = set(real_net.values("select customer_id from marts.dim_customers"))
    assert set(closed) == customers & with_row


@pytest.mark.parametrize(
    ("customer_id", "gross", "net"),
    [(12346, "77183.60", "0.00"), (16446, "168472.50", "2.90")],
)
def test_customers_who_returned_nearly_everything(
    distinct, real_net, customer_id, gross, net
):
    lines = distinct[distinct["CustomerID"] == customer_id]
    figures = (
        money(lines.loc[lines["amount"] > 0, "amount"].sum()),
        money(lines["amount"].sum()),
    )

    assert figures == (Decimal(gross), Decimal(net))
    [found] = real_net.rows(
        "select gross_amount, net_amount from marts.dim_customers "
        f"where customer_id = '{customer_id}'"
    )
    assert figures == tuple(found.values())


def test_recency_frequency_and_monetary_value(clean_rfm, real_textbook):
    published = {
        "recency_days": (1, 51, 374),
        "frequency": (1, 2, 209),
        "monetary_value": (Decimal("3.75"), Decimal("668.57"), Decimal("280206.02")),
    }
    found = real_textbook.rows(
        "select customer_id, recency_days, frequency, monetary_value "
        f"from {CURRENT_RFM} where unscored_reason is null"
    )
    recomputed = {
        str(int(customer)): (row.recency_days, row.frequency, money(row.amount))
        for customer, row in zip(
            clean_rfm.index, clean_rfm.itertuples(index=False), strict=True
        )
    }

    assert {
        row["customer_id"]: (
            row["recency_days"],
            row["frequency"],
            row["monetary_value"],
        )
        for row in found
    } == recomputed
    for name, figures in published.items():
        values = sorted(row[name] for row in found)
        middle = (values[len(values) // 2 - 1] + values[len(values) // 2]) / 2
        assert (values[0], round(middle, 2), values[-1]) == figures
    assert sum(row["frequency"] == 1 for row in found) == 1_493


def test_rfm_names(clean_rfm, real_textbook):
    published = {
        "Champions": 789,
        "Hibernating": 669,
        "Lost": 569,
        "Loyal": 408,
        "New Customers": 399,
        "At Risk": 360,
        "Potential Loyalist": 305,
        "Need Attention": 243,
        "Promising": 236,
        "About To Sleep": 232,
        "Cannot Lose Them": 128,
    }
    names = pd.read_csv(PROJECT / "seeds" / "rfm_segments.csv", dtype=str)
    names = names.set_index("rfm_code")["rfm_segment"]

    # The share of the other customers who are worse, in fifths; whole numbers only.
    below = pd.DataFrame(
        {
            "r": (-clean_rfm["recency_days"]).rank(method="min") - 1,
            "f": clean_rfm["frequency"].rank(method="min") - 1,
            "m": clean_rfm["amount"].rank(method="min") - 1,
        }
    ).astype("int64")
    scores = (1 + 5 * below // (len(below) - 1)).clip(upper=5)
    codes = scores["r"] * 100 + scores["f"] * 10 + scores["m"]
    recomputed = {
        str(int(customer)): name
        for customer, name in codes.astype(str).map(names).items()
    }
    found = {
        row["customer_id"]: row["rfm_segment"]
        for row in real_textbook.rows(
            f"select customer_id, rfm_segment from {CURRENT_RFM} "
            "where unscored_reason is null"
        )
    }

    assert Counter(recomputed.values()) == published
    assert found == recomputed


def test_months(clean, real_textbook):
    published = {
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
    grouped = clean.groupby(clean["InvoiceDate"].dt.strftime("%Y-%m"))
    recomputed = {
        month: (money(lines["amount"].sum()), lines["InvoiceNo"].nunique())
        for month, lines in grouped
    }
    found = {
        row["month"]: (row["amount"], row["invoice_count"])
        for row in real_textbook.rows(
            "select strftime(invoiced_at, '%Y-%m') as month, "
            "sum(counted_amount) as amount, "
            "count(distinct invoice_number) as invoice_count "
            "from marts.fct_invoice_lines where counted_quantity > 0 group by month"
        )
    }

    assert found == recomputed
    assert {
        month: (str(amount.quantize(Decimal("0.01"))), count)
        for month, (amount, count) in recomputed.items()
    } == published


def test_countries(clean, real_textbook):
    published = {
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
    sums = clean.groupby("Country")["amount"].sum().sort_values(ascending=False)
    recomputed = {country: money(amount) for country, amount in sums.items()}
    found = {
        row["country_name"]: row["amount"]
        for row in real_textbook.rows(
            "select country_name, sum(counted_amount) as amount "
            "from marts.fct_invoice_lines where counted_quantity > 0 "
            "group by country_name"
        )
    }

    assert found == recomputed
    assert {
        country: str(recomputed[country].quantize(Decimal("0.01")))
        for country in list(recomputed)[:10]
    } == published


def test_cohort_of_december_2010(clean, real_textbook):
    published = [885, 324, 286, 340, 321, 352, 321, 309, 313, 350, 331, 445, 235]
    months = clean["InvoiceDate"].dt.year * 12 + clean["InvoiceDate"].dt.month
    first = months.groupby(clean["CustomerID"]).transform("min")
    since = (months - first)[first == 2010 * 12 + 12]
    recomputed = clean["CustomerID"].groupby(since).nunique().tolist()

    active = defaultdict(set)
    joined = {}
    orders = real_textbook.rows(
        "select customer_id, ordered_at from intermediate.int_orders_counted "
        "order by ordered_at"
    )
    for order in orders:
        month = order["ordered_at"].year * 12 + order["ordered_at"].month
        cohort = joined.setdefault(order["customer_id"], month)
        active[cohort, month - cohort].add(order["customer_id"])
    found = [len(active[2010 * 12 + 12, number]) for number in range(13)]

    assert recomputed == published
    assert found == recomputed


def test_stock_codes_with_several_descriptions(raw, real_net):
    described = raw[raw["Description"].notna()]
    trimmed = described["Description"].str.strip(" ")
    assert int((trimmed.groupby(described["StockCode"]).nunique() > 1).sum()) == 647

    # The marts hold codes that differ in case alone as one.
    counts = (
        trimmed[trimmed != ""].groupby(described["StockCode"].str.upper()).nunique()
    )
    found = real_net.rows(
        "select stock_code, description_count from marts.dim_products"
    )
    assert {
        row["stock_code"]: row["description_count"]
        for row in found
        if row["description_count"]
    } == counts.to_dict()


def test_customers_in_several_countries(raw, real_net):
    known = raw[raw["CustomerID"].notna()]
    several = known.groupby("CustomerID")["Country"].nunique() > 1
    customers = {str(int(customer)) for customer in several[several].index}

    assert len(customers) == 8
    assert customers == set(
        real_net.values(
            "select customer_id from marts.dim_customers where country_count > 1"
        )
    )


def test_return_allocation(distinct, real_net, non_product_codes):
    """Lines of the same instant can be served in any order; no total hangs on it.

    Served in the order of the file there are 7,912 allocations, backwards 7,903.
    """
    is_return = (
        distinct["CustomerID"].notna()
        & (distinct["price"] > 0)
        & (distinct["Quantity"] < 0)
        & ~distinct["StockCode"].str.upper().isin(non_product_codes)
        & ~distinct["InvoiceNo"].str.startswith("A")
    )
    returns = distinct[is_return]
    figures = (
        len(returns),
        -int(returns["Quantity"].sum()),
        -money(returns["amount"].sum()),
    )
    [found] = real_net.rows(
        "select count(distinct return_line_id) as lines, "
        "sum(allocated_quantity) as units, sum(allocated_amount) as amount "
        "from marts.fct_return_allocations where customer_id is not null"
    )

    assert figures == (8_506, 267_711, Decimal("471750.71"))
    assert figures == tuple(found.values())

    [matched] = real_net.rows(
        "select sum(allocated_quantity) as units, sum(allocated_amount) as amount, "
        "count(*) as allocations "
        "from marts.fct_return_allocations where purchase_line_id is not null"
    )
    assert (matched["units"], matched["amount"]) == (248_964, Decimal("447903.39"))
    assert matched["allocations"] == pytest.approx(7_910, abs=10)
    outcomes = Counter(
        (row["matched"], row["unmatched"])
        for row in real_net.rows(
            "select bool_or(purchase_line_id is not null) as matched, "
            "bool_or(purchase_line_id is null) as unmatched "
            "from marts.fct_return_allocations "
            "where customer_id is not null group by return_line_id"
        )
    )
    assert outcomes[True, False] == pytest.approx(7_398, abs=2)
    assert outcomes[True, True] == pytest.approx(55, abs=2)
    assert outcomes[False, True] == pytest.approx(1_053, abs=2)
    assert sum(outcomes.values()) == 8_506
    assert not real_net.value(
        "select count(*) from marts.fct_return_allocations as allocations "
        "inner join marts.fct_invoice_lines as purchases "
        "on allocations.purchase_line_id = purchases.invoice_line_id "
        "where purchases.invoiced_at > allocations.returned_at"
    )


def test_net_rfm_of_every_customer_equals_the_queue(real_net):
    lines = real_net.rows(
        "select invoice_line_id, invoice_number, customer_id, stock_code, line_type, "
        "quantity, unit_price, invoiced_at from marts.fct_invoice_lines "
        "where customer_id is not null"
    )
    expected = oracle.measure_rfm(
        lines, purchase_basis="net", as_of_date=AS_OF_DATE.date()
    )

    found = real_net.rows(f"select * from {CURRENT_RFM}")

    assert {
        row["customer_id"]: oracle.Rfm(
            row["recency_days"],
            row["frequency"],
            row["monetary_value"],
            None
            if row["unscored_reason"]
            else (row["r_score"], row["f_score"], row["m_score"]),
            row["unscored_reason"],
        )
        for row in found
    } == expected


def test_rows_and_amounts_used_and_set_aside_by_reason(raw, real_net):
    is_copy = raw.duplicated()
    is_free = raw["price"] <= 0
    is_gone = raw["Quantity"] < 0
    reasons = pd.Series(
        np.select(
            [
                is_copy,
                raw["InvoiceNo"].str.startswith("A"),
                raw["Quantity"] == 0,
                is_gone & is_free & ~raw["is_cancellation"],
                is_free,
                raw["is_cancellation"] & ~is_gone,
            ],
            [
                "exact_duplicate",
                "bad_debt_adjustment",
                "zero_quantity",
                "stock_write_off",
                "non_positive_price",
                "positive_cancellation",
            ],
            default="used",
        ),
        index=raw.index,
    )
    recomputed = {
        reason: (len(lines), money(lines["amount"].sum()))
        for reason, lines in raw.groupby(reasons)
    }
    found = {
        row["reason"]: (row["line_count"], row["amount"])
        for row in real_net.rows(
            "select coalesce(reject_reason, 'used') as reason, "
            f"count(*) as line_count, sum(line_amount) as amount from {ALL_LINES} "
            "group by reason"
        )
    }

    assert found == recomputed
    assert sum(count for count, _ in found.values()) == 541_909
    assert sum(amount for _, amount in found.values()) == Decimal("9747747.934")


def test_an_earlier_day_sees_what_was_known_then(clean, build_warehouse, real_landing):
    known = clean[clean["InvoiceDate"] < EARLIER_DATE]
    grouped = known.groupby("CustomerID")
    recomputed = {
        str(int(customer)): (count, money(amount))
        for customer, count, amount in zip(
            grouped.groups,
            grouped["InvoiceNo"].nunique(),
            grouped["amount"].sum(),
            strict=True,
        )
    }
    warehouse = build_warehouse(
        real_landing,
        marts=["fct_customer_rfm", "fct_invoice_lines"],
        with_gates=False,
        purchase_basis="textbook",
        as_of_date=EARLIER_DATE,
    )
    found = {
        row["customer_id"]: (row["frequency"], row["monetary_value"])
        for row in warehouse.rows(
            "select customer_id, frequency, monetary_value "
            f"from {CURRENT_RFM} where unscored_reason is null"
        )
    }

    assert len(recomputed) == 3_362
    assert found == recomputed
    assert warehouse.value(
        "select max(invoiced_at) from marts.fct_invoice_lines"
    ) < pd.Timestamp(EARLIER_DATE)


def test_published_clusters(clean_rfm, real_textbook):
    """K-Means with k = 4 on standardised features: a silhouette of 0.616."""
    features = clean_rfm.sort_index().astype("float64")
    features["amount"] /= 10_000
    matrix = StandardScaler().fit_transform(features)
    labels = KMeans(n_clusters=4, n_init=10, random_state=42).fit_predict(matrix)
    recomputed = dict(
        zip((str(int(key)) for key in features.index), labels, strict=True)
    )
    found = {
        row["customer_id"]: row["cluster_id"]
        for row in real_textbook.rows(
            "select customer_id, cluster_id from marts.dim_customer_segments "
            "where cluster_id is not null"
        )
    }
    customers = sorted(found)

    assert sorted(recomputed) == customers
    agreement = adjusted_rand_score(
        [recomputed[customer] for customer in customers],
        [found[customer] for customer in customers],
    )
    assert agreement > 0.99
    sizes = sorted(Counter(found.values()).values(), reverse=True)
    assert np.abs(np.subtract(sizes, [3_054, 1_067, 204, 13])).max() <= 10
    assert round(float(silhouette_score(matrix, labels)), 3) == 0.616
    assert round(
        real_textbook.value(
            "select silhouette from marts.dim_cluster_models where is_current"
        ),
        3,
    ) == pytest.approx(0.616, abs=0.001)


def test_control_totals_agree(real_net, real_textbook):
    for warehouse in (real_net, real_textbook):
        checked = warehouse.rows(
            "select difference from marts.rpt_control_totals "
            "where agrees_with is not null"
        )
        assert len(checked) > 20
        assert {row["difference"] for row in checked} == {Decimal(0)}
