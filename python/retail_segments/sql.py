"""Quote what a user names before it reaches SQL."""


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
