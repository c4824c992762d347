"""Quote what a user names before it reaches SQL."""

import glob
from pathlib import Path


def literal(text: str) -> str:
    """Write a text as an SQL string.

    Parameters
    ----------
    text : str
        Any text, such as a file name.

    Returns
    -------
    str
        The text in single quotes, its own quotes doubled.

    Examples
    --------
    >>> literal("Anna's lines.csv")
    "'Anna''s lines.csv'"
    """
    return "'" + text.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Write a column name as an SQL identifier.

    Parameters
    ----------
    name : str
        Any name, such as a header in a user's file.

    Returns
    -------
    str
        The name in double quotes, its own quotes doubled.

    Examples
    --------
    >>> identifier('size 5" wide')
    '"size 5"" wide"'
    """
    return '"' + name.replace('"', '""') + '"'


def file_pattern(path: Path) -> str:
    """Write a path as a pattern that matches this one file.

    DuckDB takes brackets, asterisks and question marks in a path for a pattern.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        The path with such characters escaped.

    Examples
    --------
    >>> file_pattern(Path("lines [1].parquet"))
    'lines [[]1].parquet'
    """
    return glob.escape(str(path))


def query(columns: str, source: str, condition: str = "true") -> str:
    """Put a query together from parts that are SQL already.

    Parameters
    ----------
    columns : str
        What to select.
    source : str
        What to select it from.
    condition : str, default "true"
        Which rows to select.

    Returns
    -------
    str
        The query.

    Examples
    --------
    >>> query("count(*)", "delivered")
    'select count(*) from delivered where true'
    """
    # What users name has passed through the functions above.
    return f"select {columns} from {source} where {condition}"  # noqa: S608
