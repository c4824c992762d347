"""Split lines of delimited text into records, and lose none of them.

Python's own csv module splits the lines, strictly: a line that does not split into the
header's columns is kept as its raw text, and reading goes on at the very next line, so
that one stray quote cannot swallow the lines behind it.
"""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import TextIO

from retail_segments.landing import LoadError

# A quoted field may span this many lines; beyond, its quote is taken for a stray one.
MAX_SPAN = 100
# Characters of a line; MAX_SPAN of them fit into memory with room to spare.
MAX_LINE = 1 << 20
_BATCH_LINES = 50_000
_BATCH_CHARACTERS = 1 << 24
# What a decoder writes for bytes that it cannot read.
_UNDECODED = "\ufffd"

Fields = list[str] | list[None]


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


class NumberedLines:
    """Lines of a file, read ahead as far as need be.

    Parameters
    ----------
    text : TextIO
        The lines, each with its line break.
    where : str, default "The file"
        Its name, for messages.

    Attributes
    ----------
    waiting : list of str
        The lines read ahead.
    number : int
        Number of the first of them, the file's first line being 1.
    """

    def __init__(self, text: TextIO, where: str = "The file") -> None:
        self._text = text
        self._where = where
        self.waiting: list[str] = []
        self.number = 1

    def wait_for(self, count: int) -> int:
        """Have so many lines waiting, or all that are left, and count them.

        Raises
        ------
        LoadError
            If a line has more than 1,048,576 characters.
        """
        while len(self.waiting) < count and (line := self._next()):
            self.waiting.append(line)
        return len(self.waiting)

    def wait_for_batch(self) -> bool:
        """Have a batch of lines waiting, and tell whether no more are left.

        A batch is bounded in lines and in characters.
        """
        held = sum(map(len, self.waiting))
        while line := self._next():
            self.waiting.append(line)
            held += len(line)
            if len(self.waiting) >= _BATCH_LINES or (
                held >= _BATCH_CHARACTERS and len(self.waiting) >= 2 * MAX_SPAN
            ):
                return False
        return True

    def _next(self) -> str:
        line = self._text.readline(MAX_LINE + 1)
        if len(line) > MAX_LINE:
            raise LoadError(
                f"{self._where} has more than {MAX_LINE:,} characters without a line "
                f"break from line {self.number + len(self.waiting):,} on, so it is no "
                "table of invoice lines. Save or copy it anew as csv."
            )
        return line

    def take(self, count: int) -> None:
        """Have done with so many lines."""
        del self.waiting[:count]
        self.number += count


def split_records(
    lines: NumberedLines,
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
        at_end = lines.wait_for_batch()
        # A record that begins near the end may need lines that are still to come.
        limit = len(lines.waiting) - (0 if at_end else MAX_SPAN)
        records, used = splitter.split(lines.waiting, lines.number, limit)
        lines.take(used)
        yield records


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
            islice(lines, start, start + MAX_SPAN),
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
