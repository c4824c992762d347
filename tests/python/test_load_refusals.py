"""Loading: files that cannot be loaded."""

import os
from pathlib import Path

import pyarrow as pa
import pytest
from delivered_files import (
    HEADERS,
    LINE,
    TYPED_LINE,
    elsewhere,  # noqa: F401
    landed,
    line,
    load_one,
    typed_columns,
    visible,
    write_csv,
    write_parquet,
    write_xlsx,
)
from retail_segments.landing import LoadError


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


def test_a_column_of_the_name_that_numbers_rows_is_refused():
    columns = typed_columns([TYPED_LINE]) | {"File_Row_Number": pa.array([7])}
    path = write_parquet(Path("a.parquet"), columns)
    with pytest.raises(LoadError, match="has a column file_row_number"):
        load_one(path)


@pytest.mark.parametrize("kind", ["csv", "xlsx", "parquet"])
def test_a_name_that_is_not_utf_8_keeps_no_file_from_landing(kind):
    path = Path(f"a\udcff.{kind}")
    if kind == "csv":
        write_csv(path, [LINE])
    elif kind == "xlsx":
        write_xlsx(Path("plain.xlsx"), {"A": [HEADERS, TYPED_LINE]}).rename(path)
    else:
        write_parquet(Path("plain.parquet"), typed_columns([TYPED_LINE])).rename(path)
    assert load_one(path).source_file == f"a?.{kind}"
    assert landed("quantity") == [(6,)]


def test_a_pipe_is_not_waited_for():
    os.mkfifo("a.csv")
    with pytest.raises(LoadError, match=r"a\.csv is a pipe or a device"):
        load_one(Path("a.csv"))


def test_a_line_without_an_end_is_refused():
    path = write_csv(Path("a.csv"), [LINE, line(Description="W" * (1 << 20))])
    with pytest.raises(LoadError, match="without a line break from line 3 on"):
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
