"""Every delivered line is used or set aside, once, whatever it holds.

Lines are drawn at random, with the dirt of real exports, and go through the compiled
SQL of staging, intermediate and the core marts.
"""

import csv
from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from decimal import Decimal

import oracle
import pyarrow as pa
import pytest
from conftest import PROJECT, landing_table, lists_of
from hypothesis import given, settings
from hypothesis import strategies as st

AS_OF_DATE = "2011-01-15"
ORACLE_DATE = date.fromisoformat(AS_OF_DATE)
# Where a line came from, and what is made of it.
SOURCE = ("source_file", "source_row", "group_fingerprint", "line_fingerprint")
NON_PRODUCT_CODES = oracle.read_non_product_codes(
    PROJECT / "seeds" / "non_product_codes.csv"
)

# Instants on both sides of the as-of date, two of them a minute from midnight.
INSTANTS = [
    datetime(2010, 12, 1, 8, 26),
    datetime(2011, 1, 4, 10, 0),
    datetime(2011, 1, 4, 10, 0, 1),
    datetime(2011, 1, 14, 23, 59),
    datetime(2011, 1, 15, 0, 0),
    datetime(2011, 2, 28, 12, 30),
]


def readable(*values):
    """Draw a value, beside which there is no text that could not be read."""
    return st.sampled_from([(value, None) for value in values])


def prices(*values):
    return readable(*(Decimal(value) for value in values))


tidy_columns = {
    "invoice_no": st.sampled_from(["536365", "536366", "536367", "536368", "C536400"]),
    "stock_code": st.sampled_from(["22423", "85123A", "POST"]),
    "description": st.just("MUG"),
    "quantity": readable(-3, -2, -1, 1, 2, 3, 6),
    "invoice_date": readable(*INSTANTS),
    "unit_price": prices("0.001", "2.55", "5.10"),
    "customer_id": st.sampled_from(["12346", "17850", "17851"]),
    "country": st.just("France"),
}
dirty_columns = {
    "invoice_no": st.sampled_from(
        ["C536400", "c536400 ", " 536368", "A563185", "a5", "", "  ", None]
    ),
    "stock_code": st.sampled_from(
        ["85123a", " M ", "dot", "D", "gift_0001_20", "BANK CHARGES", "", None]
    ),
    "description": st.sampled_from([" MUG ", "", None, "mug", "mög; 'x'"]),
    "quantity": st.one_of(
        readable(0, 2**31 - 1, -(2**31) + 1, 2**31, -(2**31), 10**15, None),
        st.just((None, "six")),
    ),
    "invoice_date": st.one_of(
        readable(datetime(1899, 12, 30), datetime(2101, 1, 1), None),
        st.just((None, "30/30/2011")),
    ),
    "unit_price": st.one_of(
        prices("0", "-11062.06", "9999.9999", "10000000000"),
        readable(None),
        st.just((None, "gratis")),
    ),
    "customer_id": st.sampled_from(
        ["17850.0", " 17850.00 ", "A.10", "17850.5", "", None]
    ),
    "country": st.sampled_from([" France", "", None]),
    "currency": st.sampled_from(["GBP", "gbp", ""]),
    "store": st.sampled_from(["North", "South", " "]),
    "raw_line": st.just("536365;85123A;MUG"),
}


@st.composite
def deliver(draw, is_tidy, soiled=None):
    """Draw a row; a pair is a value and the text that could not be read."""
    row = dict(soiled or draw(st.fixed_dictionaries(tidy_columns)))
    if not is_tidy:
        names = draw(st.lists(st.sampled_from(sorted(dirty_columns)), max_size=3))
        row.update({name: draw(dirty_columns[name]) for name in names})
    for name in ("quantity", "invoice_date", "unit_price"):
        if isinstance(row[name], tuple):
            row[name], row[f"raw_{name}"] = row[name]
    return row


tidy = deliver(is_tidy=True)
dirty = deliver(is_tidy=False)


@st.composite
def deliveries(draw, max_size=20):
    """Draw rows, some of them delivered again, as they were or nearly so."""
    rows = draw(lists_of(st.one_of(tidy, dirty), max_size=max_size))
    if rows:
        again = draw(st.lists(st.sampled_from(rows), max_size=6))
        rows += [
            draw(st.one_of(st.just(row), deliver(is_tidy=False, soiled=row)))
            for row in again
        ]
    return rows


