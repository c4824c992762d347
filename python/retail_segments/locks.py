"""The locks on DuckDB files: who has one, said in a sentence, and one that is ours.

DuckDB lets one process write to a file, or several read it, but not both.
"""

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb

if sys.platform != "win32":
    import fcntl

IN_USE = "is in use by another process"
# DuckDB's own way from a file's header to its blocks takes about a millisecond.
SWAP_SECONDS = 0.25


def is_in_use(error: duckdb.Error) -> bool:
    """Tell whether DuckDB could not open a file because another process has it.

    Parameters
    ----------
    error : duckdb.Error
        What opening the file raised.

    Returns
    -------
    bool
        True if waiting helps.

    Examples
    --------
    >>> is_in_use(duckdb.IOException("IO Error: Could not set lock on file 'a'"))
    True
    >>> is_in_use(duckdb.IOException("IO Error: Cannot open file 'a'"))
    False
    """
    return "Could not set lock" in str(error)


def say_in_use(warehouse: str, error: duckdb.Error) -> str:
    """Say who has the warehouse, and what to do.

    Parameters
    ----------
    warehouse : str
        The DuckDB file.
    error : duckdb.Error
        What opening it raised.

    Returns
    -------
    str
        A sentence or two.

    Examples
    --------
    >>> say_in_use("a.duckdb", duckdb.IOException("held in python (PID 7). See"))[:62]
    'The warehouse a.duckdb is in use by another process (PID 7). T'
    """
    holder = re.search(r" \(PID \d+\)", str(error))
    return (
        f"The warehouse {warehouse} {IN_USE}{holder.group() if holder else ''}. "
        "Try again when it has ended, or let readers open a copy of the file."
    )


@contextmanager
def closed_to_duckdb(file: Path) -> Iterator[None]:
    """Keep DuckDB from opening a file of its own while that is swapped in.

    DuckDB opens a file by its name three times: for its first bytes, its header and its
    blocks. If another file takes the name in between, it reads the blocks of one by the
    header of the other, which may fail, or give wrong figures without a word. With this
    lock the last of the three fails, as it does on a file in use.

    Parameters
    ----------
    file : Path
        The new file, which nobody has open. Windows knows no such lock, and swaps no
        file that is open.

    Yields
    ------
    None
        To take the name. The lock is held on for ``SWAP_SECONDS``, so that whoever has
        read the header of the file before is refused too. Any other opening and closing
        of the file by this process would end it.
    """
    if sys.platform == "win32":
        yield
        return
    mode = file.stat().st_mode
    file.chmod(mode | 0o200)
    handle = os.open(file, os.O_RDWR)
    try:
        os.fchmod(handle, mode)
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
        time.sleep(SWAP_SECONDS)
    finally:
        os.close(handle)
