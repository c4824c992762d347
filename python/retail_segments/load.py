"""Load files of invoice lines into the landing folder."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb

from retail_segments.delimited import read_delimited
from retail_segments.delivery import Progress
from retail_segments.forgotten import read_forgotten, without_forgotten
from retail_segments.headers import check_mapping
from retail_segments.landing import (
    Kind,
    LoadError,
    OptionError,
    has_lines,
    landed_file,
    put_in_place,
    working_folder,
)
from retail_segments.parquet import read_parquet
from retail_segments.spreadsheets import read_spreadsheet
from retail_segments.sql import file_pattern, literal, query
from retail_segments.values import type_values

_READERS = {
    ".xlsx": read_spreadsheet,
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".parquet": read_parquet,
}
_HASH_BLOCK = 1 << 22
_MEMORY_LIMIT = "1GB"
# More threads hold more row groups in memory than the limit has room for.
_MAX_THREADS = 4
_EXAMPLE_COUNT = 5
_EXAMPLE_LENGTH = 40
_POLL_SECONDS = 0.25
_RAW_COLUMNS = ("raw_quantity", "raw_invoice_date", "raw_unit_price", "raw_line")


@dataclass(frozen=True)
class LoadReport:
    """What became of one file.

    Attributes
    ----------
    source_file : str
        Base name of the file.
    landing_path : Path
        Its landing file.
    line_count : int
        Lines in the landing file.
    unreadable_count : int
        Lines of which a value, or the whole line, could not be read.
    notes : tuple of str
        What else a person should know, in sentences.
    already_loaded : bool
        True if the file had been loaded before, and nothing was added.
    """

    source_file: str
    landing_path: Path
    line_count: int
    unreadable_count: int = 0
    notes: tuple[str, ...] = ()
    already_loaded: bool = False


@dataclass(frozen=True)
class _Settings:
    landing: Path
    kind: Kind
    mapping: Mapping[str, str]
    date_format: str | None
    max_unreadable: float
    check: Callable[[Path], None] | None
    progress: Progress


def load_files(
    paths: Sequence[Path],
    *,
    landing: Path,
    kind: Kind = "lines",
    columns: Mapping[str, str] | None = None,
    date_format: str | None = None,
    max_unreadable: float = 0.01,
    check: Callable[[Path], None] | None = None,
    progress: Progress | None = None,
    on_report: Callable[[LoadReport], None] | None = None,
) -> list[LoadReport]:
    r"""Load files into the landing folder, one after the other.

    Each file is loaded as a whole or not at all; one that fails stops the rest, and
    those before it stay. A file that was loaded before adds nothing. Loading a user's
    lines puts demo lines aside.

    Parameters
    ----------
    paths : sequence of Path
        Files in .xlsx, .csv, .tsv or .parquet.
    landing : Path
        The landing folder, made if need be.
    kind : {"lines", "demo"}, default "lines"
        A user's lines, or the demo's.
    columns : mapping of str to str, optional
        The user's own header for some attributes.
    date_format : str, optional
        A strptime format for text dates; by default the usual forms are recognised.
    max_unreadable : float, default 0.01
        Share of a file's lines that may hold a value that cannot be read.
    check : callable, optional
        Given the landing file before it is put in place; it raises to refuse it.
    progress : callable, optional
        Told what is being done and, where known, the share that is done.
    on_report : callable, optional
        Given each report as soon as its file is loaded.

    Returns
    -------
    list of LoadReport
        One per file, in order.

    Raises
    ------
    LoadError
        If a file cannot be loaded.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> lines = folder / "lines.csv"
    >>> _ = lines.write_text(
    ...     "Invoice,StockCode,Quantity,InvoiceDate,Price,Customer ID,Country\n"
    ...     "536365,85123A,6,12/1/2010 8:26,2.55,17850,United Kingdom\n"
    ... )
    >>> [report] = load_files([lines], landing=folder / "landing")
    >>> report.line_count, report.unreadable_count
    (1, 0)
    """
    if not 0 <= max_unreadable <= 1:
        raise OptionError(
            f"The unreadable share allowed must lie in 0 to 1, not {max_unreadable}."
        )
    mapping = dict(columns or {})
    check_mapping(mapping)
    settings = _Settings(
        landing, kind, mapping, date_format, max_unreadable, check, progress or _quiet
    )
    reports: list[LoadReport] = []
    for path in paths:
        try:
            report = _load_file(path, settings)
        except LoadError as error:
            if not reports:
                raise
            names = ", ".join(report.source_file for report in reports)
            said = f"{error} Loaded before it, and kept: {names}."
            raise type(error)(said) from error
        reports.append(report)
        if on_report is not None:
            on_report(report)
    return reports


def _load_file(path: Path, settings: _Settings) -> LoadReport:
    name = _printable(path.name)
    try:
        _check_source(path, name)
        source_hash = _hash_file(path, settings.progress)
        target = landed_file(settings.landing, settings.kind, source_hash)
        if target.exists():
            return _already_loaded(name, target)
        with working_folder(settings.landing) as work:
            _keep_kinds_apart(settings)
            return _land(path, name, source_hash, work / target.stem, target, settings)
    except duckdb.OutOfMemoryException as error:
        raise LoadError(
            f"{name} takes more memory than a load may have ({_MEMORY_LIMIT}): some of "
            "its values are far too large. Shorten or leave out such columns."
        ) from error
    except (OSError, duckdb.Error) as error:
        raise LoadError(f"{name} could not be loaded: {_reason(error)}.") from error


def _check_source(path: Path, name: str) -> None:
    if path.is_dir():
        raise OptionError(
            f"{path} is a folder. Name the files in it, such as {path}/*.csv."
        )
    if not path.exists():
        raise OptionError(f"There is no file {path}. Check its name and folder.")
    if not path.is_file():
        raise OptionError(
            f"{path} is a pipe or a device. Save what comes from it to a file first."
        )
    if path.suffix.lower() not in _READERS:
        ending = f"ends in {path.suffix}" if path.suffix else "has no ending"
        raise LoadError(
            f"{name} {ending}; files must end in {', '.join(_READERS)}. "
            "Save it as one of these."
        )
    if not os.access(path, os.R_OK):
        raise LoadError(f"{path} may not be read by you. Change its permissions.")
    if path.stat().st_size == 0:
        raise LoadError(f"{name} is empty: it has 0 bytes. Export or copy it anew.")


def _keep_kinds_apart(settings: _Settings) -> None:
    """Refuse demo lines where real ones lie; to be asked with the folder locked."""
    if settings.kind == "demo" and has_lines(settings.landing):
        raise OptionError(
            f"{settings.landing} holds your own lines, and demo lines never mix with "
            "them. Set LANDING_PATH to another folder for the demo, or remove "
            f"{settings.landing / 'lines-*.parquet'} first."
        )


def _already_loaded(name: str, target: Path) -> LoadReport:
    with duckdb.connect() as connection:
        count = connection.execute(
            "select num_rows from parquet_file_metadata(?)", [file_pattern(target)]
        ).fetchall()[0][0]
    note = (
        f"Already loaded as {target.name}, {count:,} lines; nothing added. "
        "To read it with other settings, remove that file first."
    )
    return LoadReport(name, target, count, notes=(note,), already_loaded=True)


def _land(
    path: Path,
    name: str,
    source_hash: str,
    written: Path,
    target: Path,
    settings: _Settings,
) -> LoadReport:
    """Write the landing file beside its place, check it, and put it there."""
    with duckdb.connect(config=_engine_settings(written.parent)) as connection:
        delivery = _READERS[path.suffix.lower()](
            connection,
            _with_utf8_name(path, written.parent),
            mapping=settings.mapping,
            source_file=name,
            progress=settings.progress,
        )
        typing = type_values(
            connection,
            delivery,
            source_hash=source_hash,
            date_format=settings.date_format,
        )
        known = read_forgotten(settings.landing)
        with _watched(connection, settings.progress):
            connection.execute(
                f"copy ({without_forgotten(typing.select, known)}) "
                f"to {literal(str(written))} "
                "(format parquet, compression zstd)"
            )
        [(line_count, unreadable_count)] = connection.execute(
            query(f"count(*), count({_any_raw()})", "read_parquet(?)"),
            [file_pattern(written)],
        ).fetchall()
        if not line_count:
            raise LoadError(f"{name} has a header but no lines below it.")
        unreadable_notes = _judge_unreadable(
            connection, written, name, line_count, unreadable_count, settings
        )
        [(rounded_count,)] = connection.execute(typing.rounded_prices).fetchall()
    if settings.check is not None:
        settings.check(written)
    aside = put_in_place(written, target)
    notes = (
        delivery.notes
        + typing.notes
        + unreadable_notes
        + _rounded_note(rounded_count)
        + tuple(
            f"The demo's {demo.name} was put aside in {demo.parent}." for demo in aside
        )
    )
    return LoadReport(name, target, line_count, unreadable_count, notes)


def _judge_unreadable(
    connection: duckdb.DuckDBPyConnection,
    written: Path,
    name: str,
    line_count: int,
    unreadable_count: int,
    settings: _Settings,
) -> tuple[str, ...]:
    """Show what could not be read, and refuse the file if it is too much."""
    if not unreadable_count:
        return ()
    examples = "; ".join(_examples(connection, written, name))
    if unreadable_count <= settings.max_unreadable * line_count:
        return (f"Kept as delivered where unreadable: {examples}.",)
    raise LoadError(
        f"{name} was not loaded: {unreadable_count:,} of its {line_count:,} lines "
        f"({unreadable_count / line_count:.1%}) hold something unreadable, more than "
        f"the {settings.max_unreadable:.1%} allowed: {examples}. Correct the file, "
        "give --date-format if it is the dates, or allow more with --max-unreadable."
    )


def _examples(
    connection: duckdb.DuckDBPyConnection, written: Path, name: str
) -> Iterator[str]:
    """Show the first unreadable values: row, column, value."""
    unreadable = query(
        f"source_file, source_row, {', '.join(_RAW_COLUMNS)}",
        "read_parquet(?, file_row_number = true)",
        f"{_any_raw()} is not null",
    )
    rows = connection.execute(
        f"{unreadable} order by file_row_number limit {_EXAMPLE_COUNT}",
        [file_pattern(written)],
    ).fetchall()
    values = [
        (source_file, row, column, value)
        for source_file, row, *raw in rows
        for column, value in zip(_RAW_COLUMNS, raw, strict=True)
        if value is not None
    ]
    for source_file, row, column, value in values[:_EXAMPLE_COUNT]:
        place = f"sheet {source_file.removeprefix(name + '#')}, " * (
            source_file != name
        )
        what = "line" if column == "raw_line" else column.removeprefix("raw_")
        short = value[:_EXAMPLE_LENGTH] + "..." * (len(value) > _EXAMPLE_LENGTH)
        yield f"{place}row {row}, {what} {short!r}"


def _any_raw() -> str:
    return f"coalesce({', '.join(_RAW_COLUMNS)})"


def _rounded_note(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    subject = "1 price" if count == 1 else f"{count:,} prices"
    verb = "was" if count == 1 else "were"
    return (f"{subject} had more than four decimals and {verb} rounded.",)


def _hash_file(path: Path, progress: Progress) -> str:
    """Take the SHA-256 of a file."""
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_HASH_BLOCK):
            digest.update(block)
            progress("checking", file.tell() / size)
    return digest.hexdigest()


def _engine_settings(work: Path) -> dict[str, str | bool | int | float | list[str]]:
    return {
        "memory_limit": _MEMORY_LIMIT,
        "temp_directory": str(work / "spill"),
        "threads": min(_MAX_THREADS, os.cpu_count() or 1),
        "autoinstall_known_extensions": False,
    }


@contextmanager
def _watched(
    connection: duckdb.DuckDBPyConnection, progress: Progress
) -> Iterator[None]:
    """Tell from another thread how far a query has got."""
    connection.execute("set enable_progress_bar = true")
    connection.execute("set enable_progress_bar_print = false")
    is_over = threading.Event()

    def poll() -> None:
        while not is_over.wait(_POLL_SECONDS):
            share = connection.query_progress() / 100
            progress("writing", share if share >= 0 else None)

    watcher = threading.Thread(target=poll, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        is_over.set()
        watcher.join()


def _with_utf8_name(path: Path, work: Path) -> Path:
    """Give a file a name that libraries can read, if its own is not utf-8."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        link = work / f"source{path.suffix.lower()}"
        link.symlink_to(path.absolute())
        return link
    return path


def _quiet(_what: str, _share: float | None) -> None:
    """Tell no one."""


def _printable(name: str) -> str:
    """Replace what cannot be written as utf-8 in a file's name."""
    return name.encode(errors="replace").decode()


def _reason(error: OSError | duckdb.Error) -> str:
    """Say in one line what a library has to say at length."""
    if isinstance(error, OSError) and error.strerror:
        return (
            f"{error.strerror} ({error.filename})" if error.filename else error.strerror
        )
    return str(error).split("\n")[0].rstrip(".")
