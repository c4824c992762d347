"""Extracts of the marts for BI tools: Parquet, a DuckDB file and Tableau's .hyper.

Everything is written into a folder of its own and swapped in as a whole, so that a BI
tool reads one build or the next, never a mix, and is in no writer's way.
"""

import csv
import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import duckdb

from retail_segments.build import marts_schema, read_warehouse
from retail_segments.cells import FORMULA_STARTS, harmless
from retail_segments.errors import ExitCode, SpokenError
from retail_segments.folders import CURRENT, next_version
from retail_segments.sql import file_pattern, identifier, literal, query

PARQUET, SPREADSHEET, TABLEAU = "parquet", "csv", "tableau"
SERVING, DICTIONARY = "retail_segments.duckdb", "dictionary.csv"
# What Excel and LibreOffice hold, the header among it.
SHEET_ROWS = 1_048_576

# Customer ids, and ids that hold one, or a hash of one among little else, from which it
# could be found by trying: those of orders and lines.
_TELLING_IDS = frozenset(
    (
        "customer_id",
        "invoice_line_id",
        "order_id",
        "purchase_line_id",
        "return_allocation_id",
        "return_line_id",
    )
)
# Left out: lines as they were delivered, which may hold anything, and the number that a
# customer drew, by which ids could be tried, since how it is drawn is no secret.
_LEFT_OUT = frozenset(("control_bucket", "raw_line"))
# A profile of the customer ids shows some of them.
_PROFILE = "rpt_column_profiles"
_PROFILED = frozenset(("first_value", "last_value", "respelt_example"))
# Excel takes a csv file for UTF-8 only where it begins so.
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Bytes that SHA-256 takes in at once, to which RFC 2104 pads the key.
_BLOCK = 64
_HMAC = (
    "sha256(getvariable('outer_pad') || unhex(sha256("
    "getvariable('inner_pad') || encode({}))))"
)

Progress = Callable[[str, float | None], None]


class ExtractError(SpokenError):
    """Why no extracts are written."""

    exit_code = ExitCode.UNUSABLE


class ExtractBusyError(SpokenError):
    """Another process is writing extracts into the folder."""

    exit_code = ExitCode.BUSY


@dataclass(frozen=True)
class Column:
    """A column of a mart, and what it says of itself."""

    name: str
    data_type: str
    comment: str


@dataclass(frozen=True)
class Table:
    """A mart, and what it says of itself."""

    name: str
    comment: str
    columns: tuple[Column, ...]


@dataclass(frozen=True)
class Extracts:
    """What was written.

    Attributes
    ----------
    folder : Path
        Where BI tools find it.
    files : tuple of Path
        The files, those of Parquet as their folder.
    row_counts : dict of str to int
        Rows by table.
    left_out : str
        Why there are no files for Tableau; empty where there are.
    """

    folder: Path
    files: tuple[Path, ...]
    row_counts: dict[str, int]
    left_out: str = ""


def write_extracts(
    warehouse: Path,
    folder: Path,
    *,
    key: str | None,
    only: Sequence[str] = (),
    with_hyper: bool | None = None,
    progress: Progress = lambda _what, _share: None,
) -> Extracts:
    """Write the marts of the last build for BI tools.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file; it is opened read-only.
    folder : Path
        Where to. The files lie in ``current`` there, which is swapped as a whole.
    key : str or None
        The key of the pseudonyms that stand for customer ids. Ids of orders and lines,
        in which customers could be recognised, are hashed with it too; lines as they
        were delivered and the numbers that customers drew are left out. None writes
        everything as it is, for the group of the files' owner alone.
    only : sequence of str, optional
        Names of the tables to write; all marts if there are none.
    with_hyper : bool, optional
        Whether to write .hyper files; by default if the extra ``tableau`` is installed.
    progress : callable, optional
        Told what is being done and what share is done.

    Returns
    -------
    Extracts
        The files and their rows.

    Raises
    ------
    ExtractError
        If a table is unknown, the extra ``tableau`` is asked for and missing, or DuckDB
        cannot write, for want of room for example.
    BuildError, WarehouseBusyError
        If there is no finished build, or one is under way.
    FolderError, ExtractBusyError
        If the folder cannot be written to, or others are writing to it.

    References
    ----------
    Keys: Krawczyk, Bellare and Canetti (1997), HMAC: keyed-hashing for message
    authentication, RFC 2104.
    """
    if with_hyper and not _has_hyper():
        raise ExtractError(
            ".hyper files need tableauhyperapi, which the extra `tableau` installs: "
            "`make export` does both, or `uv sync --inexact --extra tableau`."
        )
    busy = ExtractBusyError(
        f"Another export is at work in {folder}. Try again when it has ended."
    )
    try:
        with next_version(folder, busy) as unfinished:
            # A build waits for no longer than the warehouse is read.
            with read_warehouse(warehouse) as connection:
                row_counts = _fill(connection, unfinished, key, only, progress)
            left_out = _fill_tableau(unfinished, row_counts, with_hyper, progress)
            _set_modes(unfinished, is_private=key is None)
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise ExtractError(
            f"The extracts could not be written: {reason}. Those before them stay."
        ) from error
    current = folder / CURRENT
    return Extracts(
        current,
        tuple(
            path
            for path in (
                current / PARQUET,
                current / SERVING,
                current / SPREADSHEET,
                current / DICTIONARY,
                *sorted((current / TABLEAU).glob("*.hyper")),
            )
            if path.exists()
        ),
        row_counts,
        left_out,
    )


