"""The landing folder: what lies there, and how a finished file gets there.

Every loaded file is one Parquet file, ``<kind>-<hash>.parquet``. The glob
``landing/*.parquet`` therefore always shows whole files of one kind: what is being
written lies in a folder of its own, and demo lines go aside before real ones appear,
with the launches of campaigns that were recorded on them in the folder ``campaigns``.
"""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import duckdb

from retail_segments.errors import ExitCode, SpokenError
from retail_segments.folders import flush, hold
from retail_segments.sql import file_pattern

Kind = Literal["lines", "demo"]

ATTRIBUTES: tuple[str, ...] = (
    "invoice_no",
    "stock_code",
    "description",
    "quantity",
    "invoice_date",
    "unit_price",
    "customer_id",
    "country",
    "currency",
    "store",
)

# The one definition of the landing files: column and DuckDB type, in this order.
LANDING_SCHEMA: Mapping[str, str] = MappingProxyType(
    {
        "invoice_no": "VARCHAR",
        "stock_code": "VARCHAR",
        "description": "VARCHAR",
        "quantity": "BIGINT",
        "invoice_date": "TIMESTAMP",
        "unit_price": "DECIMAL(18,4)",
        "customer_id": "VARCHAR",
        "country": "VARCHAR",
        "currency": "VARCHAR",
        "store": "VARCHAR",
        "raw_quantity": "VARCHAR",
        "raw_invoice_date": "VARCHAR",
        "raw_unit_price": "VARCHAR",
        "raw_line": "VARCHAR",
        "source_file": "VARCHAR",
        "source_row": "BIGINT",
        "source_hash": "VARCHAR",
    }
)

CAMPAIGNS = "campaigns"

_ASIDE = "aside"
_WORKING = ".loading"


class LoadError(SpokenError):
    """What stops a load, in sentences for the person who asked for it."""


class OptionError(LoadError):
    """A load that cannot be tried: the call or its settings are wrong, not the data."""

    exit_code = ExitCode.UNUSABLE


class BusyError(LoadError):
    """A load that another one keeps from beginning."""

    exit_code = ExitCode.BUSY


def landing_path() -> Path:
    """Find the landing folder.

    Returns
    -------
    Path
        The folder that ``LANDING_PATH`` names, by default ``landing`` in the working
        directory. It need not exist.
    """
    return Path(os.environ.get("LANDING_PATH") or "landing")


def landed_files(landing: Path, kind: Kind) -> list[Path]:
    """List the landing files of one kind.

    Parameters
    ----------
    landing : Path
        The landing folder, which need not exist.
    kind : {"lines", "demo"}
        A user's lines, or the demo's.

    Returns
    -------
    list of Path
        In order of name.
    """
    return sorted(landing.glob(f"{kind}-*.parquet"))


def landed_kind(landing: Path) -> Kind | None:
    """Tell whether the landing folder holds a user's lines or the demo's.

    Parameters
    ----------
    landing : Path
        The landing folder, which need not exist.

    Returns
    -------
    {"lines", "demo"} or None
        None if nothing has been loaded.
    """
    if has_lines(landing):
        return "lines"
    return "demo" if landed_files(landing, "demo") else None


def has_lines(landing: Path) -> bool:
    """Tell whether a user's own lines have been loaded.

    Parameters
    ----------
    landing : Path
        The landing folder, which need not exist.

    Returns
    -------
    bool
        True if there is at least one file of a user's lines.
    """
    return bool(landed_files(landing, "lines"))


def landed_file(landing: Path, kind: Kind, source_hash: str) -> Path:
    """Name the landing file of a source file.

    Parameters
    ----------
    landing : Path
        The landing folder.
    kind : {"lines", "demo"}
        A user's lines, or the demo's.
    source_hash : str
        SHA-256 of the source file in hexadecimal.

    Returns
    -------
    Path
        Where the file is, or would be.

    Examples
    --------
    >>> landed_file(Path("landing"), "lines", "0123456789abcdef" * 4).name
    'lines-0123456789abcdef.parquet'
    """
    return landing / f"{kind}-{source_hash[:16]}.parquet"


def say_damage(folder: Path) -> str | None:
    """Say which file, of lines or of a campaign, a build could not read.

    Parameters
    ----------
    folder : Path
        The landing folder or that of the campaigns, which need not exist.

    Returns
    -------
    str or None
        What is wrong with the first such file, in order of name, and what to do; None
        if all are Parquet.
    """
    with duckdb.connect() as connection:
        for path in sorted(folder.glob("*.parquet")):
            try:
                connection.execute(
                    "from parquet_file_metadata(?)", [file_pattern(path)]
                ).fetchall()
            except duckdb.Error as error:
                reason = str(error).splitlines()[0]
                return (
                    f"'{path}' cannot be read as Parquet ({reason}). Only load and "
                    "export-audience write files there: move this one away, and load "
                    "what it was made of with `retail-segments load FILE`."
                )
    return None


@contextmanager
def working_folder(landing: Path) -> Iterator[Path]:
    """Open a folder for half-written files, which no one else sees.

    It lies in the landing folder, so that a finished file can be renamed into place.
    What a load that was killed left there is removed first. One load at a time may work
    in a landing folder.

    Parameters
    ----------
    landing : Path
        The landing folder, made if need be.

    Yields
    ------
    Path
        An empty folder, removed in the end.

    Raises
    ------
    LoadError
        If the folder cannot be made, or another load is at work in it.
    """
    if landing.exists() and not landing.is_dir():
        raise OptionError(
            f"The landing folder {landing} is a file. Set LANDING_PATH to a folder."
        )
    # What customers bought is for the folder's owner and group alone.
    landing.mkdir(mode=0o750, parents=True, exist_ok=True)
    folder = landing / _WORKING
    busy = BusyError(
        f"Another load is at work in {landing}. Try again when it has ended."
    )
    with hold(landing, busy):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def put_in_place(written: Path, target: Path) -> tuple[Path, ...]:
    """Give a finished file its place in the landing folder.

    Demo files that are there go aside first, and come back if the file cannot be put in
    place: at no moment do demo and real lines lie side by side.

    Parameters
    ----------
    written : Path
        The finished file, on the same file system.
    target : Path
        Its name in the landing folder.

    Returns
    -------
    tuple of Path
        Where the demo files now are, campaigns of the demo's customers among them.
    """
    landing = target.parent
    flush(written)
    moves: list[tuple[Path, Path]] = []
    try:
        demos = landed_files(landing, "demo")
        # Real customers may have the numbers of the demo's.
        if demos:
            demos += sorted((landing / CAMPAIGNS).glob("*.parquet"))
        for demo in demos:
            aside = landing / _ASIDE / demo.relative_to(landing)
            aside.parent.mkdir(parents=True, exist_ok=True)
            demo.replace(aside)
            moves.append((demo, aside))
        written.replace(target)
    except BaseException:
        # An interrupt may come after the rename: then the demo stays aside.
        if not target.exists():
            for demo, aside in moves:
                aside.replace(demo)
        raise
    flush(landing)
    return tuple(aside for _, aside in moves)
