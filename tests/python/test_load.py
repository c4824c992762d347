"""Loading: every form of file, every refusal, and nothing lost on the way."""

import csv
import datetime as dt
import hashlib
import io
import os
import re
import signal
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from retail_segments import progress, records
from retail_segments.cli import main
from retail_segments.encodings import detect_encoding
from retail_segments.headers import parse_column_options, read_columns_file
from retail_segments.landing import (
    LANDING_SCHEMA,
    LoadError,
    has_lines,
    landed_kind,
    landing_path,
    working_folder,
)
from retail_segments.load import load_files

HEADERS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
LINE = (
    "536365",
    "85123A",
    "WHITE HANGING HEART",
    "6",
    "2010-12-01 08:26:00",
    "2.55",
    "17850",
    "United Kingdom",
)
AT = dt.datetime(2010, 12, 1, 8, 26)
TYPED_LINE = (*LINE[:3], 6, AT, Decimal("2.55"), *LINE[6:])
NEEDED = ["invoice_no", "stock_code", "quantity", "invoice_date", "unit_price"]
few_examples = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, with the landing folder in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANDING_PATH", raising=False)


def line(**changes):
    """A line as text, with some values changed by header."""
    return [
        changes.get(header, value) for header, value in zip(HEADERS, LINE, strict=True)
    ]


def write_csv(
    path, rows, headers=HEADERS, *, delimiter=",", encoding="utf-8", end="\n"
):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
        writer.writerow(headers)
        writer.writerows(rows)
    return path