def _fill(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    key: str | None,
    only: Sequence[str],
    progress: Progress,
) -> dict[str, int]:
    """Write everything that DuckDB writes, and count the rows."""
    _set_limits(connection, folder / ".spilled")
    tables = _chosen(_tables(connection), only)
    (folder / PARQUET).mkdir()
    _write_parquet(connection, folder, tables, key, progress)
    row_counts = _write_serving_copy(connection, folder, tables)
    (folder / SPREADSHEET).mkdir()
    for table in tables:
        if row_counts[table.name] < SHEET_ROWS:
            _write_csv(connection, folder, table)
    _write_dictionary(folder / DICTIONARY, tables)
    return row_counts


def _has_hyper() -> bool:
    return find_spec("tableauhyperapi") is not None


def _fill_tableau(
    folder: Path,
    tables: Iterable[str],
    with_hyper: bool | None,
    progress: Progress,
) -> str:
    """Write .hyper files of the Parquet files, or say why not."""
    if with_hyper is False:
        return ""
    if not _has_hyper():
        return "No .hyper files for Tableau: the extra `tableau` is not installed."
    # It takes a moment to import, and is not there for everybody.
    from retail_segments.hyper_files import write_hyper_files

    progress("tableau", None)
    files = {name: folder / PARQUET / f"{name}.parquet" for name in tables}
    write_hyper_files(folder / TABLEAU, files)
    return ""


def _set_limits(connection: duckdb.DuckDBPyConnection, spill: Path) -> None:
    """Keep to the memory that builds keep to, and spill beside what is written.

    One thread writes the same bytes each time; two were seen to swap blocks of rows.
    """
    settings = {
        "threads": "1",
        "temp_directory": str(spill),
        "memory_limit": os.environ.get("DUCKDB_MEMORY_LIMIT"),
    }
    for name, value in settings.items():
        if value:
            connection.execute(f"set {name} = {literal(value)}")


def _tables(connection: duckdb.DuckDBPyConnection) -> list[Table]:
    """List the marts, tables and views alike, with what dbt said of them."""
    schema = marts_schema()
    comments = dict(
        connection.execute(
            "select table_name, comment from duckdb_tables() "
            "where database_name = current_database() and schema_name = $1 union all "
            "select view_name, comment from duckdb_views() "
            "where database_name = current_database() and schema_name = $1",
            [schema],
        ).fetchall()
    )
    columns: dict[str, list[Column]] = {name: [] for name in sorted(comments)}
    for table, *column in connection.execute(
        "select table_name, column_name, data_type, coalesce(comment, '') "
        "from duckdb_columns() "
        "where database_name = current_database() and schema_name = $1 "
        "order by table_name, column_index",
        [schema],
    ).fetchall():
        columns[table].append(Column(*column))
    return [
        Table(name, comments[name] or "", tuple(found))
        for name, found in columns.items()
    ]


def _chosen(tables: Sequence[Table], only: Sequence[str]) -> list[Table]:
    """Take the tables that were asked for."""
    known = {table.name for table in tables}
    if not known:
        raise ExtractError(
            f"The warehouse has no tables in the schema {marts_schema()}. Run "
            "`make build` first; SCHEMA_PREFIX says whose schemas are read."
        )
    unknown = [name for name in only if name not in known]
    if unknown:
        raise ExtractError(
            f"There is no mart {', '.join(unknown)}. There are "
            f"{', '.join(sorted(known))}."
        )
    return [table for table in tables if not only or table.name in only]


def _write_parquet(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    tables: Sequence[Table],
    key: str | None,
    progress: Progress,
) -> None:
    """Write every table as a Parquet file, without ids that tell who it is."""
    if key is not None:
        _set_key(connection, key)
    for done, table in enumerate(tables):
        progress("exporting", done / len(tables))
        target = folder / PARQUET / f"{table.name}.parquet"
        selection = _selection(table, is_pseudonymous=key is not None)
        connection.execute(
            f"copy ({selection}) to {literal(str(target))} "
            "(format parquet, compression zstd)"
        )