def without_source(rows):
    """Count rows, whichever file they came in."""
    return Counter(
        tuple(
            sorted((name, value) for name, value in row.items() if name not in SOURCE)
        )
        for row in rows
    )


def group_of(row):
    """Name the change group: the customer, or the invoice of a guest."""
    line = oracle.clean({**dict.fromkeys(SOURCE), **row})
    return line.customer_id or line.invoice_number or ""


def reversed_table(rows):
    return landing_table(landing_table(rows).to_pylist()[::-1])


def fingerprint_groups(models, rows, *, as_of_date=None):
    given = {}
    if as_of_date:
        given["int_as_of_date"] = pa.table({"as_of_date": [as_of_date.date()]})
    found = models.run("int_change_groups_delivered", rows, given=given)
    return {row["change_group"]: row["group_fingerprint"] for row in found}


def deliver_in_files(rows, file_numbers):
    """Spread rows over files."""
    files = defaultdict(list)
    for row, number in zip(rows, file_numbers, strict=True):
        files[number].append(row)
    return pa.concat_tables(
        [
            landing_table(
                part, source_file=f"part-{number}.csv", source_hash=str(number)
            )
            for number, part in files.items()
        ]
        or [landing_table([])]
    )


def judge(rows, as_of_date=None):
    lines = [oracle.clean(row) for row in landing_table(rows).to_pylist()]
    verdicts = oracle.classify(
        lines,
        as_of_date=as_of_date or oracle.find_as_of_date(lines),
        non_product_codes=NON_PRODUCT_CODES,
    )
    return list(zip(lines, verdicts, strict=True))


@pytest.fixture(scope="session")
def dated_models(models):
    return models(as_of_date=AS_OF_DATE)


@pytest.fixture(scope="session")
def textbook_models(models):
    return models(purchase_basis="textbook")


@settings(max_examples=60)
@given(rows=deliveries())
def test_every_line_is_used_or_set_aside_once(net_models, rows):
    built = net_models.run_all(
        ["int_lines_classified", "fct_invoice_lines", "fct_rejected_lines"], rows
    )
    used, rejected = built["fct_invoice_lines"], built["fct_rejected_lines"]
    amounts = [line.amount for line, _ in judge(rows) if line.amount is not None]

    assert len(used) + len(rejected) == len(rows)
    assert sum(row["line_amount"] or 0 for row in used + rejected) == sum(amounts)
    assert all(row["line_type"] is not None for row in used)
    assert all(row["reject_reason"] is not None for row in rejected)
    for row in built["int_lines_classified"]:
        assert (row["line_type"] is None) != (row["reject_reason"] is None)
    line_ids = {row["invoice_line_id"] for row in used + rejected}
    assert len(line_ids) == len(rows)


@pytest.mark.parametrize("as_of_date", [None, ORACLE_DATE])
@settings(max_examples=100)
@given(rows=deliveries())
def test_lines_are_what_the_rules_say(net_models, dated_models, as_of_date, rows):
    judged = judge(rows, as_of_date)

    found = (dated_models if as_of_date else net_models).run(
        "int_lines_classified", rows
    )

    assert {
        tuple(row[name] for name in ("source_file", "source_row")): (
            row["line_type"],
            row["reject_reason"],
            row["invoice_number"],
            row["stock_code"],
            row["customer_id"],
            row["product_description"],
            row["country_name"],
            row["currency_code"],
            row["store_name"],
            row["quantity"],
            row["invoiced_at"],
            row["unit_price"],
            row["line_amount"],
            row["is_guest"],
            row["is_product"],
        )
        for row in found
    } == {
        line.source: (
            verdict.line_type,
            verdict.reject_reason,
            line.invoice_number,
            line.stock_code,
            line.customer_id,
            line.description,
            line.country_name,
            line.currency_code,
            line.store_name,
            line.quantity,
            line.invoiced_at,
            line.unit_price,
            line.amount,
            line.customer_id is None,
            line.stock_code not in NON_PRODUCT_CODES,
        )
        for line, verdict in judged
    }


@settings(max_examples=50)
@given(rows=deliveries(), data=st.data())
def test_order_and_files_of_the_delivery_change_nothing(net_models, rows, data):
    tables = ["int_lines_classified", "fct_invoice_lines", "fct_rejected_lines"]
    shuffled = data.draw(st.permutations(rows))
    numbers = data.draw(
        st.lists(st.integers(1, 3), min_size=len(rows), max_size=len(rows))
    )

    once = net_models.run_all(tables, rows)
    again = net_models.run_all(tables, deliver_in_files(shuffled, numbers))

    for name in tables:
        assert without_source(once[name]) == without_source(again[name])


