"""Read text files of delimited fields: .csv and .tsv.

Python's own csv module splits the lines, strictly: a line that does not split into the
header's columns is kept as its raw text, and reading goes on at the very next line, so
that one stray quote cannot swallow the lines behind it.
"""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import duckdb
import pyarrow as pa

from retail_segments.delivery import (
    Delivery,
    Progress,
    blank_rows_note,
    delivered_view,
)
from retail_segments.headers import find_attributes, resolve_columns
from retail_segments.landing import LoadError

_DELIMITERS = (",", ";", "\t", "|")
# A quoted field may span this many lines; beyond, its quote is taken for a stray one.
_MAX_SPAN = 100
_BATCH_LINES = 50_000
_BLOCK_BYTES = 1 << 20
# Bytes to which Windows-1252 gives no meaning.
_NOT_WINDOWS_1252 = bytes([0x81, 0x8D, 0x8F, 0x90, 0x9D])
# What a decoder writes for bytes that it cannot read.
_UNDECODED = "\ufffd"
_OTHER_FORMATS = {
    b"PK\x03\x04": "a spreadsheet or zip archive",
    b"PAR1": "a Parquet file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
}

Fields = list[str] | list[None]


@dataclass(frozen=True)
class Encoding:
    """How a file's bytes are to be read as text.

    Attributes
    ----------
    name : str
        As Python's codecs know it.
    has_invalid_bytes : bool
        Whether some bytes mean nothing in it.
    """

    name: str
    has_invalid_bytes: bool = False


@dataclass(frozen=True)
class Records:
    """Some records of a file, column by column of this class.

    Attributes
    ----------
    rows : list of int
        Number of each record's first line, the file's first line being 1.
    fields : list of list
        One list per record; all None where the line could not be split.
    raw_lines : list of (str or None)
        The line's text where it could not be split.
    blank_rows : list of int
        Numbers of the lines that hold nothing.
    """

    rows: list[int]
    fields: list[Fields]
    raw_lines: list[str | None]
    blank_rows: list[int]


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
        text = io.TextIOWrapper(file, encoding.name, errors="replace", newline="")
        lines = NumberedLines(text)
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