def write_xlsx(path, sheets):
    """Write sheets, each a list of rows of which the first is the header."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for i, row in enumerate(rows, 1):
            for j, value in enumerate(row, 1):
                if value is not None:
                    cell = sheet.cell(i, j)
                    cell.value = value
                    if isinstance(value, str) and not value.startswith("#"):
                        cell.data_type = "s"
    workbook.save(path)
    return path


def write_parquet(path, columns):
    pq.write_table(pa.table(columns), path)
    return path


def typed_columns(rows):
    types = [pa.string()] * 3 + [pa.int32(), pa.timestamp("us"), pa.decimal128(18, 4)]
    types += [pa.string()] * 2
    by_column = list(zip(*rows, strict=True))
    return {
        header: pa.array(values, type_)
        for header, values, type_ in zip(HEADERS, by_column, types, strict=True)
    }


def load(*paths, landing=Path("landing"), **options):
    return load_files(list(paths), landing=landing, **options)


def load_one(path, **options):
    [report] = load(path, **options)
    return report


def landed(columns, landing=Path("landing")):
    """All landed lines, in the order in which they lie there."""
    return duckdb.execute(
        f"select {columns} from read_parquet(?)", [f"{landing}/*.parquet"]
    ).fetchall()


def column(path, name, **options):
    """Load a file that must land, and return one column of it."""
    load_one(path, **options)
    return [value for (value,) in landed(name)]


def visible(landing=Path("landing")):
    return sorted(path.name for path in landing.glob("*"))


# The landing schema, and the same rows from every form of file.


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


# Numbers.

QUANTITIES = [
    ("6", 6),
    ("6.0", 6),
    ("6.", 6),
    ("-1", -1),
    ("+3", 3),
    (" 6 ", 6),
    ("\u00a06\t", 6),
    ("1,200", 1200),
    ("-1,234,567.00", -1234567),
    ("2147483647", 2147483647),
    ("-2147483647", -2147483647),
    ("2147483648", None),
    ("-2147483648", None),
    ("1.5", None),
    ("0.5", None),
    ("1.9999999999", None),
    ("abc", None),
    ("NaN", None),
    ("inf", None),
    ("1e308", None),
    ("1,2", None),
    ("1,20,0", None),
    ("1_000", None),
    ("0x10", None),
    ("6 pcs", None),
    ("99999999999999999999999", None),
]


def test_quantities_are_whole_units_or_kept_as_delivered():
    rows = [line(Quantity=text) for text, _ in QUANTITIES]
    report = load_one(write_csv(Path("a.csv"), rows), max_unreadable=1)
    expected = [(n, None if n is not None else t) for t, n in QUANTITIES]
    assert landed("quantity, raw_quantity") == expected
    assert report.unreadable_count == sum(n is None for _, n in QUANTITIES)


PRICES = [
    ("2.55", "2.5500"),
    ("-11062.06", "-11062.0600"),
    (".5", "0.5000"),
    ("1,234.5", "1234.5000"),
    ("4e-05", "0.0000"),
    ("1E+3", "1000.0000"),
    ("2.00005", "2.0001"),
    ("9999999999.9999", "9999999999.9999"),
    ("9999999999.99996", None),
    ("10000000000", None),
    ("NaN", None),
    ("-inf", None),
    ("1e308", None),
    ("2,55", None),
    ("£2.55", None),
    ("-", None),
]


def test_prices_have_four_decimals_or_are_kept_as_delivered():
    rows = [line(UnitPrice=text) for text, _ in PRICES]
    report = load_one(write_csv(Path("a.csv"), rows), max_unreadable=1)
    expected = [
        (Decimal(price), None) if price else (None, text) for text, price in PRICES
    ]
    assert landed("unit_price, raw_unit_price") == expected
    assert "2 prices had more than four decimals and were rounded." in report.notes


@few_examples
@given(prices=st.lists(st.decimals(-(10**9), 10**9, places=4), min_size=1, max_size=50))
def test_doubles_land_as_the_decimals_they_stand_for(prices, tmp_path_factory):
    folder = tmp_path_factory.mktemp("doubles")
    columns = typed_columns([TYPED_LINE] * len(prices))
    columns["UnitPrice"] = pa.array([float(price) for price in prices])
    path = write_parquet(folder / "lines.parquet", columns)
    report = load_one(path, landing=folder / "landing")
    assert [p for (p,) in landed("unit_price", folder / "landing")] == prices
    assert report.notes == ()


def test_prices_of_a_double_column_are_rounded_and_counted():
    columns = typed_columns([TYPED_LINE] * 8)
    prices = [
        2.55,
        0.1 + 0.2,
        0.001,
        1.23456,
        -0.00006,
        float("nan"),
        float("inf"),
        1e10,
    ]
    columns["UnitPrice"] = pa.array(prices)
    report = load_one(write_parquet(Path("a.parquet"), columns), max_unreadable=1)
    assert landed("unit_price, raw_unit_price") == [
        (Decimal("2.55"), None),
        (Decimal("0.3"), None),
        (Decimal("0.001"), None),
        (Decimal("1.2346"), None),
        (Decimal("-0.0001"), None),
        (None, "nan"),
        (None, "inf"),
        (None, "10000000000.0"),
    ]
    assert "2 prices had more than four decimals and were rounded." in report.notes


def test_single_precision_prices_are_not_called_rounded():
    columns = typed_columns([TYPED_LINE] * 2)
    columns["UnitPrice"] = pa.array([2.55, 11062.06], pa.float32())
    report = load_one(write_parquet(Path("a.parquet"), columns))
    assert landed("unit_price") == [(Decimal("2.55"),), (Decimal("11062.06"),)]
    assert report.notes == ()


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([6.0, 1.5, float("nan"), 3e9]), [6, None, None, None]),
        (pa.array([6, 2**31 - 1, 2**31, None], pa.int64()), [6, 2**31 - 1, None, None]),
        (pa.array([Decimal("6.0"), Decimal("1.5")]), [6, None]),
        (pa.array([True, False]), [None, None]),
        (pa.array([[6], [7]]), [None, None]),
    ],
    ids=["double", "bigint", "decimal", "boolean", "list"],
)
def test_quantities_of_any_parquet_type_are_read_or_kept(values, expected):
    columns = typed_columns([TYPED_LINE] * len(values))
    columns["Quantity"] = values
    load_one(write_parquet(Path("a.parquet"), columns), max_unreadable=1)
    found = landed("quantity, raw_quantity is not null")
    is_null = values.is_null().to_pylist()
    assert found == [
        (n, n is None and not null) for n, null in zip(expected, is_null, strict=True)
    ]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (pa.array([17850.0, 0.5, float("nan"), None]), ["17850", "0.5", None, None]),
        # Alone, as its neighbours' statistics would have DuckDB take it for a number.
        (pa.array([float("nan")]), [None]),
        (pa.array([17850, 0], pa.uint64()), ["17850", "0"]),
        (pa.array([Decimal("17850.00"), Decimal("1.50")]), ["17850", "1.50"]),
        (pa.array([b"A1", b""]), ["A1", None]),
        (pa.array(["17850.0", " A "]).dictionary_encode(), ["17850.0", " A "]),
    ],
    ids=["double", "nan", "unsigned", "decimal", "bytes", "dictionary"],
)
def test_codes_of_any_parquet_type_become_text_without_a_tail(values, expected):
    columns = typed_columns([TYPED_LINE] * len(values))
    columns["CustomerID"] = values
    path = write_parquet(Path("a.parquet"), columns)
    assert column(path, "customer_id") == expected


def test_decimal_commas_are_read_in_semicolon_files():
    rows = [
        line(UnitPrice="2,55", Quantity="1.200"),
        line(UnitPrice="1.234,5", Quantity="6,0"),
        line(UnitPrice="3", Quantity="7"),
    ]
    path = write_csv(Path("a.csv"), rows, delimiter=";")
    report = load_one(path)
    assert landed("quantity, unit_price") == [
        (1200, Decimal("2.55")),
        (6, Decimal("1234.5")),
        (7, Decimal(3)),
    ]
    assert report.notes == ("Numbers were read with a comma for the decimals.",)


def test_decimal_points_are_read_in_semicolon_files():
    rows = [line(UnitPrice="2.55"), line(UnitPrice="1,234.5"), line(UnitPrice="1,200")]
    path = write_csv(Path("a.csv"), rows, delimiter=";")
    assert column(path, "unit_price") == [
        Decimal("2.55"),
        Decimal("1234.5"),
        Decimal(1200),
    ]


def test_a_lone_comma_before_three_digits_parts_thousands_where_nothing_decides():
    path = write_csv(Path("a.csv"), [line(UnitPrice="1,200")], delimiter=";")
    report = load_one(path)
    assert landed("unit_price") == [(Decimal(1200),)]
    assert report.notes == ()


# Dates.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2010-12-01 08:26:00", AT),
        ("2010-12-01T08:26", AT),
        ("2010-12-01T08:26:00.5", AT.replace(microsecond=500_000)),
        ("2010-12-01", dt.datetime(2010, 12, 1)),
        ("2010/12/01 8:26", AT),
        (" 2010-12-01 08:26 ", AT),
        ("2010-12-01T08:26:00Z", AT),
        ("2010-12-01T08:26:00+01:00", dt.datetime(2010, 12, 1, 7, 26)),
        ("12/1/2010 8:26", AT),
        ("12/01/10 08:26:00", AT),
        ("12/1/2010 8:26:00.25", AT.replace(microsecond=250_000)),
        ("12/1/2010", dt.datetime(2010, 12, 1)),
        ("12/1/10", dt.datetime(2010, 12, 1)),
        ("12/1/2010 8:26 AM", AT),
        ("12/1/2010 8:26 PM", dt.datetime(2010, 12, 1, 20, 26)),
        ("01-12-2010 08:26", AT),
        ("01-12-10", dt.datetime(2010, 12, 1)),
        ("1.12.2010 8:26", AT),
        ("2010-12-01 08:26:00 PM", None),
        ("2010-12-01 08:26:00 and more", None),
        ("2010-13-01", None),
        ("12/32/2010", None),
        ("29-02-2011", None),
        ("1989-12-31", None),
        ("2101-01-01", None),
        ("12/1/0010", None),
        ("40513.35", None),
        ("infinity", None),
        ("epoch", None),
        ("8:26", None),
        ("soon", None),
    ],
)
def test_dates_are_read_or_kept_as_delivered(text, expected):
    rows = [line(InvoiceDate=text)]
    load_one(write_csv(Path("a.csv"), rows), max_unreadable=1)
    raw = None if expected else text
    assert landed("invoice_date, raw_invoice_date") == [(expected, raw)]


SLASH, DASH = "%{0}/%{1}/%Y %H:%M", "%{0}-%{1}-%Y %H:%M"


@few_examples
@given(
    dates=st.lists(
        st.datetimes(dt.datetime(1990, 1, 1), dt.datetime(2099, 1, 1)),
        min_size=1,
        max_size=20,
    ),
    form=st.sampled_from([SLASH, DASH]),
    is_day_first=st.booleans(),
)
def test_the_whole_column_decides_between_day_and_month(
    dates, form, is_day_first, tmp_path_factory
):
    folder = tmp_path_factory.mktemp("dates")
    pattern = form.format(*("dm" if is_day_first else "md"))
    swapped = form.format(*("md" if is_day_first else "dm"))
    texts = [date.strftime(pattern) for date in dates]
    rows = [line(InvoiceDate=text) for text in texts]
    report = load_one(write_csv(folder / "a.csv", rows), landing=folder / "landing")
    is_undecided = all(date.day <= 12 for date in dates)
    default_is_day = form is DASH
    read_as = pattern
    if is_undecided and is_day_first != default_is_day:
        read_as = swapped
    expected = [dt.datetime.strptime(text, read_as) for text in texts]
    assert [d for (d,) in landed("invoice_date", folder / "landing")] == expected
    notes = " ".join(report.notes)
    assert ("can be read with the day or the month first" in notes) == is_undecided
    assert ("can be read so" in notes) == (
        not is_undecided and is_day_first != default_is_day
    )


def test_an_order_against_the_default_is_told_with_its_counts():
    rows = [line(InvoiceDate=f"{day}/3/2011 8:26") for day in (1, 2, 13, 14)]
    report = load_one(write_csv(Path("a.csv"), rows))
    assert report.notes == (
        "Dates with slashes were read with the day first: 4 can be read so, 2 the "
        "other way round.",
    )
    assert landed("invoice_date")[0] == (dt.datetime(2011, 3, 1, 8, 26),)


def test_a_date_that_only_the_minority_order_reads_is_kept_as_delivered():
    texts = ["3/13/2011", "3/14/2011", "15/3/2011"]
    rows = [line(InvoiceDate=text) for text in texts]
    load_one(write_csv(Path("a.csv"), rows), max_unreadable=1)
    assert landed("raw_invoice_date")[2] == ("15/3/2011",)


def test_the_date_format_option_overrides_what_the_column_says():
    rows = [line(InvoiceDate="13/3/2011 8:26"), line(InvoiceDate="01/02/2011 8:26")]
    path = write_csv(Path("a.csv"), rows)
    load_one(path, date_format="%d/%m/%Y %H:%M")
    assert landed("invoice_date") == [
        (dt.datetime(2011, 3, 13, 8, 26),),
        (dt.datetime(2011, 2, 1, 8, 26),),
    ]


def test_date_cells_are_read_beside_text_in_the_users_format():
    rows = [list(TYPED_LINE), [*TYPED_LINE[:4], "Wed 1 Dec 2010", *TYPED_LINE[5:]]]
    path = write_xlsx(Path("a.xlsx"), {"A": [HEADERS, *rows]})
    found = column(path, "invoice_date", date_format="%a %d %b %Y")
    assert found == [AT, dt.datetime(2010, 12, 1)]


@pytest.mark.parametrize("date_format", ["%Q", "no field"])
def test_a_date_format_that_is_none_is_refused(date_format):
    with pytest.raises(LoadError, match=f"--date-format '{date_format}'"):
        load_one(write_csv(Path("a.csv"), [LINE]), date_format=date_format)


@pytest.mark.parametrize(
    ("values", "expected", "note"),
    [
        (pa.array([AT.date()]), dt.datetime(2010, 12, 1), ()),
        (pa.array([AT], pa.timestamp("ns")), AT, ()),
        (pa.array([AT], pa.timestamp("ms")), AT, ()),
        (
            pa.array([AT], pa.timestamp("us", tz="Europe/London")),
            AT,
            ("The dates carry a time zone; they are landed as they read in UTC.",),
        ),
        (pa.array(["12/1/2010 8:26"]), AT, None),
        (pa.array([dt.datetime(1899, 1, 1)]), None, None),
        (pa.array([20101201]), None, None),
    ],
    ids=["date", "ns", "ms", "zone", "text", "old", "integer"],
)
def test_dates_of_any_parquet_type_are_read_or_kept(values, expected, note):
    columns = typed_columns([TYPED_LINE])
    columns["InvoiceDate"] = values
    path = write_parquet(Path("a.parquet"), columns)
    report = load_one(path, max_unreadable=1)
    assert landed("invoice_date, raw_invoice_date is null") == [
        (expected, expected is not None)
    ]
    if note is not None:
        assert report.notes == note


# Workbooks.


def test_every_sheet_with_a_header_is_read_the_hidden_too():
    path = write_xlsx(
        Path("book.xlsx"),
        {
            "First": [HEADERS, TYPED_LINE],
            "Empty": [],
            "It's": [reversed(HEADERS), list(reversed(TYPED_LINE))],
        },
    )
    workbook = openpyxl.load_workbook(path)
    workbook["It's"].sheet_state = "hidden"
    workbook.save(path)
    load_one(path)
    assert landed("quantity, source_file, source_row") == [
        (6, "book.xlsx#First", 2),
        (6, "book.xlsx#It's", 2),
    ]


def test_source_row_is_the_number_at_the_left_of_the_row():
    rows = [[], [None, *HEADERS], [None, *TYPED_LINE], [], [None, *TYPED_LINE], ["  "]]
    report = load_one(write_xlsx(Path("a.xlsx"), {"A": rows}))
    assert landed("source_row") == [(3,), (5,)]
    assert report.notes == ("1 wholly blank row between others was passed over.",)


def test_cells_keep_what_a_person_sees():
    cells = [536365, 22423, True, 6.0, 40513.351388888885, 0.1 + 0.2, 17850.0, "UK"]
    errors = ["#N/A", "#DIV/0!", None, "#REF!", "#NUM!", "#VALUE!", "#NAME?", "UK"]
    path = write_xlsx(Path("a.xlsx"), {"A": [HEADERS, cells, errors]})
    load_one(path, max_unreadable=1)
    names = "invoice_no, stock_code, description, quantity, invoice_date, unit_price, "
    names += "customer_id, raw_quantity, raw_invoice_date, raw_unit_price"
    price = Decimal("0.3")
    assert landed(names) == [
        ("536365", "22423", "true", 6, AT, price, "17850", None, None, None),
        (
            *("#N/A", "#DIV/0!", None, None, None, None, "#NAME?"),
            *("#REF!", "#NUM!", "#VALUE!"),
        ),
    ]


def test_day_numbers_follow_the_workbooks_own_day_zero():
    workbook = openpyxl.Workbook()
    workbook.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    workbook.active.append(HEADERS)
    day_number = 40513.351388888885 - 1462
    workbook.active.append([*TYPED_LINE[:4], day_number, *TYPED_LINE[5:]])
    workbook.active.append(TYPED_LINE)
    workbook.save("a.xlsx")
    assert column(Path("a.xlsx"), "invoice_date") == [AT, AT]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "a.xlsx is not an Excel workbook, or it is cut off"),
        (
            b"PK\x03\x04" + b"x" * 99,
            "a.xlsx is not an Excel workbook, or it is cut off",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
            + "EncryptedPackage".encode("utf-16-le"),
            "a.xlsx is protected by a password. Open it",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "Workbook".encode("utf-16-le"),
            r"a.xlsx is in the old Excel format \(.xls\). Open it",
        ),
    ],
    ids=["text", "cut", "encrypted", "xls"],
)
def test_what_is_no_workbook_is_said_to_be_none(content, message):
    Path("a.xlsx").write_bytes(content)
    with pytest.raises(LoadError, match=message):
        load_one(Path("a.xlsx"))


def test_a_zip_archive_is_no_workbook():
    with zipfile.ZipFile("a.xlsx", "w") as archive:
        archive.writestr("lines.csv", "x")
    with pytest.raises(LoadError, match="zip archive but not an Excel workbook"):
        load_one(Path("a.xlsx"))


def test_a_damaged_workbook_is_refused_in_one_sentence():
    write_xlsx(Path("whole.xlsx"), {"A": [HEADERS, TYPED_LINE]})
    with (
        zipfile.ZipFile("whole.xlsx") as whole,
        zipfile.ZipFile("a.xlsx", "w") as damaged,
    ):
        for name in whole.namelist():
            content = whole.read(name)
            is_sheet = name.startswith("xl/worksheets/")
            damaged.writestr(
                name, content[: len(content) // 2] if is_sheet else content
            )
    with pytest.raises(LoadError, match=r"a\.xlsx cannot be read as a workbook"):
        load_one(Path("a.xlsx"))


def test_a_workbook_of_empty_sheets_is_refused():
    path = write_xlsx(Path("a.xlsx"), {"A": [], "B": [["  "]]})
    with pytest.raises(LoadError, match=r"a\.xlsx has no sheet with a header"):
        load_one(path)


def test_a_sheet_without_the_columns_is_named():
    path = write_xlsx(
        Path("a.xlsx"), {"Lines": [HEADERS, TYPED_LINE], "Notes": [["Remarks"], ["x"]]}
    )
    with pytest.raises(LoadError, match=r"a\.xlsx#Notes has no column for invoice_no"):
        load_one(path)


# Delimited text.


def test_a_field_may_hold_quotes_delimiters_and_line_breaks():
    rows = [line(Description='5" nail, "new"\nbox\r\n\n'), line()]
    path = write_csv(Path("a.csv"), rows)
    load_one(path)
    assert landed("description, source_row") == [
        ('5" nail, "new"\nbox\r\n\n', 2),
        (LINE[2], 6),
    ]


def test_a_quote_within_a_plain_field_is_a_letter():
    text = ",".join(line(Description='12" x 10" FRAME'))
    Path("a.csv").write_text(",".join(HEADERS) + "\n" + text + "\n")
    assert column(Path("a.csv"), "description") == ['12" x 10" FRAME']


def test_a_line_that_does_not_fit_the_header_lands_as_its_text():
    good = ",".join(LINE)
    bad = ["1,2,3", good + ",more", 'a,"b', 'a,"b"c,d,e,f,g,h,i', '"' + good]
    Path("a.csv").write_text("\n".join([",".join(HEADERS), good, *bad, good]) + "\n")
    report = load_one(Path("a.csv"), max_unreadable=1)
    assert report.unreadable_count == 5
    assert landed("raw_line, source_row, invoice_no") == [
        (None, 2, "536365"),
        *((text, row, None) for row, text in enumerate(bad, 3)),
        (None, 8, "536365"),
    ]


def test_a_stray_quote_does_not_swallow_the_lines_behind_it():
    good = ",".join(LINE)
    lines = [",".join(HEADERS), '1,"2', *[good] * 500]
    Path("a.csv").write_text("\n".join(lines))
    report = load_one(Path("a.csv"))
    assert (report.line_count, report.unreadable_count) == (501, 1)


def test_a_line_with_broken_bytes_lands_as_its_text():
    lines = [",".join(HEADERS), *[",".join(line(Description="café"))] * 200]
    broken = ",".join(line(Description="caf")).encode() + b"\xe9\xff"
    Path("a.csv").write_bytes("\n".join(lines).encode() + b"\n" + broken + b"\n")
    report = load_one(Path("a.csv"))
    assert (report.line_count, report.unreadable_count) == (201, 1)
    assert landed("raw_line, source_row")[-1] == (
        broken.decode(errors="replace"),
        202,
    )


def test_blank_lines_are_no_rows_and_those_between_are_counted():
    good = ",".join(LINE)
    lines = ["", ",".join(HEADERS), good, "", ",,,,,,,", "  ", good, "", ",,,,,,,", ""]
    Path("a.csv").write_text("\n".join(lines))
    report = load_one(Path("a.csv"))
    assert landed("source_row") == [(3,), (7,)]
    assert report.notes == ("3 wholly blank rows between others were passed over.",)


@pytest.mark.parametrize(
    ("encoding", "notes"),
    [
        ("utf-8", ()),
        ("utf-8-sig", ()),
        ("utf-16", ()),
        ("utf-16-be", ()),
        ("cp1252", ("The text is not utf-8 and was read as cp1252.",)),
        ("latin-1", ("The text is not utf-8 and was read as latin-1.",)),
    ],
)
def test_every_usual_encoding_is_read(encoding, notes):
    description = "café \x81" if encoding == "latin-1" else "café £5"
    path = Path("a.csv")
    write_csv(path, [line(Description=description)], encoding=encoding)
    if encoding == "utf-16-be":
        path.write_bytes(b"\xfe\xff" + path.read_bytes())
    report = load_one(path)
    assert landed("description") == [(description,)]
    assert report.notes == notes


def test_a_cut_utf_16_file_loses_nothing():
    path = write_csv(Path("a.csv"), [line(), line()], encoding="utf-16")
    path.write_bytes(path.read_bytes()[:-5])
    report = load_one(path, max_unreadable=1)
    assert (report.line_count, report.unreadable_count) == (2, 1)


def test_records_are_split_alike_wherever_a_batch_ends(monkeypatch):
    monkeypatch.setattr(records, "_BATCH_LINES", 7)
    monkeypatch.setattr(records, "MAX_SPAN", 3)
    descriptions = ["a\nb", "plain", 'q"', "x\ny\nz", "plain"] * 20
    rows = [line(Description=text) for text in descriptions]
    report = load_one(write_csv(Path("a.csv"), rows))
    assert [text for (text,) in landed("description")] == descriptions
    assert report.unreadable_count == 0


garbage_lines = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.text('ab",;\n\r\t \x00é\ufffd', max_size=30).map(str.encode),
        st.just(",".join(LINE).encode()),
        st.just(b'1,2,"a\nb",3,4,5,6,7'),
    ),
    max_size=12,
)
newlines = st.sampled_from([b"\n", b"\r\n", b"\r"])


def holds_nothing(text):
    return not text.replace(",", "").replace('"', "").strip()


def lines_of_record(row, fields):
    breaks = len(re.findall("\r\n|\r|\n", "".join(fields)))
    return set(range(row, row + breaks + 1))


@settings(few_examples, max_examples=300)
@given(parts=garbage_lines, newline=newlines, width=st.integers(1, 4))
@example(parts=[b'"', b'"', b'"'], newline=b"\n", width=2)
def test_every_line_is_a_record_or_its_text_or_blank(parts, newline, width):
    text = newline.join(parts).decode(errors="replace")
    lines = io.StringIO(text, newline="").readlines()
    seen = set()
    for batch in records.split_records(
        records.NumberedLines(iter(lines)),
        delimiter=",",
        width=width,
        has_invalid_bytes="\ufffd" in text,
    ):
        for row, fields, raw_line in zip(
            batch.rows, batch.fields, batch.raw_lines, strict=True
        ):
            assert len(fields) == width
            assert row not in seen
            if raw_line is None:
                assert "\ufffd" not in "".join(fields)
                seen |= lines_of_record(row, fields)
            else:
                assert raw_line == lines[row - 1].rstrip("\r\n")
                seen.add(row)
        assert not seen & set(batch.blank_rows)
        assert all(holds_nothing(lines[row - 1]) for row in batch.blank_rows)
        seen |= set(batch.blank_rows)
    missed = set(range(1, len(lines) + 1)) - seen
    assert all(holds_nothing(lines[row - 1]) for row in missed)


@settings(few_examples, max_examples=30)
@given(parts=garbage_lines, newline=newlines)
def test_no_line_of_a_garbage_file_is_lost(parts, newline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("garbage")
    path = folder / "a.csv"
    parts = [",".join(LINE).encode(), *parts]
    path.write_bytes(newline.join([",".join(HEADERS).encode(), *parts]))
    encoding = detect_encoding(path)
    text = path.read_bytes().decode(encoding.name, errors="replace")
    lines = io.StringIO(text, newline="").readlines()
    load_one(path, landing=folder / "landing", max_unreadable=1)
    texts = ("invoice_no", "stock_code", "description", "raw_quantity")
    texts += ("raw_invoice_date", "raw_unit_price", "customer_id", "country")
    fields = ", ".join(f"coalesce({name}, '')" for name in texts)
    seen = {1}
    for row, raw_line, *values in landed(
        f"source_row, raw_line, {fields}", folder / "landing"
    ):
        assert row not in seen
        if raw_line is None:
            seen |= lines_of_record(row, values)
        else:
            assert raw_line == lines[row - 1].rstrip("\r\n")
            seen.add(row)
    missed = set(range(1, len(lines) + 1)) - seen
    assert all(holds_nothing(lines[row - 1]) for row in missed)


# Headers.

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


# Files that cannot be loaded.


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(LoadError, match=r"There is no file x/no\.csv"):
        load_one(Path("x/no.csv"))
    assert visible(Path()) == []


def test_a_folder_is_no_file():
    Path("folder.csv").mkdir()
    with pytest.raises(LoadError, match=r"folder\.csv is a folder. Name the files"):
        load_one(Path("folder.csv"))


@pytest.mark.parametrize("name", ["lines.xls", "lines"])
def test_an_unknown_ending_is_refused_with_the_known_ones(name):
    Path(name).write_text("x")
    with pytest.raises(LoadError, match=r"must end in \.xlsx, \.csv, \.tsv, \.parquet"):
        load_one(Path(name))


def test_a_file_one_may_not_read_is_named(monkeypatch):
    path = write_csv(Path("a.csv"), [LINE])
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(LoadError, match=r"a\.csv may not be read by you"):
        load_one(path)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_file_of_no_bytes_is_called_empty(kind):
    path = Path(f"a.{kind}")
    path.touch()
    with pytest.raises(LoadError, match=f"a.{kind} is empty: it has 0 bytes"):
        load_one(path)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_header_without_lines_is_refused(kind):
    path = Path(f"a.{kind}")
    if kind == "csv":
        write_csv(path, [])
    elif kind == "xlsx":
        write_xlsx(path, {"A": [HEADERS]})
    else:
        write_parquet(path, {h: pa.array([], pa.string()) for h in HEADERS})
    with pytest.raises(LoadError, match=f"a.{kind} has a header but no lines below it"):
        load_one(path)
    assert visible() == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b" \n\n", "a.csv has no header line"),
        (b'"Invoice,Price\n1,2\n', "has a quote that is not closed"),
        (b"PK\x03\x04xyz", "a.csv is a spreadsheet or zip archive, not delimited text"),
        (b"PAR1\x15\x04", "a.csv is a Parquet file, not delimited text"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "a.csv is an old Excel file, not delimited text"),
        (b"I\0n\0v\0o\0\n", "is not text: its first line has NUL bytes"),
    ],
)
def test_what_is_no_delimited_text_is_said_to_be_none(content, message):
    Path("a.csv").write_bytes(content)
    with pytest.raises(LoadError, match=message):
        load_one(Path("a.csv"))


@pytest.mark.parametrize("is_cut", [True, False])
def test_what_is_no_parquet_is_said_to_be_none(is_cut):
    path = write_parquet(Path("a.parquet"), typed_columns([TYPED_LINE]))
    path.write_bytes(path.read_bytes()[:-9] if is_cut else b"hello")
    with pytest.raises(
        LoadError, match=r"a\.parquet is not a Parquet file, or it is cut"
    ):
        load_one(path)


def test_damaged_parquet_pages_are_refused_in_one_sentence():
    path = write_parquet(Path("a.parquet"), typed_columns([TYPED_LINE] * 99))
    content = bytearray(path.read_bytes())
    content[4:200] = b"\xff" * 196
    path.write_bytes(content)
    with pytest.raises(LoadError, match=r"^a\.parquet could not be loaded: [^\n]+$"):
        load_one(path)
    assert visible() == []


def test_too_much_that_is_unreadable_stops_the_load_with_examples():
    rows = [LINE] * 97 + [line(Quantity="six", UnitPrice="free"), line(), line()]
    path = write_csv(Path("a.csv"), rows)
    with pytest.raises(LoadError) as stopped:
        load_one(path, max_unreadable=0.005)
    message = str(stopped.value)
    assert "1 of its 100 lines (1.0%) hold something unreadable" in message
    assert "row 99, quantity 'six'; row 99, unit_price 'free'." in message
    assert visible() == []


def test_a_little_that_is_unreadable_lands_and_is_shown():
    rows = [LINE] * 99 + [line(InvoiceDate="x" * 50)]
    report = load_one(write_csv(Path("a.csv"), rows))
    shown = "x" * 40 + "..."
    assert report.unreadable_count == 1
    assert report.notes == (
        f"Kept as delivered where unreadable: row 101, invoice_date '{shown}'.",
    )
    assert landed("invoice_date, raw_invoice_date")[-1] == (None, "x" * 50)


def test_at_most_five_examples_are_shown_with_their_sheet():
    rows = [[*TYPED_LINE[:3], "?", *TYPED_LINE[4:]]] * 9
    path = write_xlsx(Path("a.xlsx"), {"A": [HEADERS, *rows]})
    report = load_one(path, max_unreadable=1)
    assert report.notes[0].count("sheet A, row") == 5


def test_a_blank_value_is_not_unreadable():
    rows = [line(Quantity="", InvoiceDate=" ", UnitPrice="")]
    report = load_one(write_csv(Path("a.csv"), rows))
    assert report.unreadable_count == 0
    assert landed(
        "quantity, invoice_date, unit_price, raw_quantity, raw_invoice_date"
    ) == [(None,) * 5]


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_lies_between_nothing_and_all(share):
    with pytest.raises(LoadError, match=f"must lie in 0 to 1, not {share}"):
        load_one(write_csv(Path("a.csv"), [LINE]), max_unreadable=share)


# The landing folder.


def test_the_landing_folder_follows_the_environment(monkeypatch):
    assert landing_path() == Path("landing")
    monkeypatch.setenv("LANDING_PATH", "else/where")
    assert landing_path() == Path("else/where")
    monkeypatch.setenv("LANDING_PATH", "")
    assert landing_path() == Path("landing")


def test_the_same_file_again_adds_nothing_and_says_so():
    path = write_csv(Path("a.csv"), [LINE, LINE])
    first, again = load(path, path)
    renamed = load_one(path.rename("b.csv"))
    assert not first.already_loaded
    for report in (again, renamed):
        assert report.already_loaded
        assert report.line_count == 2
        assert report.notes[0].startswith(
            f"Already loaded as {first.landing_path.name}, 2 lines; nothing added."
        )
    assert visible() == [first.landing_path.name]


def test_an_error_keeps_what_was_loaded_before_it():
    good = write_csv(Path("good.csv"), [LINE])
    reports = []
    with pytest.raises(LoadError, match=r"no file no\.csv.*kept: good\.csv\.$"):
        load(good, Path("no.csv"), good, on_report=reports.append)
    assert len(reports) == len(visible()) == 1


def demo_file(name="demo.csv", price="1.00"):
    return write_csv(Path(name), [line(UnitPrice=price)])


def test_a_users_lines_put_the_demo_aside():
    assert landed_kind(Path("landing")) is None
    demo = load_one(demo_file(), kind="demo")
    assert demo.landing_path.name.startswith("demo-")
    assert landed_kind(Path("landing")) == "demo"
    assert not has_lines(Path("landing"))
    report = load_one(write_csv(Path("a.csv"), [LINE]))
    assert landed_kind(Path("landing")) == "lines"
    assert visible() == ["aside", report.landing_path.name]
    assert visible(Path("landing/aside")) == [demo.landing_path.name]
    assert report.notes == (
        f"The demo's {demo.landing_path.name} was put aside in landing/aside.",
    )


def test_another_demo_puts_the_first_aside_and_the_same_adds_nothing():
    first = load_one(demo_file(), kind="demo")
    assert load_one(demo_file(), kind="demo").already_loaded
    second = load_one(demo_file("other.csv", "2.00"), kind="demo")
    assert visible() == ["aside", second.landing_path.name]
    assert visible(Path("landing/aside")) == [first.landing_path.name]


def test_the_demo_is_refused_beside_a_users_lines():
    load_one(write_csv(Path("a.csv"), [LINE]))
    with pytest.raises(LoadError, match="demo lines never mix with them"):
        load_one(demo_file(), kind="demo")


def test_a_load_that_cannot_be_put_in_place_brings_the_demo_back(monkeypatch):
    demo = load_one(demo_file(), kind="demo")
    replace = os.replace

    def fail_in_the_end(source, target):
        if Path(target).name.startswith("lines-"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_in_the_end)
    with pytest.raises(LoadError, match=r"a\.csv could not be loaded: No space left"):
        load_one(write_csv(Path("a.csv"), [LINE]))
    assert visible() == ["aside", demo.landing_path.name]
    assert visible(Path("landing/aside")) == []


def test_an_interrupt_after_the_rename_does_not_bring_the_demo_back(monkeypatch):
    load_one(demo_file(), kind="demo")
    replace = os.replace

    def interrupt_in_the_end(source, target):
        replace(source, target)
        if Path(target).name.startswith("lines-"):
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt_in_the_end)
    with pytest.raises(KeyboardInterrupt):
        load_one(write_csv(Path("a.csv"), [LINE]))
    assert [name.split("-")[0] for name in visible()] == ["aside", "lines"]


DIE = "import os, signal; die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
LOAD = "load_files([Path('a.csv')], landing=Path('landing'), {})"
DEATHS = {
    "while reading": LOAD.format(
        "progress=lambda what, _: what == 'reading' and die()"
    ),
    "when written": LOAD.format("check=die"),
    "in between": "replace = os.replace; os.replace = lambda a, b: "
    "die() if Path(b).name.startswith('lines') else replace(a, b); " + LOAD.format(""),
}


@pytest.mark.parametrize("moment", DEATHS)
def test_a_load_that_is_killed_leaves_nothing_that_could_be_taken_for_lines(moment):
    load_one(demo_file(), kind="demo")
    path = write_csv(Path("a.csv"), [LINE])
    script = (
        f"{DIE}; from pathlib import Path; "
        f"from retail_segments.load import load_files; {DEATHS[moment]}"
    )
    died = subprocess.run([sys.executable, "-c", script], check=False)
    assert died.returncode == -signal.SIGKILL
    left = [file.name for file in Path("landing").glob("*.parquet")]
    assert all(name.startswith("demo-") for name in left)
    assert len(left) == (0 if moment == "in between" else 1)
    assert ".loading" in visible()
    load_one(path)
    assert [name.split("-")[0] for name in visible()] == ["aside", "lines"]


def test_one_load_at_a_time_works_in_a_landing_folder():
    path = write_csv(Path("a.csv"), [LINE])
    with (
        working_folder(Path("landing")),
        pytest.raises(LoadError, match="Another load is at work in landing"),
    ):
        load_one(path)
    assert load_one(path).line_count == 1


def test_a_landing_path_that_is_a_file_is_refused():
    Path("landing").write_text("x")
    with pytest.raises(LoadError, match="The landing folder landing is a file"):
        load_one(write_csv(Path("a.csv"), [LINE]))


def test_a_file_that_the_caller_refuses_does_not_land():
    def refuse(written):
        assert pq.read_metadata(written).num_rows == 1
        raise LoadError("not this one")

    with pytest.raises(LoadError, match="not this one"):
        load_one(write_csv(Path("a.csv"), [LINE]), check=refuse)
    assert visible() == []


# The command.


def run(*arguments):
    return CliRunner().invoke(main, ["load", *map(str, arguments)])


def test_the_command_reports_each_file_in_columns():
    write_csv(Path("a.csv"), [LINE] * 2000)
    write_csv(Path("longer.csv"), [line(InvoiceDate="1/3/2011")])
    result = run("a.csv", "longer.csv", "a.csv")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "a.csv             2,000 lines  all readable"
    assert lines[1] == "longer.csv            1 lines  all readable"
    assert lines[2].startswith("            Dates with slashes can be read")
    assert lines[3].startswith("a.csv       Already loaded as lines-")


def test_the_command_says_what_stopped_it_without_a_traceback():
    write_csv(Path("a.csv"), [LINE])
    result = run("a.csv", "no.csv")
    assert result.exit_code == 1
    assert result.stdout.startswith("a.csv")
    assert result.stderr.startswith("Error: There is no file no.csv.")
    assert "Traceback" not in result.output
    assert run().exit_code == 2


def test_the_command_takes_columns_from_file_and_options():
    headers = ["Rechnung", *HEADERS[1:5], "Preis", *HEADERS[6:]]
    write_csv(Path("a.csv"), [LINE], headers)
    Path("columns.yml").write_text("columns: {invoice_no: Rechnung, unit_price: X}")
    assert run("a.csv", "--column", "unit_price=Preis").exit_code == 0
    Path("my.yml").write_text("columns: {invoice_no: Rechnung, unit_price: Preis}")
    result = run("a.csv", "--columns-file", "my.yml")
    assert "Already loaded" in result.stdout
    Path("columns.yml").unlink()
    write_csv(Path("b.csv"), [LINE, LINE], headers)
    assert "columns: {invoice_no: HEADER, unit_price: HEADER}" in run("b.csv").stderr


def test_the_command_passes_its_settings_on():
    write_csv(Path("a.csv"), [line(InvoiceDate="01|02|2011"), line(InvoiceDate="?")])
    options = ["--date-format", "%d|%m|%Y", "--max-unreadable", "0.5"]
    result = run("a.csv", *options)
    assert result.exit_code == 0
    assert "1 unreadable" in result.stdout
    assert landed("invoice_date")[0] == (dt.datetime(2011, 2, 1),)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_appears_at_a_terminal_once_it_takes_long(monkeypatch):
    for stream, patience, is_shown in [
        (Terminal(), 0.0, True),
        (Terminal(), 60.0, False),
        (io.StringIO(), 0.0, False),
    ]:
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.LateBar(patience) as bar:
            bar("checking", 0.5)
            bar("reading", None)
        assert ("reading" in stream.getvalue()) == is_shown


# The real data set, where it lies beside the project.


def real_data():
    beside = Path(__file__).parents[3] / "shared/data/online_retail.parquet"
    return Path(os.environ.get("RETAIL_SEGMENTS_REAL_DATA") or beside)


@pytest.mark.skipif(
    not real_data().exists(),
    reason="the real data set is not there: set RETAIL_SEGMENTS_REAL_DATA to its file",
)
def test_the_real_data_set_lands_whole():
    report = load_one(real_data())
    assert (report.line_count, report.unreadable_count, report.notes) == (541909, 0, ())
    assert landed(
        "sum(quantity * unit_price), count(*) filter (customer_id is null), "
        "count(distinct invoice_no), count(distinct stock_code)"
    ) == [(Decimal("9747747.9340"), 135080, 25900, 4070)]