def _set_key(connection: duckdb.DuckDBPyConnection, key: str) -> None:
    """Have the connection know the two pads of a key's HMAC, as RFC 2104 has them."""
    padded = key.encode()
    if len(padded) > _BLOCK:
        padded = hashlib.sha256(padded).digest()
    padded = padded.ljust(_BLOCK, b"\0")
    for name, pad in (("inner_pad", 0x36), ("outer_pad", 0x5C)):
        value = bytes(byte ^ pad for byte in padded)
        connection.execute(f"set variable {name} = $1", [value])


def _selection(table: Table, *, is_pseudonymous: bool) -> str:
    """Select the rows of a table, with pseudonyms if need be.

    They are in order of what is shown, pseudonyms last: an order by the ids themselves
    would tell whose pseudonym is whose.
    """
    cells, plain, hashed = [], [], []
    for column in table.columns:
        name = identifier(column.name)
        if is_pseudonymous and column.name in _TELLING_IDS:
            cells.append(f"{_HMAC.format(name)} as {name}")
            hashed.append(name)
        elif is_pseudonymous and table.name == _PROFILE and column.name in _PROFILED:
            cells.append(
                f"case when column_name <> 'customer_id' then {name} end as {name}"
            )
            plain.append(name)
        elif is_pseudonymous and column.name in _LEFT_OUT:
            cells.append(f"cast(null as {column.data_type}) as {name}")
        else:
            cells.append(name)
            plain.append(name)
    order = ", ".join([*plain, *hashed])
    shown = query(", ".join(cells), _place(table))
    return f"{query('*', f'({shown})')} order by {order}"


def _write_serving_copy(
    connection: duckdb.DuckDBPyConnection, folder: Path, tables: Sequence[Table]
) -> dict[str, int]:
    """Write a DuckDB file of the same rows, with what its columns mean."""
    target = folder / SERVING
    connection.execute(f"attach {literal(str(target))} as serving_copy (read_write)")
    connection.execute("create schema serving_copy.marts")
    row_counts = {}
    for table in tables:
        source = file_pattern(folder / PARQUET / f"{table.name}.parquet")
        place = f"serving_copy.marts.{identifier(table.name)}"
        connection.execute(
            f"create table {place} as from read_parquet({literal(source)})"
        )
        [[count]] = connection.execute(query("count(*)", place)).fetchall()
        row_counts[table.name] = count
        connection.execute(f"comment on table {place} is {literal(table.comment)}")
        for column in table.columns:
            connection.execute(
                f"comment on column {place}.{identifier(column.name)} "
                f"is {literal(column.comment)}"
            )
    connection.execute("detach serving_copy")
    return row_counts


def _write_csv(
    connection: duckdb.DuckDBPyConnection, folder: Path, table: Table
) -> None:
    """Write a table for a spreadsheet, in which no text becomes a formula."""
    starts = ", ".join(literal(start) for start in FORMULA_STARTS)
    columns = []
    for column in table.columns:
        name = identifier(column.name)
        cell = (
            f"case when left({name}, 1) in ({starts}) "
            f"then concat(chr(39), {name}) else {name} end as {name}"
        )
        columns.append(cell if column.data_type == "VARCHAR" else name)
    source = file_pattern(folder / PARQUET / f"{table.name}.parquet")
    selection = query(", ".join(columns), f"read_parquet({literal(source)})")
    bare = folder / "bare.csv"
    connection.execute(
        f"copy ({selection}) to {literal(str(bare))} (format csv, header true)"
    )
    target = folder / SPREADSHEET / f"{table.name}.csv"
    with bare.open("rb") as rows, target.open("wb") as file:
        file.write(_BYTE_ORDER_MARK)
        shutil.copyfileobj(rows, file)
    bare.unlink()


def _write_dictionary(target: Path, tables: Sequence[Table]) -> None:
    """Write what every table and column means, for a spreadsheet."""
    with target.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("table", "column", "type", "meaning"))
        for table in tables:
            writer.writerow((table.name, "", "", harmless(table.comment)))
            for column in table.columns:
                writer.writerow(
                    (
                        table.name,
                        column.name,
                        column.data_type.lower(),
                        harmless(column.comment),
                    )
                )


def _set_modes(folder: Path, *, is_private: bool) -> None:
    """Let files be read and not written, by nobody else where they tell who it is."""
    mask = os.umask(0)
    os.umask(mask)
    for path in folder.rglob("*"):
        if path.is_file():
            path.chmod((0o440 if is_private else 0o444) & ~mask)


def _place(table: Table) -> str:
    return f"{identifier(marts_schema())}.{identifier(table.name)}"
