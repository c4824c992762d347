"""Folders that one process at a time writes to, and readers never see half written."""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from retail_segments.errors import ExitCode, SpokenError
from retail_segments.locks import closed_to_duckdb

if sys.platform != "win32":
    import fcntl

CURRENT = "current"

_UNFINISHED = ".unfinished"
_VERSION = re.compile(r"\d{8}T\d{12}Z")


class FolderError(SpokenError):
    """A folder that cannot be written to as asked."""

    exit_code = ExitCode.UNUSABLE


@contextmanager
def hold(folder: Path, busy: SpokenError) -> Iterator[None]:
    """Hold a folder against other processes that would hold it.

    Parameters
    ----------
    folder : Path
        The folder, which is there. Windows knows no such lock.
    busy : SpokenError
        What to raise where another process holds it.

    Yields
    ------
    None
        The lock falls with the process, however that ends.
    """
    if sys.platform == "win32":
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise busy from None
        yield
    finally:
        os.close(handle)


def flush(path: Path) -> None:
    """Have the disk hold a file, or the names in a folder, before going on.

    Parameters
    ----------
    path : Path
        The file or the folder.
    """
    is_windows = sys.platform == "win32"
    if is_windows and path.is_dir():
        return
    # Windows flushes only what may be written to.
    handle = os.open(path, os.O_RDWR if is_windows else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def next_version(folder: Path, busy: SpokenError) -> Iterator[Path]:
    """Fill a folder anew, and swap its contents in as a whole.

    What readers open is ``current``, a link to the last version. It is turned to the
    new one in one step once that is finished. The version before stays for those who
    are reading it, and older ones go. What was killed on the way leaves no trace after
    the next one.

    Parameters
    ----------
    folder : Path
        Where the versions lie; it is made if need be.
    busy : SpokenError
        What to raise where another process is filling it.

    Yields
    ------
    Path
        An empty folder to fill, which becomes ``current``. If filling it raises, what
        was there stays.

    Raises
    ------
    FolderError
        If the folder cannot be made or written to, or its ``current`` is no such link.
    """
    current = folder / CURRENT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if current.exists() and not current.is_symlink():
            raise FolderError(
                f"{current} is there already and is no link to a version, so it was "
                "not made here. Choose another folder with --output."
            )
        with hold(folder, busy):
            unfinished = folder / _UNFINISHED
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            try:
                yield unfinished
                _swap_in(unfinished, current)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise FolderError(
            f"{folder} cannot be written to ({error.strerror or error}). Make room, or "
            "choose another folder with --output."
        ) from error


def remove_versions(folder: Path) -> tuple[Path, ...]:
    """Remove every version in a folder, the current one among them.

    Parameters
    ----------
    folder : Path
        Where the versions lie; it need not exist.

    Returns
    -------
    tuple of Path
        What was removed. All else in the folder stays.
    """
    current = folder / CURRENT
    if current.is_symlink():
        current.unlink()
    versions = [
        path
        for path in (sorted(folder.iterdir()) if folder.is_dir() else [])
        if _VERSION.fullmatch(path.name) or path.name == _UNFINISHED
    ]
    for path in versions:
        shutil.rmtree(path)
    return tuple(versions)


def _swap_in(finished: Path, current: Path) -> None:
    """Turn the link to what is finished, and remove all but the version before."""
    folder = current.parent
    before = current.readlink().name if current.is_symlink() else None
    for path in [*finished.rglob("*"), finished]:
        flush(path)
    version = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z"
    finished.rename(version)
    link = folder / f".{CURRENT}"
    link.unlink(missing_ok=True)
    link.symlink_to(version.name, target_is_directory=True)
    with ExitStack() as stack:
        for path in version.rglob("*.duckdb"):
            stack.enter_context(closed_to_duckdb(path))
        link.replace(current)
    flush(folder)
    for path in folder.iterdir():
        if _VERSION.fullmatch(path.name) and path.name not in (version.name, before):
            shutil.rmtree(path, ignore_errors=True)
