"""Read the cells of a workbook in a process of its own, within bounds.

A workbook of some kilobytes can ask its reader for any amount of memory: by what its
archive unpacks to, or by one cell in the last corner of a sheet. Where memory cannot be
had, the reader ends its process, and no error could be caught there. So the archive is
unpacked once to count it, and a process with a limit reads it and hands over the
sheets, each as an Arrow stream; its end, however it comes, can be put into a sentence.
"""

import os
import re
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import fastexcel
import pyarrow as pa

from retail_segments.landing import LoadError

# A full sheet of 1,048,576 rows and eight columns takes some 300 MB.
MAX_UNPACKED = 2 << 30
# Excel's own are far from it.
MAX_ENTRIES = 10_000
# What the reading process may have: enough for the same sheet, whatever is in it.
MAX_MEMORY = 1408 << 20
# What a sheet may come to as text. The same sheet takes 130 to 210 MB.
MAX_TEXT = 256 << 20

_BLOCK_BYTES = 1 << 20
_TOO_LARGE = "too large"
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
# What zipfile raises for archives that are damaged, or made to confuse.
_ARCHIVE_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    # Another compression, a password, a name or an offset that is none.
    NotImplementedError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class SheetCells:
    """The cells of one sheet.

    Attributes
    ----------
    name : str
        Of the sheet.
    share : float
        Which share of the workbook's sheets comes before it.
    cells : Table
        All cells as text from the first row on, one column each.
    """

    name: str
    share: float
    cells: pa.Table


def check_archive(path: Path, where: str) -> bytes:
    """Unpack a workbook's archive, to count what it comes to and see that it is whole.

    Sizes that the archive states are not believed.

    Parameters
    ----------
    path : Path
        The file.
    where : str
        Its name, for messages.

    Returns
    -------
    bytes
        How ``xl/workbook.xml`` begins, which says how dates are written.

    Raises
    ------
    LoadError
        If the file is no archive, is damaged or no workbook, or unpacks to more than
        2 GiB or 10,000 files.
    """
    unpacked = 0
    properties = b""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if "xl/workbook.xml" not in archive.namelist():
                raise LoadError(
                    f"{where} is a zip archive but not an Excel workbook: it has no "
                    "xl/workbook.xml. If it is packed, unpack it first."
                )
            if len(entries) > MAX_ENTRIES:
                raise LoadError(
                    f"{where} is an archive of {len(entries):,} files, more than the "
                    f"{MAX_ENTRIES:,} that a workbook may have. Save the sheets with "
                    "invoice lines as .csv."
                )
            for entry in entries:
                # Reading ends at this size; the one stated may be a lie.
                entry.file_size = MAX_UNPACKED + 1
                with archive.open(entry) as content:
                    block = content.read(_BLOCK_BYTES)
                    if entry.filename == "xl/workbook.xml":
                        properties = block
                    while block:
                        unpacked += len(block)
                        if unpacked > MAX_UNPACKED:
                            raise LoadError(
                                f"{where} unpacks to more than "
                                f"{MAX_UNPACKED >> 30} GiB, which no sheet of invoice "
                                "lines does. Save the sheets with invoice lines as "
                                ".csv."
                            )
                        block = content.read(_BLOCK_BYTES)
    except _ARCHIVE_ERRORS as error:
        reason = " ".join(str(error).split())
        raise LoadError(
            f"{where} is not an Excel workbook, or it is cut off or damaged"
            f"{f' ({reason})' if reason else ''}. Save or copy it anew as .xlsx."
        ) from error
    return properties


def read_sheets(path: Path, where: str) -> Iterator[SheetCells]:
    """Read a workbook's sheets, one after the other.

    Parameters
    ----------
    path : Path
        The file.
    where : str
        Its name, for messages.

    Yields
    ------
    SheetCells
        In the workbook's order.

    Raises
    ------
    LoadError
        If it cannot be read as a workbook, or not within 1.375 GiB of memory.
    """
    # -P: what lies in the working folder is not imported.
    command = [sys.executable, "-P", "-m", __name__, str(path.absolute())]
    environment = {**os.environ, "RUST_BACKTRACE": "0"}
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    ) as reader:
        stdout = reader.stdout
        if stdout is None:
            raise AssertionError("the process was started with a pipe")
        try:
            yield from _receive(stdout, where)
        finally:
            stdout.close()
            reader.kill()


def _receive(stdout: IO[bytes], where: str) -> Iterator[SheetCells]:
    """Take the streams of a reading process, of which the last is its farewell."""
    while True:
        try:
            stream = pa.ipc.open_stream(stdout)
            said = stream.schema.metadata or {}
            cells = stream.read_all()
        except (pa.ArrowException, OSError) as error:
            # It has ended without a word.
            raise LoadError(_too_large(where)) from error
        if b"sheet" in said:
            share = float(said[b"share"])
            yield SheetCells(said[b"sheet"].decode(), share, cells)
            continue
        reason = said[b"reason"].decode()
        if reason == _TOO_LARGE:
            raise LoadError(_too_large(where))
        if reason:
            raise LoadError(
                f"{where} cannot be read as a workbook ({reason}). "
                "Open it in a spreadsheet program and save it anew as .xlsx."
            )
        return


def _too_large(where: str) -> str:
    return (
        f"{where} cannot be read: it takes more than {MAX_MEMORY / (1 << 30)} GiB of "
        f"memory, or a sheet comes to more than {MAX_TEXT >> 20} MiB of text, or it is "
        "damaged. Remove cells far away from the lines, or save the sheets with "
        "invoice lines as .csv."
    )


def _send_sheets(path: str, stdout: IO[bytes]) -> None:
    """Send all sheets, then why that was not all of them, if it was not."""
    reason = ""
    try:
        workbook = fastexcel.read_excel(path)
        names = workbook.sheet_names
        for number, name in enumerate(names):
            # The reader finds sheets by name, and would read the first one twice.
            if name in names[:number]:
                reason = f"two of its sheets are called {name}"
                break
            cells = _read_cells(workbook, name)
            if cells.nbytes > MAX_TEXT:
                reason = _TOO_LARGE
                break
            said = {"sheet": name, "share": str(number / len(names))}
            _send(cells.replace_schema_metadata(said), stdout)
    except fastexcel.FastExcelError as error:
        reason = " ".join(str(error).split("\n")[0].split()) or "no reason is given"
    except (MemoryError, pa.ArrowMemoryError):
        reason = _TOO_LARGE
    _send(pa.table({}).replace_schema_metadata({"reason": reason}), stdout)


def _send(table: pa.Table, stdout: IO[bytes]) -> None:
    with pa.ipc.new_stream(stdout, table.schema) as stream:
        stream.write_table(table)


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


def _limit_memory() -> None:
    """Have the system refuse what goes beyond the limit, where it knows of such."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY, MAX_MEMORY))


if __name__ == "__main__":
    _limit_memory()
    _send_sheets(sys.argv[1], sys.stdout.buffer)
