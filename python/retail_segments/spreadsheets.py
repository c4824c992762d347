"""Read Excel workbooks: .xlsx, every sheet that is not empty."""

import mmap
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from retail_segments.delivery import (
    Delivery,
    Progress,
    blank_rows_note,
    delivered_view,
)
from retail_segments.headers import resolve_columns
from retail_segments.landing import ATTRIBUTES, LoadError
from retail_segments.workbook_cells import check_archive, read_sheets

_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Names in an OLE container's directory are utf-16.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_DAY_ZERO_1900 = "1899-12-30"
_DAY_ZERO_1904 = "1904-01-01"


def read_spreadsheet(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    *,
    mapping: Mapping[str, str],
    source_file: str,
    progress: Progress,
) -> Delivery:
    """Present a workbook's sheets as the view ``delivered``.

    Every cell is read as text, so that codes keep their form. The first row of a sheet
    that is not blank is its header; hidden sheets are read as well. ``source_row`` is
    the number at the left of the row.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Where the view is made.
    path : Path
        The workbook.
    mapping : mapping of str to str
        The user's own header for some attributes.
    source_file : str
        The file's name; ``#`` and the sheet's name are added.
    progress : callable
        Told which share of the sheets is read.

    Returns
    -------
    Delivery
        How the values are written.

    Raises
    ------
    LoadError
        If the file is no workbook or has a password, all its sheets are empty, or a
        sheet's header lacks a needed column.
    """
    _refuse_other_formats(path, source_file)
    properties = check_archive(path, source_file)
    # A table of DuckDB's own, which it can spill.
    columns = ", ".join(f"{name} varchar" for name in (*ATTRIBUTES, "source_file"))
    connection.execute(f"create temp table sheets ({columns}, source_row bigint)")
    has_header = False
    blank_row_count = 0
    for sheet in read_sheets(path, source_file):
        progress("reading", sheet.share)
        where = f"{source_file}#{sheet.name}"
        lines, blank = _read_sheet(sheet.cells, mapping, where)
        if lines is not None:
            connection.register("sheet", lines)
            connection.execute("insert into sheets from sheet")
            connection.unregister("sheet")
            has_header = True
            blank_row_count += blank
    if not has_header:
        raise LoadError(
            f"{source_file} has no sheet with a header: all of its sheets are empty."
        )
    names = (*ATTRIBUTES, "source_file", "source_row")
    connection.execute(delivered_view("sheets", {name: name for name in names}))
    return Delivery(
        notes=blank_rows_note(blank_row_count), excel_day_zero=_day_zero(properties)
    )


def _refuse_other_formats(path: Path, where: str) -> None:
    """Say what a file is that bears the name of a workbook and is none."""
    with path.open("rb") as file:
        if file.read(len(_OLE_MAGIC)) == _OLE_MAGIC:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
                is_encrypted = content.find(_ENCRYPTED) >= 0
            what = (
                "is protected by a password"
                if is_encrypted
                else "is in the old Excel format (.xls)"
            )
            raise LoadError(
                f"{where} {what}. Open it in a spreadsheet program and save it as "
                ".xlsx without a password."
            )
    if not zipfile.is_zipfile(path):
        raise LoadError(
            f"{where} is not an Excel workbook, or it is cut off: it should be a zip "
            "archive. Save or copy it anew as .xlsx."
        )


def _day_zero(properties: bytes) -> str:
    """Read from which day the workbook counts its days."""
    counts_from_1904 = re.search(rb'date1904\s*=\s*["\'](1|true)["\']', properties)
    return _DAY_ZERO_1904 if counts_from_1904 else _DAY_ZERO_1900


def _read_sheet(
    cells: pa.Table, mapping: Mapping[str, str], where: str
) -> tuple[pa.Table | None, int]:
    """Find the sheet's columns; no table if it is empty. Counts blank rows between."""
    is_filled = _filled_rows(cells)
    filled = pc.indices_nonzero(is_filled).to_pylist()
    if not filled:
        return None, 0
    header = filled[0]
    headers = [(column[header].as_py() or "").strip() for column in cells.itercolumns()]
    positions = resolve_columns(headers, mapping, where)
    nothing = pa.nulls(cells.num_rows, pa.string())
    columns = {
        name: cells.column(positions[name]) if name in positions else nothing
        for name in ATTRIBUTES
    }
    columns["source_file"] = pa.repeat(pa.scalar(where), cells.num_rows)
    columns["source_row"] = pa.array(range(1, cells.num_rows + 1), pa.int64())
    lines = pa.table(columns).filter(is_filled).slice(1)
    return lines, filled[-1] - header + 1 - len(filled)


def _filled_rows(cells: pa.Table) -> pa.Array:
    """Mark rows with anything but blanks in any column, mapped or not."""
    is_filled = pa.repeat(pa.scalar(False), cells.num_rows)
    for column in cells.itercolumns():
        has_text = pc.not_equal(pc.utf8_trim_whitespace(column), "")
        is_filled = pc.or_(is_filled, pc.fill_null(has_text, False))
    return is_filled
