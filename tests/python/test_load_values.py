"""Loading: numbers and dates are read, or kept as delivered."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from delivered_files import (
    AT,
    HEADERS,
    LINE,
    TYPED_LINE,
    column,
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
from hypothesis import given
from hypothesis import strategies as st
from retail_segments.landing import LoadError

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


def test_decimals_without_room_for_whole_numbers_are_read():
    digits = pa.array(["0." + "9" * 38, "0", "0.5"]).cast(pa.decimal128(38, 38))
    columns = typed_columns([TYPED_LINE] * 3) | {
        "Quantity": digits,
        "UnitPrice": digits,
    }
    report = load_one(write_parquet(Path("a.parquet"), columns), max_unreadable=1)
    assert landed("quantity, raw_quantity is null, unit_price") == [
        (None, False, Decimal(1)),
        (0, True, Decimal(0)),
        (None, False, Decimal("0.5")),
    ]
    assert "1 price had more than four decimals and was rounded." in report.notes


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