@settings(max_examples=50)
@given(rows=deliveries())
def test_equal_fingerprints_make_no_copies(net_models, rows):
    """If all lines had the same, those of a customer would still be told apart."""
    expected = net_models.run("int_lines_classified", rows)
    kept = ("int_change_groups_delivered", "stg_online_retail__lines")
    tables = {name: net_models.arrow(name) for name in kept}
    staged = tables["stg_online_retail__lines"]
    position = staged.schema.get_field_index("content_fingerprint")
    tables["stg_online_retail__lines"] = staged.set_column(
        position, staged.schema.field(position), pa.array([7] * len(staged), pa.int64())
    )

    found = net_models.run("int_lines_classified", rows, given=tables)

    assert without_source(found) == without_source(expected)
    # Lines of two customers are told apart by the gate on their fingerprints alone.
    apart = {
        (
            row["change_group"],
            row["invoice_number"],
            row["stock_code"],
            row["line_fingerprint"],
        )
        for row in found
    }
    assert len(apart) == len(rows)


@settings(max_examples=50)
@given(rows=deliveries(), data=st.data())
def test_fingerprints_change_with_the_lines_of_their_group(net_models, rows, data):
    before = fingerprint_groups(net_models, rows)
    touched = data.draw(st.integers(0, len(rows) - 1)) if rows else None
    changed = [
        {**row, "description": "ANOTHER"} if number == touched else row
        for number, row in enumerate(rows)
    ]

    after = fingerprint_groups(net_models, changed)
    again = fingerprint_groups(net_models, reversed_table(rows))

    assert again == before
    assert after.keys() == before.keys()
    differing = {group for group in before if before[group] != after[group]}
    assert differing == ({group_of(rows[touched])} if rows else set())


@settings(max_examples=50)
@given(rows=deliveries())
def test_fingerprints_change_with_the_as_of_date_that_lets_lines_in(net_models, rows):
    early, late = datetime(2011, 1, 4), datetime(2011, 1, 15)
    instants = [
        (group_of(row), line.invoiced_at)
        for row, (line, _) in zip(rows, judge(rows), strict=True)
    ]

    found = [
        fingerprint_groups(net_models, rows, as_of_date=day) for day in (early, late)
    ]

    assert {group for group in found[0] if found[0][group] != found[1][group]} == {
        group for group, at in instants if at is not None and early <= at < late
    }


@settings(max_examples=20)
@given(rows=deliveries())
def test_lines_that_a_corrected_file_leaves_alone_keep_their_fingerprints(
    net_models, rows
):
    before, after = (
        fingerprint_groups(net_models, landing_table(rows, source_hash=source_hash))
        for source_hash in ("as it was", "as it is")
    )

    assert before == after


@settings(max_examples=40)
@given(rows=deliveries(), data=st.data())
def test_lines_delivered_again_are_set_aside(net_models, rows, data):
    again = data.draw(st.lists(st.sampled_from(rows), max_size=10)) if rows else []
    numbers = [1] * len(rows) + [2] * len(again)
    tables = ["fct_invoice_lines", "fct_rejected_lines", "fct_return_allocations"]
    expected = Counter(
        verdict.reject_reason
        if verdict.reject_reason in oracle.REASONS_OF_EVERY_COPY
        else "exact_duplicate"
        for line, verdict in judge([*rows, *again])
        if line.source[1] >= 2 + len(rows)
    )

    before = net_models.run_all(tables, rows)
    after = net_models.run_all(tables, deliver_in_files(rows + again, numbers))

    for name in ("fct_invoice_lines", "fct_return_allocations"):
        assert without_source(before[name]) == without_source(after[name])
    reasons_before = Counter(
        row["reject_reason"] for row in before["fct_rejected_lines"]
    )
    reasons_after = Counter(row["reject_reason"] for row in after["fct_rejected_lines"])
    assert reasons_after - reasons_before == expected
    assert not reasons_before - reasons_after


