"""Turn written dates into timestamps, in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from types import MappingProxyType
from typing import Literal

import duckdb

from retail_segments.sql import literal, query

Order = Literal["month", "day"]

FIRST_YEAR = 1990
LAST_YEAR = 2100

# Which number comes first where a column can be read both ways.
DEFAULT_ORDERS: Mapping[str, Order] = MappingProxyType(
    {"/": "month", "-": "day", ".": "day"}
)
_SEPARATOR_NAMES = {"/": "slashes", "-": "dashes", ".": "dots"}

_TIMES = (" %H:%M", " %H:%M:%S", "", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_ISO = (
    r"\d{4}[-/]\d{1,2}[-/]\d{1,2}([ T]\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?)?"
    r"( ?(Z|[+-]\d{2}(:?\d{2})?))?"
)
_HAS_ZONE = r".*:.*(Z|[+-]\d{2}(:?\d{2})?)"
_DAY_NUMBER = r"\d{5}(\.\d+)?"


@dataclass(frozen=True)
class DateStyle:
    """How the dates of a file are written.

    Attributes
    ----------
    date_format : str or None
        The user's own strptime format; it stands alone for text dates.
    orders : mapping of str to {"month", "day"}
        Which number comes first, per separator.
    excel_day_zero : str or None
        In a workbook, the day that day numbers count from.
    """

    date_format: str | None
    orders: Mapping[str, Order]
    excel_day_zero: str | None


def date_sql(column: str, duckdb_type: str, style: DateStyle) -> str:
    """Write the SQL that reads a date, null where it cannot.

    Parameters
    ----------
    column : str
        SQL of the delivered value, text already trimmed.
    duckdb_type : str
        The column's type.
    style : DateStyle
        How text dates are written.

    Returns
    -------
    str
        SQL of a timestamp in the years 1990 to 2100, or null.
    """
    if duckdb_type == "VARCHAR":
        read = _text_sql(column, style)
    elif duckdb_type == "TIMESTAMP WITH TIME ZONE":
        read = f"timezone('UTC', {column})"
    elif duckdb_type == "DATE" or duckdb_type.startswith("TIMESTAMP"):
        read = f"try_cast({column} as timestamp)"
    else:
        return "cast(null as timestamp)"
    in_range = f"year({read}) between {FIRST_YEAR} and {LAST_YEAR}"
    return f"case when {in_range} then {read} end"


def decide_orders(
    connection: duckdb.DuckDBPyConnection, column: str
) -> tuple[dict[str, Order], tuple[str, ...]]:
    """Decide from a whole column whether the day or the month comes first.

    For each separator the order is taken under which more values can be read; on a tie,
    the month comes first between slashes and the day between dashes or dots.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Where the view ``delivered`` is.
    column : str
        SQL of the delivered text, trimmed.

    Returns
    -------
    dict of str to {"month", "day"}
        Order per separator.
    tuple of str
        What to tell: an order other than the default, or one that nothing decides.
    """
    orders: dict[str, Order] = dict(DEFAULT_ORDERS)
    notes: list[str] = []
    for separator, default in DEFAULT_ORDERS.items():
        other: Order = "day" if default == "month" else "month"
        counts = connection.execute(
            query(
                f"count({_ordered_sql(column, separator, default)}), "
                f"count({_ordered_sql(column, separator, other)})",
                "delivered",
                f"regexp_matches({column}, {literal(_starts_with(separator))})",
            )
        ).fetchall()[0]
        if counts[1] > counts[0]:
            orders[separator] = other
            notes.append(_decided_note(separator, other, counts[1], counts[0]))
        elif counts[0] == counts[1] > 0:
            notes.append(_undecided_note(separator, default))
    return orders, tuple(notes)


def zone_note(
    connection: duckdb.DuckDBPyConnection, column: str, duckdb_type: str
) -> tuple[str, ...]:
    """Say that dates carry a time zone, if they do.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Where the view ``delivered`` is.
    column : str
        SQL of the delivered value, text already trimmed.
    duckdb_type : str
        The column's type.

    Returns
    -------
    tuple of str
        One sentence, or none.
    """
    has_zone = duckdb_type == "TIMESTAMP WITH TIME ZONE"
    if duckdb_type == "VARCHAR":
        is_zoned = f"regexp_full_match({column}, {literal(_HAS_ZONE)})"
        zoned = query("1", "delivered", is_zoned)
        has_zone = bool(connection.execute(f"{zoned} limit 1").fetchall())
    if not has_zone:
        return ()
    return ("The dates carry a time zone; they are landed as they read in UTC.",)


def _text_sql(column: str, style: DateStyle) -> str:
    cell_date = f"try_cast({column} as timestamp)"
    if style.date_format is not None:
        own = f"try_strptime({column}, {literal(style.date_format)})"
        # Date cells of a workbook arrive as ISO text, whatever the user's format.
        return f"coalesce({own}, {cell_date})" if style.excel_day_zero else own
    # The cast to a timestamp ignores what follows the time, be it PM or +01:00, so the
    # whole text is matched first and zones go by the other type.
    cases = [
        f"when regexp_full_match({column}, {literal(_HAS_ZONE)}) "
        f"and regexp_full_match({column}, {literal(_ISO)}) "
        f"then timezone('UTC', try_cast({column} as timestamptz))",
        f"when regexp_full_match({column}, {literal(_ISO)}) then {cell_date}",
    ]
    cases += [
        f"when regexp_matches({column}, {literal(_starts_with(separator))}) "
        f"then {_ordered_sql(column, separator, order)}"
        for separator, order in style.orders.items()
    ]
    if style.excel_day_zero:
        # A day number holds milliseconds exactly, and no finer.
        milliseconds = f"cast(round(cast({column} as double) * 86400000) as bigint)"
        cases.append(
            f"when regexp_full_match({column}, {literal(_DAY_NUMBER)}) "
            f"then timestamp {literal(style.excel_day_zero)} "
            f"+ to_milliseconds({milliseconds})"
        )
    return f"case {' '.join(cases)} end"


def _ordered_sql(column: str, separator: str, order: Order) -> str:
    """Read dates such as 12/1/2010 8:26 with the month, or the day, first."""
    first, second = ("%m", "%d") if order == "month" else ("%d", "%m")
    # Two-digit years come first: %Y would take 10 for the year ten.
    formats = ", ".join(
        literal(f"{first}{separator}{second}{separator}{year}{time}")
        for time, year in product(_TIMES, ("%y", "%Y"))
    )
    return f"try_strptime({column}, [{formats}])"


def _starts_with(separator: str) -> str:
    return rf"^\d{{1,2}}[{separator}]\d{{1,2}}[{separator}]"


def _decided_note(separator: str, order: Order, count: int, other_count: int) -> str:
    return (
        f"Dates with {_SEPARATOR_NAMES[separator]} were read with the {order} first: "
        f"{count:,} can be read so, {other_count:,} the other way round."
    )


def _undecided_note(separator: str, order: Order) -> str:
    first, second = ("%d", "%m") if order == "month" else ("%m", "%d")
    return (
        f"Dates with {_SEPARATOR_NAMES[separator]} can be read with the day or the "
        f"month first; they were read with the {order} first. If that is wrong, load "
        f"the file with --date-format '{first}{separator}{second}{separator}%Y %H:%M'."
    )
