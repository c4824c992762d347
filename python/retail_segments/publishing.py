"""Publish a warehouse: copy the file aside, and swap the copy in by one rename.

A build publishes when every gate has passed (``macros/publish.sql``). Readers of the
copy see one good build or the next, never a mix, and are in no build's way.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import duckdb

from retail_segments.folders import flush
from retail_segments.locks import closed_to_duckdb


def published_path(warehouse: Path) -> Path:
    """Return where the last build of a warehouse that passed every gate is.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file that builds write to.

    Returns
    -------
    Path
        ``PUBLISHED_PATH``, or a file of the same name in the folder ``published``
        beside the warehouse.

    Examples
    --------
    >>> published_path(Path("warehouse/shop.duckdb")).as_posix()
    'warehouse/published/shop.duckdb'
    """
    named = os.environ.get("PUBLISHED_PATH")
    return Path(named) if named else warehouse.parent / "published" / warehouse.name


def publish(warehouse: Path) -> str:
    """Copy a warehouse that is open in this process, and swap the copy in.

    Another process does it: closing the file here would give up DuckDB's lock on it.
    All of the warehouse has to be in the file, as it is after a checkpoint. What is
    left to do once the copy is in place, that process does while this one goes on; this
    one does not end before it has.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file.

    Returns
    -------
    str
        What went wrong, in a sentence; empty if the copy is in place.
    """
    target = published_path(warehouse)
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, "-m", "retail_segments.publishing", warehouse, target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    if process.stdout and process.stdout.readline():
        Thread(target=process.communicate).start()
        return ""
    _, words = process.communicate()
    reason = (words.strip() or "the copying was ended").splitlines()[-1]
    return (
        f"Every gate passed, but the build could not be published to {target}: "
        f"{reason}. Readers keep the build before. Mend it and build again."
    )


def copy_warehouse(
    warehouse: Path, target: Path, announce: Callable[[], None] = lambda: None
) -> None:
    """Copy a warehouse file, try the copy, and swap it in by one rename.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file, to which nobody writes meanwhile.
    target : Path
        What readers open. The file that was there stays for who has it open.
    announce : callable
        Called as soon as the copy is in place and on the disk. What comes then takes
        time, too: the lock is held on a little, and the file before is freed.

    Raises
    ------
    ValueError
        If the target has another name, under which views would not find their tables,
        or part of the warehouse is not in the file.
    OSError, duckdb.Error
        If the copy cannot be written, or cannot be read.
    """
    if target.name != warehouse.name:
        raise ValueError(
            f"the copy has to be named {warehouse.name}, since its views name the file"
        )
    log = warehouse.with_name(f"{warehouse.name}.wal")
    if log.exists() and log.stat().st_size:
        raise ValueError(f"part of it is still in {log}")
    target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    # A folder of its own, since DuckDB names a database for its file.
    unfinished = target.parent / ".unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    try:
        copy = unfinished / target.name
        shutil.copyfile(warehouse, copy)
        with duckdb.connect(str(copy), read_only=True) as connection:
            connection.execute("select count(*) from duckdb_columns()")
        flush(copy)
        # BI tools that would open it for writing are told so by the file system.
        copy.chmod(0o440)
        # Freeing a large file takes as long as DuckDB takes for a model. A second name
        # puts it off; not every file system has one.
        with suppress(OSError):
            copy.with_suffix(".before").hardlink_to(target)
        with closed_to_duckdb(copy):
            copy.replace(target)
            flush(target.parent)
            announce()
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _announce() -> None:
    """Tell the build, if it has not been killed since."""
    with suppress(BrokenPipeError):
        os.write(sys.stdout.fileno(), b"published\n")


if __name__ == "__main__":
    try:
        copy_warehouse(Path(sys.argv[1]), Path(sys.argv[2]), announce=_announce)
    except (OSError, ValueError, duckdb.Error) as error:
        sys.exit(getattr(error, "strerror", None) or str(error))
