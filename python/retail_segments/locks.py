"""Say in a sentence that another process has the warehouse file.

DuckDB lets one process write to a file, or several read it, but not both.
"""

import re

import duckdb

IN_USE = "is in use by another process"


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