@pytest.mark.parametrize("purchase_basis", ["net", "textbook"])
@settings(max_examples=70)
@given(rows=deliveries(max_size=32))
def test_rfm_is_what_the_rules_say(net_models, textbook_models, purchase_basis, rows):
    chosen = net_models if purchase_basis == "net" else textbook_models
    built = chosen.run_all(["fct_invoice_lines", "fct_customer_rfm"], rows)
    as_of_date = oracle.find_as_of_date(line for line, _ in judge(rows))

    expected = oracle.measure_rfm(
        built["fct_invoice_lines"],
        purchase_basis=purchase_basis,
        as_of_date=as_of_date or date.max,
    )

    assert as_rfm(built["fct_customer_rfm"]) == expected


@settings(max_examples=50)
@given(rows=deliveries(max_size=32))
def test_rfm_as_of_a_day_is_what_was_known_then(dated_models, rows):
    built = dated_models.run_all(["fct_invoice_lines", "fct_customer_rfm"], rows)

    expected = oracle.measure_rfm(
        built["fct_invoice_lines"], purchase_basis="net", as_of_date=ORACLE_DATE
    )

    assert as_rfm(built["fct_customer_rfm"]) == expected
    assert all(
        row["invoiced_at"].date() < ORACLE_DATE for row in built["fct_invoice_lines"]
    )
    assert all(
        row["is_current"] == (row["snapshot_date"] == ORACLE_DATE)
        and row["snapshot_date"] <= ORACLE_DATE
        for row in built["fct_customer_rfm"]
    )


@settings(max_examples=50)
@given(
    rows=deliveries(),
    later=st.lists(tidy, max_size=15),
    others=st.lists(tidy, max_size=15),
)
def test_later_lines_change_nothing_that_was_known(dated_models, rows, later, others):
    tables = [
        "fct_invoice_lines",
        "fct_return_allocations",
        "fct_orders",
        "int_customers_totalled",
        "int_orders_versioned",
        "int_orders_counted",
        "int_snapshot_dates",
        "int_customers_snapshotted",
        "fct_customer_rfm",
    ]

    def known_with(future):
        # Whatever was drawn, it happens on the as-of date or later.
        moved = [
            {**row, "invoice_date": row["invoice_date"] + timedelta(days=90)}
            for row in future
        ]
        built = dated_models.run_all(tables, [*rows, *moved])
        return {name: without_source(built[name]) for name in tables}

    assert known_with(later) == known_with(others)


@settings(max_examples=60)
@given(rows=deliveries(max_size=32))
def test_orders_are_what_was_bought_and_kept(net_models, rows):
    built = net_models.run_all(["fct_invoice_lines", "fct_orders"], rows)
    purchases = defaultdict(list)
    for line in built["fct_invoice_lines"]:
        if line["line_type"] == "purchase":
            purchases[line["invoice_number"], line["customer_id"]].append(line)
    visits = defaultdict(list)
    for row in built["fct_orders"]:
        visits[row["customer_id"]].append(row)

    assert len({row["order_id"] for row in built["fct_orders"]}) == len(purchases)
    for row in built["fct_orders"]:
        lines = purchases.pop((row["invoice_number"], row["customer_id"]))
        assert row["line_count"] == len(lines)
        assert row["item_count"] == sum(line["quantity"] for line in lines)
        assert row["product_count"] == len({line["stock_code"] for line in lines})
        assert row["ordered_at"] == min(line["invoiced_at"] for line in lines)
        for measure in ("gross_amount", "returned_amount", "net_amount"):
            column = "line_amount" if measure == "gross_amount" else measure
            assert row[measure] == sum(line[column] for line in lines)
        assert row["net_amount"] == row["gross_amount"] - row["returned_amount"]
        assert row["is_fully_returned"] == all(
            line["returned_quantity"] == line["quantity"] for line in lines
        )
    assert not purchases
    for customer, orders in visits.items():
        in_time = sorted(orders, key=lambda row: (row["ordered_at"], row["order_id"]))
        numbers = [row["order_number"] for row in in_time]
        if customer is None:
            assert set(numbers) == {None}
        else:
            assert numbers == list(range(1, len(orders) + 1))
        first = [row["is_first_order"] for row in in_time]
        assert first == [customer is not None] * (customer is not None) + [False] * (
            len(orders) - (customer is not None)
        )


