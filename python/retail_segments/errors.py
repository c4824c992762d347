"""How commands end: errors that people read, and the exit codes they end with."""

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes of every command; those of `dbt` itself agree as far as they go.

    Attributes
    ----------
    GREEN
        All was done, and every gate held.
    FAILED
        It was tried, and the data or a model did not pass: a gate, a model, a file.
    UNUSABLE
        It was not tried: a wrong option or var, a wrong folder, nothing to read.
    BUSY
        Somebody else is at work there; the same call may succeed in a minute.
    """

    GREEN = 0
    FAILED = 1
    UNUSABLE = 2
    BUSY = 3


class SpokenError(Exception):
    """What stops a command, in sentences for the person who asked for it.

    Attributes
    ----------
    exit_code : ExitCode
        What the command ends with.
    """

    exit_code: ExitCode = ExitCode.FAILED


def printable(text: str) -> str:
    r"""Write what a terminal would obey, such as a line break or an escape, as a code.

    Parameters
    ----------
    text : str
        What may have the names of files, headers and values in it.

    Returns
    -------
    str
        The text on one line.

    Examples
    --------
    >>> print(printable("my\x1b[2J lines\n.csv"))
    my\x1b[2J lines\n.csv
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