def detect_encoding(path: Path) -> Encoding:
    """Find out how a file's bytes are to be read as text.

    A byte order mark decides. Without one the file is utf-8, unless more of its lines
    are broken as utf-8 than make use of it.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    Encoding
        ``utf-8-sig``, ``utf-16``, ``cp1252`` or ``latin-1``.
    """
    with path.open("rb") as file:
        start = file.read(3)
        file.seek(0)
        if start[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            return Encoding("utf-16", not _decodes(file, "utf-16"))
        broken, used, is_windows = _count_lines(file)
    if start == codecs.BOM_UTF8 or broken <= used:
        return Encoding("utf-8-sig", broken > 0)
    return Encoding("cp1252" if is_windows else "latin-1")


def split_records(
    lines: "NumberedLines",
    *,
    delimiter: str,
    width: int,
    has_invalid_bytes: bool = False,
) -> Iterator[Records]:
    """Split lines into records of so many fields.

    Parameters
    ----------
    lines : NumberedLines
        The lines behind the header.
    delimiter : str
        The character between fields.
    width : int
        Number of fields in the header.
    has_invalid_bytes : bool, default False
        Whether a line with U+FFFD is one whose bytes could not be read.

    Yields
    ------
    Records
        Every line is in one record, blank, or in the midst of a quoted field.
    """
    splitter = _Splitter(delimiter, width, has_invalid_bytes)
    at_end = False
    while not at_end:
        at_end = lines.wait_for(_BATCH_LINES) < _BATCH_LINES
        # A record that begins near the end may need lines that are still to come.
        limit = len(lines.waiting) - (0 if at_end else _MAX_SPAN)
        records, used = splitter.split(lines.waiting, lines.number, limit)
        lines.take(used)
        yield records


class NumberedLines:
    """Lines of a file, read ahead as far as need be.

    Parameters
    ----------
    text : iterator of str
        The lines, each with its line break.

    Attributes
    ----------
    waiting : list of str
        The lines read ahead.
    number : int
        Number of the first of them, the file's first line being 1.
    """

    def __init__(self, text: Iterator[str]) -> None:
        self._text = text
        self.waiting: list[str] = []
        self.number = 1

    def wait_for(self, count: int) -> int:
        """Have so many lines waiting, or all that are left, and count them."""
        self.waiting += islice(self._text, count - len(self.waiting))
        return len(self.waiting)

    def take(self, count: int) -> None:
        """Have done with so many lines."""
        del self.waiting[:count]
        self.number += count


class _Splitter:
    """Splits a stretch of lines, at once if it can and record by record if not."""

    def __init__(self, delimiter: str, width: int, has_invalid_bytes: bool) -> None:
        self._delimiter = delimiter
        self._width = width
        self._has_invalid_bytes = has_invalid_bytes

    def split(
        self, lines: Sequence[str], first: int, limit: int
    ) -> tuple[Records, int]:
        """Split records that begin before `limit`, and say how many lines they took."""
        at_once = self._split_at_once(lines, first)
        if at_once is not None:
            return at_once, len(lines)
        records = Records([], [], [], [])
        used = 0
        while used < limit:
            used += self._split_one(lines, used, first + used, records)
        return records, used

    def _split_at_once(self, lines: Sequence[str], first: int) -> Records | None:
        """Split lines of which each is a record; None if that is not so."""
        if self._has_invalid_bytes:
            return None
        try:
            split = list(csv.reader(lines, delimiter=self._delimiter, strict=True))
        except csv.Error:
            return None
        if len(split) != len(lines) or any(
            len(fields) != self._width for fields in split if fields
        ):
            return None
        records = Records([], [], [], [])
        for row, fields in enumerate(split, start=first):
            _add(records, row, fields)
        return records

    def _split_one(
        self, lines: Sequence[str], start: int, row: int, records: Records
    ) -> int:
        """Split the record at `start`, and say how many lines it took."""
        reader = csv.reader(
            islice(lines, start, start + _MAX_SPAN),
            delimiter=self._delimiter,
            strict=True,
        )
        try:
            fields = next(reader)
        except csv.Error:
            fields = None
        taken = lines[start : start + reader.line_num]
        is_broken = (
            fields is None
            or (len(fields) != self._width and bool(fields))
            or (self._has_invalid_bytes and _UNDECODED in "".join(taken))
        )
        if fields is not None and not is_broken:
            _add(records, row, fields)
            return len(taken)
        line = lines[start].rstrip("\r\n")
        if line.strip():
            records.rows.append(row)
            records.fields.append([None] * self._width)
            records.raw_lines.append(line)
        else:
            records.blank_rows.append(row)
        return 1


def _add(records: Records, row: int, fields: list[str]) -> None:
    if "".join(fields).strip():
        records.rows.append(row)
        records.fields.append(fields)
        records.raw_lines.append(None)
    else:
        records.blank_rows.append(row)


def _read_header(
    lines: NumberedLines, mapping: Mapping[str, str], where: str
) -> tuple[str, list[str]]:
    """Take the header, and tell its delimiter by the attributes found with it."""
    lines.wait_for(_MAX_SPAN)
    _refuse_other_formats(lines.waiting, where)
    blank = 0
    while blank < len(lines.waiting) and not lines.waiting[blank].strip():
        blank += 1
    if blank == len(lines.waiting):
        raise LoadError(
            f"{where} has no header line. Its first line must name columns."
        )
    lines.take(blank)
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


def _refuse_other_formats(lines: Sequence[str], where: str) -> None:
    """Say what a file is that bears the name of a text file and is none."""
    start = "".join(lines[:1])
    for magic, name in _OTHER_FORMATS.items():
        # Magic bytes above 127 look alike in the two encodings that can read them.
        if start.startswith(magic.decode("cp1252")):
            raise LoadError(
                f"{where} is {name}, not delimited text. Give it the ending it should "
                "have, or save it as csv."
            )
    if "\0" in start:
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


def _decodes(file: IO[bytes], encoding: str) -> bool:
    decoder = codecs.getincrementaldecoder(encoding)()
    try:
        while block := file.read(_BLOCK_BYTES):
            decoder.decode(block)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _count_lines(file: IO[bytes]) -> tuple[int, int, bool]:
    """Count lines that are broken utf-8, and lines that use it beyond ASCII.

    Tells as well whether every byte has a meaning in Windows-1252.
    """
    broken = used = 0
    is_windows = True
    while lines := file.readlines(_BLOCK_BYTES):
        block = b"".join(lines)
        if block.isascii():
            continue
        is_windows = is_windows and not any(byte in block for byte in _NOT_WINDOWS_1252)
        for line in lines:
            if not line.isascii():
                if _is_utf8(line):
                    used += 1
                else:
                    broken += 1
    return broken, used, is_windows


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
