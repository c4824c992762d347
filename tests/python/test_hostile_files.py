"""Files made to break the loader: it ends with a report or a sentence, not otherwise.

RETAIL_SEGMENTS_HOSTILE sets how many inputs are made up in all, 500 of themselves;
`make test-hostile` tries 10,000.
"""

import io
import os
from decimal import Decimal, InvalidOperation

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from delivered_files import HEADERS, LINE
from hostile_files import (
    ATTACKS,
    BLANKS,
    CANARY,
    ENDINGS,
    damaged,
    mappings,
    names,
    odd_workbooks,
    parquet_bytes,
    row_xml,
    sheet_rows,
    tables,
    text_files,
    workbook,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from retail_segments.cli import main
from retail_segments.errors import ExitCode, SpokenError
from retail_segments.landing import LANDING_SCHEMA
from retail_segments.load import load_files
from retail_segments.records import MAX_LINE

INPUTS = int(os.environ.get("RETAIL_SEGMENTS_HOSTILE") or 500)
TEXTS = ("invoice_no", "stock_code", "description", "customer_id", "country")
TYPED = ("quantity", "invoice_date", "unit_price")
PLACES = dict(
    zip(
        (*TEXTS[:3], *TYPED, *TEXTS[3:]),
        range(8),
        strict=True,
    )
)


@pytest.fixture
def try_all(record_property, tmp_path, monkeypatch):
    """Try a share of all inputs, and count them and those that end otherwise."""
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.delenv("LANDING_PATH", raising=False)
    tried = 0

    def run(share, strategy, judge):
        @settings(max_examples=max(1, round(INPUTS * share)))
        @given(drawn=strategy)
        def property_holds(drawn):
            nonlocal tried
            tried += 1
            folder = tmp_path / str(tried)
            folder.mkdir()
            judge(folder, drawn)
            assert not list(here.iterdir())

        is_kept = False
        try:
            property_holds()
            is_kept = True
        finally:
            record_property(
                "hostile inputs that ended with a report or a sentence", tried
            )
            record_property("tracebacks, or ends other than these", 1 - is_kept)

    return run


def deliver(folder, name, content):
    """Put a file there, if the file system takes its name."""
    path = folder / "delivered" / name
    path.parent.mkdir()
    try:
        path.write_bytes(content)
    except OSError:
        path = path.with_name(f"plain{path.suffix}")
        path.write_bytes(content)
    return path


def attempt(folder, path, **options):
    """Load a file: a report and the landed rows, or the sentence that was said."""
    landing = folder / "landing"
    before = tree(folder)
    refusal = None
    try:
        [report] = load_files([path], landing=landing, **options)
    except SpokenError as error:
        refusal = error
    if refusal is not None:
        said = str(refusal)
        assert refusal.exit_code in (ExitCode.FAILED, ExitCode.UNUSABLE)
        assert len(said) < 10_000
        assert not list(landing.glob("*.parquet"))
        assert tree(folder) == before
        return said, None
    assert tree(folder) == before | {report.landing_path}
    assert report.landing_path.parent == landing
    with duckdb.connect() as connection:
        cursor = connection.execute(
            "from read_parquet(?, file_row_number = true) order by file_row_number",
            [str(report.landing_path)],
        )
        columns = [name for name, *_ in cursor.description][:-1]
        rows = [dict(zip(columns, row, strict=False)) for row in cursor.fetchall()]
    assert columns == list(LANDING_SCHEMA)
    assert len(rows) == report.line_count > 0
    assert sum(is_unreadable(row) for row in rows) == report.unreadable_count
    assert len({(row["source_file"], row["source_row"]) for row in rows}) == len(rows)
    return report, rows


def tree(folder):
    """List all files, but for the landing folder itself."""
    return {path for path in folder.rglob("*") if path != folder / "landing"}


def is_unreadable(row):
    return any(row[name] is not None for name in row if name.startswith("raw_"))


def check_row(landed, delivered):
    """See that a line landed as it was delivered, to the letter."""
    assert landed["raw_line"] is None
    for name in TEXTS:
        assert landed[name] == (delivered[PLACES[name]] or None), name
    for name in TYPED:
        text, raw = delivered[PLACES[name]], landed[f"raw_{name}"]
        if landed[name] is None:
            assert raw == (text if text.strip(BLANKS) else None), name
        else:
            assert raw is None
            if name != "invoice_date":
                check_number(landed[name], text.strip(BLANKS))


def is_beyond_csv(row):
    """Tell whether a field is longer than csv takes, or has more lines than a quote."""
    spans = sum(cell.count("\n") + cell.count("\r") for cell in row)
    return spans >= 100 or any(len(cell) > 131_072 for cell in row)


def check_number(number, text):
    """Compare with Python's own reading, where commas leave no doubt."""
    try:
        expected = Decimal(text)
    except InvalidOperation:
        assert "," in text or "." in text, text
        return
    assert abs(number - expected) <= Decimal("0.00005"), text


def test_delimited_files_of_attacks_land_to_the_letter(try_all):
    def judge(folder, drawn):
        file, name = drawn
        path = deliver(folder, f"{name}.csv", file.content)
        report, rows = attempt(folder, path, max_unreadable=1)
        expected = [row for row in file.rows if "".join(row).strip()]
        if not expected:
            assert "no lines below it" in report
            return
        if any(len("".join(row)) > MAX_LINE // 2 for row in expected) and rows is None:
            # Two cells of a megabyte come to more than a line may have.
            assert "without a line break" in report
            return
        assert rows is not None, report
        if any(map(is_beyond_csv, expected)):
            # Each line of such a record lands as its text.
            assert any(row["raw_line"] is not None for row in rows)
            return
        assert len(rows) == len(expected)
        if file.is_exact:
            for landed, delivered in zip(rows, expected, strict=True):
                check_row(landed, delivered)

    try_all(0.26, st.tuples(text_files(), names), judge)


def test_damaged_delimited_files_are_read_or_refused(try_all):
    def judge(folder, drawn):
        content, ending, share = drawn
        path = deliver(folder, f"lines{ending}", content)
        report, rows = attempt(folder, path, max_unreadable=share)
        assert rows is not None or path.name in report

    contents = damaged(text_files().map(lambda file: file.content))
    shares = st.sampled_from([0.01, 1.0, 1.0])
    # At times with the ending of another format.
    endings = st.sampled_from([".csv", ".csv", ".tsv", ".CSV", ".xlsx", ".parquet"])
    try_all(0.18, st.tuples(contents, endings, shares), judge)


def test_sheets_of_attacks_land_to_the_letter(try_all):
    def judge(folder, drawn):
        rows, state, name = drawn
        sheet = b"".join(row_xml(i, row) for i, row in enumerate([HEADERS, *rows], 1))
        content = workbook([("A", "visible", sheet), ("Two", state, sheet)])
        path = deliver(folder, f"{name}.xlsx", content)
        report, landed_rows = attempt(folder, path, max_unreadable=1)
        expected = [row for row in rows if "".join(row).strip()] * 2
        if not expected:
            assert "no lines below it" in report
            return
        assert landed_rows is not None, report
        for landed, delivered in zip(landed_rows, expected, strict=True):
            check_row(landed, delivered)

    states = st.sampled_from(["visible", "hidden", "veryHidden"])
    try_all(0.04, st.tuples(sheet_rows(), states, names), judge)


def test_odd_and_damaged_workbooks_are_read_or_refused(try_all):
    def judge(folder, content):
        path = deliver(folder, "book.xlsx", content)
        report, rows = attempt(folder, path, max_unreadable=1)
        assert rows is not None or "book.xlsx" in report

    contents = odd_workbooks()
    try_all(0.05, contents | damaged(contents), judge)


def test_parquet_of_any_type_lands_row_by_row(try_all):
    def judge(folder, drawn):
        table, name, has_dictionary = drawn
        content = parquet_bytes(table, use_dictionary=has_dictionary)
        path = deliver(folder, f"{name}.parquet", content)
        report, rows = attempt(folder, path, max_unreadable=1)
        if rows is None:
            assert "more than one column" in report or "file_row_number" in report
            return
        assert [row["source_row"] for row in rows] == [1, 2, 3]
        read = pq.ParquetFile(io.BytesIO(content)).read()
        for attribute, place in PLACES.items():
            column = read.column(place)
            if attribute in TEXTS and column.type == pa.string():
                expected = [text or None for text in column.to_pylist()]
                assert [row[attribute] for row in rows] == expected

    try_all(0.16, st.tuples(tables(), names, st.booleans()), judge)


def test_damaged_parquet_files_are_read_or_refused(try_all):
    def judge(folder, content):
        path = deliver(folder, "lines.parquet", content)
        report, rows = attempt(folder, path, max_unreadable=1)
        assert rows is not None or "lines.parquet" in report

    try_all(0.10, damaged(tables().map(parquet_bytes)), judge)


def test_mappings_and_formats_are_names_and_never_run(try_all):
    def judge(folder, drawn):
        mapping, date_format, ending = drawn
        content = ",".join(HEADERS) + "\n" + ",".join(LINE) + "\n"
        if ending == ".parquet":
            columns = {
                header: pa.array([value])
                for header, value in zip(HEADERS, LINE, strict=True)
            }
            content = parquet_bytes(pa.table(columns))
        else:
            content = content.encode()
        path = deliver(folder, f"lines{ending}", content)
        attempt(
            folder, path, columns=mapping, date_format=date_format, max_unreadable=1
        )

    formats = st.none() | st.sampled_from([*ATTACKS, "%d", "%Q", "%", "%d\0"])
    endings = st.sampled_from([".csv", ".parquet"])
    try_all(0.14, st.tuples(mappings, formats, endings), judge)


def test_the_command_says_it_in_one_line(try_all, monkeypatch):
    def judge(folder, drawn):
        content, name, ending, column, text = drawn
        path = deliver(folder, f"{name}{ending}", content)
        columns_file = folder / "columns.yml"
        columns_file.write_bytes(text.encode("utf-8", "ignore"))
        monkeypatch.setenv("LANDING_PATH", str(folder / "landing"))
        options = ["--column", column] if column else []
        options += ["--columns-file", str(columns_file)] if text else []
        result = CliRunner().invoke(main, ["load", *options, "--", str(path)])
        assert result.exception is None or isinstance(result.exception, SystemExit)
        assert result.exit_code in (0, 1, 2)
        assert "Traceback" not in result.output
        if result.exit_code:
            assert result.stderr.startswith("Error: "), result.stderr
            assert result.stderr[:-1].isprintable()

    contents = text_files().map(lambda file: file.content)
    texts = st.sampled_from(
        [
            *("", "", "columns: {}", "columns: [", "[" * 5_000, "columns: 2011-99-99"),
            *("columns: {invoice_no: 5}", "a: &a [*a]", "!!python/object:os.system x"),
            *("columns: {? [1]: x}", "columns: {quantity: Price, unit_price: Price}"),
            "columns: " + "9" * 5_000,
            *ATTACKS,
        ]
    )
    assert CANARY
    columns = st.sampled_from(["", "", "=", "a=b", "unit_price=UnitPrice", *ATTACKS])
    drawn = st.tuples(
        contents | damaged(contents), names, st.sampled_from(ENDINGS), columns, texts
    )
    try_all(0.07, drawn, judge)
