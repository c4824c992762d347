"""Loading: headers, and the columns they are mapped to."""

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from delivered_files import (
    HEADERS,
    LINE,
    TYPED_LINE,
    column,
    elsewhere,  # noqa: F401
    landed,
    load_one,
    typed_columns,
    visible,
    write_csv,
    write_parquet,
    write_xlsx,
)
from retail_segments.headers import parse_column_options, read_columns_file
from retail_segments.landing import LoadError

SECOND_EDITION = (
    *("Invoice", "StockCode", "Description", "Quantity"),
    *("InvoiceDate", "Price", "Customer ID", "Country"),
)
OWN_NAMES = (
    *("invoice_number", "STOCK_CODE", "description", "Quantity "),
    *("invoice date", "unit-price", "Customer_Id", "COUNTRY"),
)


@pytest.mark.parametrize("headers", [HEADERS, SECOND_EDITION, OWN_NAMES])
def test_both_editions_and_our_own_names_are_known(headers):
    load_one(write_csv(Path("a.csv"), [LINE], headers))
    names = "invoice_no, stock_code, description, quantity, invoice_date, unit_price, "
    assert landed(names + "customer_id, country") == [TYPED_LINE]


def test_currency_and_store_are_carried_and_others_left():
    path = write_csv(
        Path("a.csv"), [[*LINE, "EUR", "x", "S1"]], [*HEADERS, "Currency", "Z", "Store"]
    )
    load_one(path)
    assert landed("currency, store") == [("EUR", "S1")]


def test_a_description_may_be_absent():
    rows = [[*LINE[:2], *LINE[3:]]]
    path = write_csv(Path("a.csv"), rows, [*HEADERS[:2], *HEADERS[3:]])
    assert column(path, "description") == [None]


GERMAN = ("Rechnung", "Artikel", "Text", "Menge", "Datum", "Preis", "Kunde", "Land")
ATTRIBUTES = (
    *("invoice_no", "stock_code", "description", "quantity"),
    *("invoice_date", "unit_price", "customer_id", "country"),
)
GERMAN_COLUMNS = dict(zip(ATTRIBUTES, GERMAN, strict=True))


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_users_own_headers_are_mapped_in_every_form(kind):
    path = Path(f"a.{kind}")
    if kind == "csv":
        write_csv(path, [LINE], GERMAN, delimiter=";")
    elif kind == "xlsx":
        write_xlsx(path, {"A": [GERMAN, TYPED_LINE]})
    else:
        columns = typed_columns([TYPED_LINE]).values()
        write_parquet(path, dict(zip(GERMAN, columns, strict=True)))
    load_one(path, columns=GERMAN_COLUMNS)
    assert landed(", ".join(ATTRIBUTES)) == [TYPED_LINE]


def test_a_mapped_header_prevails_over_one_that_looks_right():
    headers = [*HEADERS, "Net price"]
    path = write_csv(Path("a.csv"), [[*LINE, "1.99"]], headers)
    columns = {"unit_price": "Net price"}
    assert column(path, "unit_price", columns=columns) == [Decimal("1.99")]


def test_headers_and_names_with_quotes_reach_sql_as_they_are():
    folder = Path("we'ird \"[1]*/Country=France")
    folder.mkdir(parents=True)
    columns = typed_columns([TYPED_LINE])
    columns['Pri\'ce "x"'] = columns.pop("UnitPrice")
    columns["price"] = pa.array([Decimal("7.0000")])
    columns["PRICE"] = pa.array([Decimal("8.0000")])
    path = write_parquet(folder / "a'b[c]?.parquet", columns)
    landing = folder / "lan'ding [x]"
    for _ in range(2):
        load_one(path, landing=landing, columns={"unit_price": 'Pri\'ce "x"'})
    [file] = landing.glob("*.parquet")
    table = pq.read_table(file).to_pydict()
    assert table["unit_price"] == [Decimal("2.5500")]
    assert table["source_file"] == ["a'b[c]?.parquet"]
    assert table["country"] == ["United Kingdom"]


def test_a_name_with_brackets_is_no_pattern_for_other_files():
    write_parquet(Path("ab.parquet"), typed_columns([(*TYPED_LINE[:7], "Spain")]))
    path = write_parquet(Path("a[b].parquet"), typed_columns([TYPED_LINE]))
    assert column(path, "country") == ["United Kingdom"]


@pytest.mark.parametrize(
    ("headers", "columns", "message"),
    [
        (
            ("Rechnung", *HEADERS[1:5], "Preis", *HEADERS[6:]),
            {},
            "a.csv has no column for invoice_no, unit_price; its columns are Rechnung, "
            "StockCode, .* columns: {invoice_no: HEADER, unit_price: HEADER}, or with "
            "--column invoice_no=HEADER. Only description, currency and store",
        ),
        (HEADERS[:6], {}, "no column for customer_id, country; its columns are"),
        (
            (*HEADERS, "Price"),
            {},
            "more than one column for unit_price: UnitPrice, Price. Name the one",
        ),
        (
            HEADERS,
            {"unit_price": "UnitPrce"},
            "no column 'UnitPrce', which is mapped to unit_price. Did you mean Unit",
        ),
        (HEADERS, {"preis": "UnitPrice"}, "There is no attribute 'preis'"),
        (HEADERS, {"unit_prize": "X"}, "Did you mean unit_price"),
        (
            HEADERS,
            {"store": "Country", "country": "Country"},
            "'Country' is mapped to both store and country",
        ),
        (HEADERS, {"store": "Country"}, "no column for country; its columns are"),
        ((*HEADERS, "X", "X"), {"store": "X"}, "more than one column for store: X, X"),
    ],
)
def test_headers_that_do_not_fit_are_explained(headers, columns, message):
    path = write_csv(Path("a.csv"), [LINE], headers)
    with pytest.raises(LoadError, match=message):
        load_one(path, columns=columns)
    assert not Path("landing").exists() or visible() == []


def test_columns_files_are_read_and_others_refused():
    path = Path("c.yml")
    path.write_text("columns: {invoice_no: Rechnung, unit_price: Preis}")
    assert read_columns_file(path) == {"invoice_no": "Rechnung", "unit_price": "Preis"}
    for content in ("columns: [a, b]", "columns: {unit_price: 3}", "hello", ""):
        path.write_text(content)
        with pytest.raises(LoadError, match=r"c\.yml does not map attributes"):
            read_columns_file(path)
    path.write_text("columns: {")
    with pytest.raises(LoadError, match=r"c\.yml is not YAML"):
        read_columns_file(path)
    with pytest.raises(LoadError, match=r"Cannot read no\.yml: No such file"):
        read_columns_file(Path("no.yml"))


@pytest.mark.parametrize("option", ["unit_price", "=Preis", "unit_price="])
def test_a_column_option_has_two_sides(option):
    with pytest.raises(LoadError, match=f"--column {option} is not of the form"):
        parse_column_options([option])


def test_a_column_option_names_an_attribute_once():
    with pytest.raises(LoadError, match="--column names store twice"):
        parse_column_options(["store=A", "store=B"])
