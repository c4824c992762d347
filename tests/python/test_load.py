"""Loading: the landing schema, and the same rows from every form of file."""

import datetime as dt
import hashlib
from decimal import Decimal
from pathlib import Path

import duckdb
from delivered_files import (
    AT,
    HEADERS,
    LINE,
    elsewhere,  # noqa: F401
    few_examples,
    landed,
    line,
    load_one,
    typed_columns,
    write_csv,
    write_parquet,
    write_xlsx,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from retail_segments.landing import LANDING_SCHEMA


def test_the_landing_file_has_exactly_the_agreed_columns():
    load_one(write_csv(Path("lines.csv"), [LINE]))
    described = duckdb.execute("describe from 'landing/*.parquet'").fetchall()
    assert [(name, type_) for name, type_, *_ in described] == [
        ("invoice_no", "VARCHAR"),
        ("stock_code", "VARCHAR"),
        ("description", "VARCHAR"),
        ("quantity", "BIGINT"),
        ("invoice_date", "TIMESTAMP"),
        ("unit_price", "DECIMAL(18,4)"),
        ("customer_id", "VARCHAR"),
        ("country", "VARCHAR"),
        ("currency", "VARCHAR"),
        ("store", "VARCHAR"),
        ("raw_quantity", "VARCHAR"),
        ("raw_invoice_date", "VARCHAR"),
        ("raw_unit_price", "VARCHAR"),
        ("raw_line", "VARCHAR"),
        ("source_file", "VARCHAR"),
        ("source_row", "BIGINT"),
        ("source_hash", "VARCHAR"),
    ]
    assert dict(LANDING_SCHEMA) == {name: type_ for name, type_, *_ in described}


def test_a_line_lands_as_delivered_with_its_source():
    path = write_csv(Path("lines.csv"), [line(Description="  WHITE  ", CustomerID="")])
    report = load_one(path)
    source_hash = hashlib.sha256(path.read_bytes()).hexdigest()
    assert landed("*") == [
        (
            *("536365", "85123A", "  WHITE  ", 6, AT, Decimal("2.5500")),
            *(None, "United Kingdom", None, None),
            *(None, None, None, None),
            *("lines.csv", 2, source_hash),
        )
    ]
    assert report.landing_path.name == f"lines-{source_hash[:16]}.parquet"
    assert (report.line_count, report.unreadable_count, report.notes) == (1, 0, ())


texts = st.text(
    st.characters(
        codec="utf-8", exclude_categories=["C", "Z"], include_characters=' ",;\t|\n'
    ),
    min_size=1,
    max_size=12,
).filter(lambda text: text.strip() and not text.startswith("#") and "_x" not in text)
typed_rows = st.lists(
    st.tuples(
        texts,
        texts,
        st.none() | texts,
        st.integers(-2_147_483_647, 2_147_483_647),
        st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2068, 12, 31)).map(
            lambda at: at.replace(second=0, microsecond=0)
        ),
        st.decimals(-99_999, 99_999, places=4),
        st.none() | texts,
        texts,
    ),
    min_size=1,
    max_size=6,
)


def written(rows, date_format, *, decimal="."):
    return [
        [
            *row[:3],
            row[3],
            row[4].strftime(date_format),
            f"{row[5]:.4f}".replace(".", decimal),
            *row[6:],
        ]
        for row in rows
    ]


@settings(few_examples, max_examples=8)
@given(rows=typed_rows)
def test_the_same_rows_land_from_every_form_of_file(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("forms")
    iso, us, dash = "%Y-%m-%d %H:%M:%S", "%m/%d/%Y %H:%M", "%d-%m-%Y %H:%M"
    short = "%m/%d/%y %I:%M %p"
    files = [
        write_csv(folder / "iso.csv", written(rows, iso)),
        write_csv(folder / "bom.csv", written(rows, us), encoding="utf-8-sig"),
        write_csv(folder / "crlf.csv", written(rows, dash), end="\r\n"),
        write_csv(folder / "tab.tsv", written(rows, short), delimiter="\t"),
        write_csv(folder / "bar.csv", written(rows, iso[:-3]), delimiter="|"),
        write_csv(folder / "wide.csv", written(rows, iso), encoding="utf-16"),
        write_csv(folder / "comma.csv", written(rows, us, decimal=","), delimiter=";"),
        write_xlsx(folder / "lines.xlsx", {"A": [HEADERS, *rows]}),
        write_parquet(folder / "lines.parquet", typed_columns(rows)),
    ]
    for number, path in enumerate(files):
        landing = folder / str(number)
        report = load_one(path, landing=landing)
        found = landed(
            "invoice_no, stock_code, description, quantity, invoice_date, unit_price, "
            "customer_id, country",
            landing,
        )
        assert found == rows, path.name
        assert report.unreadable_count == 0


@settings(few_examples, max_examples=8)
@given(rows=typed_rows)
def test_the_same_file_lands_as_the_same_bytes(rows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytes")
    path = write_parquet(folder / "lines.parquet", typed_columns(rows))
    one, other = (load_one(path, landing=folder / name) for name in ("one", "other"))
    assert one.landing_path.read_bytes() == other.landing_path.read_bytes()


def test_many_rows_land_in_order_and_as_the_same_bytes():
    count = 300_000
    duckdb.execute(
        "copy (select 'a' || i as Invoice, 's' as StockCode, 'd' as Description, "
        "i as Quantity, timestamp '2011-01-01' as InvoiceDate, 1.5 as Price, "
        f"1 as \"Customer ID\", 'UK' as Country from range({count}) as r(i)) "
        "to 'many.parquet' (format parquet, row_group_size 20000)"
    )
    one, other = (load_one(Path("many.parquet"), landing=Path(n)) for n in "ab")
    assert one.landing_path.read_bytes() == other.landing_path.read_bytes()
    assert landed("quantity, source_row", Path("a")) == [
        (i, i + 1) for i in range(count)
    ]
