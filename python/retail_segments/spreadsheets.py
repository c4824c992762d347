"""Read Excel workbooks: .xlsx, every sheet that is not empty."""

import mmap
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import duckdb
import fastexcel
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

_OLE_MAGIC = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Names in an OLE container's directory are utf-16.
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
# What Excel shows in place of a value that it cannot compute.
_CELL_ERRORS = {
    "Div0": "#DIV/0!",
    "NA": "#N/A",
    "Name": "#NAME?",
    "Null": "#NULL!",
    "Num": "#NUM!",
    "Ref": "#REF!",
    "Value": "#VALUE!",
}
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
    tables: list[pa.Table] = []
    blank_row_count = 0
    try:
        workbook = fastexcel.read_excel(path)
        names = workbook.sheet_names
        for number, name in enumerate(names):
            progress("reading", number / len(names))
            cells = _read_cells(workbook, name)
            table, blank = _read_sheet(cells, mapping, f"{source_file}#{name}")
            tables += table
            blank_row_count += blank
    except fastexcel.FastExcelError as error:
        reason = " ".join(str(error).split("\n")[0].split())
        raise LoadError(
            f"{source_file} cannot be read as a workbook ({reason}). "
            "Open it in a spreadsheet program and save it anew as .xlsx."
        ) from error
    if not tables:
        raise LoadError(
            f"{source_file} has no sheet with a header: all of its sheets are empty."
        )
    connection.register("sheets", pa.concat_tables(tables))
    columns = {name: name for name in tables[0].column_names}
    connection.execute(delivered_view("sheets", columns))
    return Delivery(
        notes=blank_rows_note(blank_row_count), excel_day_zero=_day_zero(path)
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
    with zipfile.ZipFile(path) as archive:
        if "xl/workbook.xml" not in archive.namelist():
            raise LoadError(
                f"{where} is a zip archive but not an Excel workbook: it has no "
                "xl/workbook.xml. If it is packed, unpack it first."
            )


def _day_zero(path: Path) -> str:
    """Read from which day the workbook counts its days."""
    with zipfile.ZipFile(path) as archive:
        properties = archive.read("xl/workbook.xml")
    counts_from_1904 = re.search(rb'date1904\s*=\s*["\'](1|true)["\']', properties)
    return _DAY_ZERO_1904 if counts_from_1904 else _DAY_ZERO_1900


def _read_cells(workbook: fastexcel.ExcelReader, name: str) -> pa.Table:
    """Read all cells of a sheet as text, from its first row on."""
    sheet = workbook.load_sheet(name, header_row=None, skip_rows=0, dtypes="string")
    cells, errors = sheet.to_arrow_with_errors()
    table = pa.table(cells.columns, names=[str(i) for i in range(cells.num_columns)])
    replaced: dict[int, list[tuple[int, str]]] = {}
    for error in errors.errors if errors else []:
        row, column = error.offset_position
        found = re.search(r"Error\((\w+)\)", error.detail)
        shown = _CELL_ERRORS.get(found[1], "#ERROR!") if found else "#ERROR!"
        replaced.setdefault(column, []).append((row, shown))
    for column, values in replaced.items():
        texts = table.column(column).to_pylist()
        for row, shown in values:
            texts[row] = shown
        table = table.set_column(column, str(column), pa.array(texts, pa.string()))
    return table


def _read_sheet(
    cells: pa.Table, mapping: Mapping[str, str], where: str
) -> tuple[list[pa.Table], int]:
    """Find the sheet's columns; no table if it is empty. Counts blank rows between."""
    is_filled = _filled_rows(cells)
    filled = pc.indices_nonzero(is_filled).to_pylist()
    if not filled:
        return [], 0
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
    return [lines], filled[-1] - header + 1 - len(filled)


def _filled_rows(cells: pa.Table) -> pa.Array:
    """Mark rows with anything but blanks in any column, mapped or not."""
    is_filled = pa.repeat(pa.scalar(False), cells.num_rows)
    for column in cells.itercolumns():
        has_text = pc.not_equal(pc.utf8_trim_whitespace(column), "")
        is_filled = pc.or_(is_filled, pc.fill_null(has_text, False))
    return is_filled
