"""Text from the data in the cells of a spreadsheet: it stays text there."""

# A spreadsheet takes a cell that begins so for a formula.
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def harmless(cell: object) -> str:
    """Write a value so that no spreadsheet takes it for a formula.

    Parameters
    ----------
    cell : object
        A text, a number or None.

    Returns
    -------
    str
        A text that would begin a formula gets a leading apostrophe; numbers and other
        texts are as they are, None is empty.

    References
    ----------
    OWASP, CSV injection, https://owasp.org/www-community/attacks/CSV_Injection.

    Examples
    --------
    >>> harmless("=1+1"), harmless(-1), harmless(None)
    ("'=1+1", '-1', '')
    """
    if cell is None:
        return ""
    text = str(cell)
    if isinstance(cell, str) and text.startswith(FORMULA_STARTS):
        return f"'{text}"
    return text
