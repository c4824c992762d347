"""What every reader hands over: one view of the delivered lines, and what it saw."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from retail_segments.landing import ATTRIBUTES
from retail_segments.sql import literal, query

# Told what is being done and, where known, which share of it is done.
Progress = Callable[[str, float | None], None]


@dataclass(frozen=True)
class Delivery:
    """How the values of the view ``delivered`` are written.

    The view has the ten attributes, each as the file delivers it and null where the
    file has no such column, then ``source_file``, ``source_row`` and ``raw_line``.

    Attributes
    ----------
    notes : tuple of str
        What the reader decided, in sentences.
    may_use_decimal_commas : bool
        Whether numbers may be written ``1.234,56``.
    excel_day_zero : str or None
        The day that Excel's day numbers count from, where dates may be such numbers.
    """

    notes: tuple[str, ...] = ()
    may_use_decimal_commas: bool = False
    excel_day_zero: str | None = None


def delivered_view(
    source: str, columns: Mapping[str, str], *, source_file: str | None = None
) -> str:
    """Write the statement that presents a reader's table as the view ``delivered``.

    Parameters
    ----------
    source : str
        SQL after ``from``.
    columns : mapping of str to str
        SQL expression per column of the view; attributes left out are null.
    source_file : str, optional
        The name of the file, unless `columns` has an expression for it.

    Returns
    -------
    str
        A ``create view`` statement.
    """
    expressions = dict(columns)
    if source_file is not None:
        expressions["source_file"] = literal(source_file)
    names = (*ATTRIBUTES, "source_file", "source_row", "raw_line")
    selected = ", ".join(
        f"{expressions.get(name, 'cast(null as varchar)')} as {name}" for name in names
    )
    return f"create temp view delivered as {query(selected, source)}"


def blank_rows_note(blank_row_count: int) -> tuple[str, ...]:
    """Say how many blank rows were passed over.

    Parameters
    ----------
    blank_row_count : int
        Wholly blank rows that lie between other rows.

    Returns
    -------
    tuple of str
        One sentence, or none if there was no such row.

    Examples
    --------
    >>> blank_rows_note(2)
    ('2 wholly blank rows between others were passed over.',)
    """
    if not blank_row_count:
        return ()
    rows = "row" if blank_row_count == 1 else "rows"
    were = "was" if blank_row_count == 1 else "were"
    return (
        f"{blank_row_count:,} wholly blank {rows} between others {were} passed over.",
    )