@settings(max_examples=60)
@given(
    customers=lists_of(
        st.tuples(st.integers(0, 5), st.integers(1, 4), st.integers(1, 6)), max_size=40
    )
)
def test_equal_values_have_equal_scores(textbook_models, customers):
    rows = [
        {
            "invoice_no": f"{number:03}{order}",
            "stock_code": "22423",
            "quantity": quantity,
            "invoice_date": datetime(2011, 1, 4) - timedelta(days=days),
            "unit_price": Decimal("2.55"),
            "customer_id": str(number),
        }
        for number, (days, orders, quantity) in enumerate(customers)
        for order in range(orders)
    ]

    built = textbook_models.run("fct_customer_rfm", rows)
    found = [row for row in built if row["is_current"]]

    for value, score, sign in [
        ("recency_days", "r_score", -1),
        ("frequency", "f_score", 1),
        ("monetary_value", "m_score", 1),
    ]:
        values = [sign * row[value] for row in found]
        scores = [row[score] for row in found]
        assert len(set(zip(values, scores, strict=True))) == len(set(values))
        assert [
            score for _, score in sorted(zip(values, scores, strict=True))
        ] == sorted(scores)
        assert scores == oracle.score(values)
    for row in found:
        assert row["rfm_code"] == f"{row['r_score']}{row['f_score']}{row['m_score']}"
        assert row["rfm_segment"] is not None


def test_eleven_names_cover_all_125_codes_once():
    path = PROJECT / "seeds" / "rfm_segments.csv"
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))

    codes = [
        f"{r}{f}{m}" for r in range(1, 6) for f in range(1, 6) for m in range(1, 6)
    ]

    assert sorted(row["rfm_code"] for row in rows) == codes
    assert len({row["rfm_segment"] for row in rows}) == 11


PLAIN = {
    "invoice_no": "536365",
    "stock_code": "22423",
    "quantity": 2,
    "invoice_date": datetime(2011, 1, 4),
    "unit_price": Decimal("2.55"),
    "customer_id": "17850",
}
FREE = {"unit_price": Decimal(0)}


@pytest.mark.parametrize(
    ("reason", "change"),
    [
        ("unreadable_line", {"raw_line": "536365;22423"}),
        ("unreadable_quantity", {"quantity": None, "raw_quantity": "six"}),
        ("unreadable_invoice_date", {"invoice_date": None, "raw_invoice_date": "soon"}),
        ("unreadable_unit_price", {"unit_price": None, "raw_unit_price": "gratis"}),
        ("missing_invoice_number", {"invoice_no": None}),
        ("missing_stock_code", {"stock_code": None}),
        ("missing_quantity", {"quantity": None}),
        ("missing_invoice_date", {"invoice_date": None}),
        ("missing_unit_price", {"unit_price": None}),
        (
            "amount_out_of_range",
            {"quantity": 2**31 - 1, "unit_price": Decimal(50_000)},
        ),
        ("after_as_of_date", {"invoice_date": datetime(2011, 1, 15)}),
        ("exact_duplicate", {}),
        ("bad_debt_adjustment", {"invoice_no": "A1"}),
        ("zero_quantity", {"quantity": 0}),
        ("zero_quantity", {"quantity": 0, **FREE}),
        ("stock_write_off", {"quantity": -1, **FREE}),
        ("non_positive_price", FREE),
        ("non_positive_price", {"invoice_no": "C1", "quantity": -1, **FREE}),
        ("positive_cancellation", {"invoice_no": "C1"}),
    ],
)
def test_plainest_line_of_each_reject_reason(dated_models, reason, change):
    rows = [PLAIN, {**PLAIN, **change}]

    found = dated_models.run("fct_rejected_lines", rows)

    assert [row["reject_reason"] for row in found] == [reason]
    assert judge(rows, ORACLE_DATE)[1][1].reject_reason == reason


def test_units_kept_for_nothing_have_no_score(net_models):
    refund = {"invoice_no": "C1", "quantity": -1, "unit_price": Decimal("5.10")}
    later = {"invoice_date": datetime(2011, 1, 5)}

    [found] = net_models.run("fct_customer_rfm", [PLAIN, {**PLAIN, **refund, **later}])

    assert (found["frequency"], found["monetary_value"]) == (1, 0)
    assert found["unscored_reason"] == "no_amount_kept"
    assert found["rfm_code"] is None


def as_rfm(rows):
    return {
        row["customer_id"]: oracle.Rfm(
            row["recency_days"],
            row["frequency"],
            row["monetary_value"],
            None
            if row["r_score"] is None
            else (row["r_score"], row["f_score"], row["m_score"]),
            row["unscored_reason"],
        )
        for row in rows
        if row["is_current"]
    }
