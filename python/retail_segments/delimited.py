"""Read text files of delimited fields: .csv and .tsv."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa

from retail_segments.delivery import (
    Delivery,
    Progress,
    blank_rows_note,
    delivered_view,
)
from retail_segments.encodings import Encoding, detect_encoding
from retail_segments.headers import find_attributes, resolve_columns
from retail_segments.landing import LoadError
from retail_segments.records import (
    MAX_SPAN,
    NumberedLines,
    Records,
    split_records,
)

_DELIMITERS = (",", ";", "\t", "|")
_OTHER_FORMATS = {
    b"PK\x03\x04": "a spreadsheet or zip archive",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\x1f\x8b": "a gzip archive",
}

_MAGIC_BYTES = max(map(len, _OTHER_FORMATS))


def read_delimited(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    *,
    mapping: Mapping[str, str],
    source_file: str,
    progress: Progress,
) -> Delivery:
    """Present a delimited text file as the view ``delivered``.

    ``source_row`` is the number of the record's first line in the file, as an editor
    shows it: the header is line 1, and a quoted field with line breaks takes several.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Where the view is made.
    path : Path
        The file: utf-8, utf-16 with a byte order mark, or else Windows-1252 or latin-1.
    mapping : mapping of str to str
        The user's own header for some attributes.
    source_file : str
        The file's name.
    progress : callable
        Told how far the reading has got.

    Returns
    -------
    Delivery
        How the values are written.

    Raises
    ------
    LoadError
        If the file is no text, or its header lacks a needed column.
    """
    encoding = detect_encoding(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        _refuse_other_formats(file.read(_MAGIC_BYTES), source_file)
        file.seek(0)
        text = io.TextIOWrapper(file, encoding.name, errors="replace", newline="")
        lines = NumberedLines(text, source_file)
        delimiter, headers = _read_header(lines, mapping, source_file)
        positions = resolve_columns(headers, mapping, source_file)
        _make_table(connection, positions)
        blank_row_count = 0
        waiting: list[int] = []
        for records in split_records(
            lines,
            delimiter=delimiter,
            width=len(headers),
            has_invalid_bytes=encoding.has_invalid_bytes,
        ):
            _insert(connection, records, positions)
            waiting += records.blank_rows
            if records.rows:
                blank_row_count += sum(row < records.rows[-1] for row in waiting)
                waiting = [row for row in waiting if row > records.rows[-1]]
            progress("reading", file.tell() / size)
    columns = {name: name for name in (*positions, "source_row", "raw_line")}
    connection.execute(
        delivered_view("delivered_lines", columns, source_file=source_file)
    )
    return Delivery(
        notes=_encoding_notes(encoding) + blank_rows_note(blank_row_count),
        may_use_decimal_commas=delimiter == ";",
    )


def _read_header(
    lines: NumberedLines, mapping: Mapping[str, str], where: str
) -> tuple[str, list[str]]:
    """Take the header, and tell its delimiter by the attributes found with it."""
    lines.wait_for(MAX_SPAN)
    blank = 0
    while blank < len(lines.waiting) and not lines.waiting[blank].strip():
        blank += 1
    if blank == len(lines.waiting):
        raise LoadError(
            f"{where} has no header line. Its first line must name columns."
        )
    lines.take(blank)
    _refuse_nuls(lines.waiting[0], where)
    candidates = []
    for delimiter in _DELIMITERS:
        reader = csv.reader(lines.waiting, delimiter=delimiter, strict=True)
        try:
            headers = [header.strip() for header in next(reader)]
        except csv.Error:
            continue
        found = len(find_attributes(headers, mapping))
        candidates.append((found, len(headers), delimiter, headers, reader.line_num))
    if not candidates:
        raise LoadError(
            f"The header of {where} has a quote that is not closed: "
            f"{lines.waiting[0].strip()[:80]!r}. Close it, or save the file anew."
        )
    best = max(candidates, key=lambda candidate: candidate[:2])
    lines.take(best[4])
    return best[2], best[3]


def _refuse_other_formats(start: bytes, where: str) -> None:
    """Say what a file is that bears the name of a text file and is none."""
    for magic, name in _OTHER_FORMATS.items():
        if start.startswith(magic):
            raise LoadError(
                f"{where} is {name}, not delimited text. Give it the ending it should "
                "have, or save it as csv."
            )


def _refuse_nuls(line: str, where: str) -> None:
    if "\0" in line:
        raise LoadError(
            f"{where} is not text: its first line has NUL bytes. Save it as utf-8."
        )


def _make_table(
    connection: duckdb.DuckDBPyConnection, positions: Mapping[str, int]
) -> None:
    columns = ", ".join(f"{name} varchar" for name in positions)
    connection.execute(
        f"create temp table delivered_lines "
        f"({columns}, source_row bigint, raw_line varchar)"
    )


def _insert(
    connection: duckdb.DuckDBPyConnection,
    records: Records,
    positions: Mapping[str, int],
) -> None:
    by_column = list(zip(*records.fields, strict=True))
    if not by_column:
        return
    arrays = {
        name: pa.array(by_column[position], pa.string())
        for name, position in positions.items()
    }
    arrays["source_row"] = pa.array(records.rows, pa.int64())
    arrays["raw_line"] = pa.array(records.raw_lines, pa.string())
    connection.register("batch", pa.table(arrays))
    connection.execute("insert into delivered_lines select * from batch")
    connection.unregister("batch")


def _encoding_notes(encoding: Encoding) -> tuple[str, ...]:
    if encoding.name in ("cp1252", "latin-1"):
        return (f"The text is not utf-8 and was read as {encoding.name}.",)
    return ()
