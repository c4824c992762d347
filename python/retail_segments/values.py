"""Turn the delivered values into the landing schema, in SQL."""

from collections.abc import Mapping
from dataclasses import dataclass

import duckdb

from retail_segments.dates import (
    DEFAULT_ORDERS,
    DateStyle,
    Order,
    date_sql,
    decide_orders,
    zone_note,
)
from retail_segments.delivery import Delivery
from retail_segments.landing import ATTRIBUTES, LANDING_SCHEMA, OptionError
from retail_segments.sql import literal, query

_MAX_QUANTITY = 2_147_483_647
_MAX_PRICE = 10_000_000_000
# A price this near to four decimals is one, but for the way doubles are stored.
_PRICE_NOISE = 1e-7
_WHITESPACE = literal(" \t\r\n\u00a0")
_INTEGERS = {
    f"{sign}{size}INT"
    for sign in ("", "U")
    for size in ("TINY", "SMALL", "", "BIG", "HUGE")
} | {"INTEGER", "UINTEGER"}
_TYPED = ("quantity", "invoice_date", "unit_price")


@dataclass(frozen=True)
class Typing:
    """How the delivered values become landed ones.

    Attributes
    ----------
    select : str
        The query of the landing columns, in order.
    rounded_prices : str
        The query that counts the prices with more than four decimals.
    notes : tuple of str
        What was decided from the values, in sentences.
    """

    select: str
    rounded_prices: str
    notes: tuple[str, ...]


def type_values(
    connection: duckdb.DuckDBPyConnection,
    delivery: Delivery,
    *,
    source_hash: str,
    date_format: str | None,
) -> Typing:
    """Write the SQL that turns the view ``delivered`` into landing lines.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Where the view is.
    delivery : Delivery
        How its values are written.
    source_hash : str
        SHA-256 of the source file in hexadecimal.
    date_format : str or None
        The user's own strptime format for text dates.

    Returns
    -------
    Typing
        Queries, none of them run, and notes.

    Raises
    ------
    OptionError
        If `date_format` is no strptime format.
    """
    described = connection.execute("describe delivered").fetchall()
    types = {name: _plain_type(duckdb_type) for name, duckdb_type, *_ in described}
    values = {name: _trimmed(name, types[name]) for name in _TYPED}
    has_commas, notes = _decide_decimal_commas(connection, delivery, types, values)
    orders: Mapping[str, Order] = DEFAULT_ORDERS
    if date_format is not None:
        _check_date_format(connection, date_format)
    elif types["invoice_date"] == "VARCHAR":
        orders, order_notes = decide_orders(connection, values["invoice_date"])
        notes += order_notes
    notes += zone_note(connection, values["invoice_date"], types["invoice_date"])
    style = DateStyle(date_format, orders, delivery.excel_day_zero)
    number = _number_sql(values["unit_price"], types["unit_price"], has_commas)
    typed = {
        "quantity": _quantity_sql(
            _number_sql(values["quantity"], types["quantity"], has_commas)
        ),
        "invoice_date": date_sql(values["invoice_date"], types["invoice_date"], style),
        "unit_price": _price_sql(number),
    }
    return Typing(
        select=_select(types, typed, source_hash),
        rounded_prices=_rounded_prices(number, types["unit_price"]),
        notes=notes,
    )


def _select(
    types: Mapping[str, str], typed: Mapping[str, str], source_hash: str
) -> str:
    expressions = {name: f"delivered.{name}" for name in ("source_file", "source_row")}
    expressions["raw_line"] = "delivered.raw_line"
    expressions["source_hash"] = literal(source_hash)
    for name in ATTRIBUTES:
        expressions[name] = _text_sql(f"delivered.{name}", types[name])
    for name in _TYPED:
        value = _trimmed(f"delivered.{name}", types[name])
        is_blank = f"{value} = ''" if types[name] == "VARCHAR" else "false"
        expressions[f"raw_{name}"] = (
            f"case when typed_{name} is null and not ({is_blank}) "
            f"then cast(delivered.{name} as varchar) end"
        )
        expressions[name] = f"typed_{name}"
    columns = ", ".join(
        f"cast({expressions[name]} as {duckdb_type}) as {name}"
        for name, duckdb_type in LANDING_SCHEMA.items()
    )
    read = ", ".join(f"{sql} as typed_{name}" for name, sql in typed.items())
    return query(columns, f"({query(f'*, {read}', 'delivered')}) as delivered")


def _plain_type(duckdb_type: str) -> str:
    """Take every type that only text can stand for as text."""
    is_known = (
        duckdb_type in _INTEGERS
        or duckdb_type in ("FLOAT", "DOUBLE", "DATE", "VARCHAR")
        or duckdb_type.startswith(("DECIMAL", "TIMESTAMP"))
    )
    return duckdb_type if is_known else "OTHER"


def _trimmed(column: str, duckdb_type: str) -> str:
    return f"trim({column}, {_WHITESPACE})" if duckdb_type == "VARCHAR" else column


def _text_sql(column: str, duckdb_type: str) -> str:
    """Write a code as text: numbers that are whole without a tail, nothing as null."""
    text = f"cast({column} as varchar)"
    if duckdb_type in ("FLOAT", "DOUBLE"):
        # Beyond 2^53 a double no longer tells one whole number from the next.
        is_whole = f"{column} = trunc({column}) and abs({column}) <= 9007199254740992"
        whole = f"cast(try_cast({column} as bigint) as varchar)"
        return (
            f"case when isnan({column}) then null when {is_whole} then {whole} "
            f"else {text} end"
        )
    if duckdb_type.startswith("DECIMAL"):
        whole = f"cast(cast({column} as hugeint) as varchar)"
        return f"case when {column} = trunc({column}) then {whole} else {text} end"
    return f"nullif({text}, '')"


def _number_sql(column: str, duckdb_type: str, has_commas: bool) -> str:
    """Write the SQL of a number that a whole number or a price may be taken from."""
    if duckdb_type in _INTEGERS or duckdb_type.startswith("DECIMAL"):
        return column
    if duckdb_type == "DOUBLE":
        return f"case when isfinite({column}) then {column} end"
    if duckdb_type == "FLOAT":
        # Only its shortest text tells what a single-precision number stands for.
        return f"try_cast(cast({column} as varchar) as decimal(38, 20))"
    if duckdb_type != "VARCHAR":
        return "cast(null as double)"
    group, mark = (".", ",") if has_commas else (",", ".")
    digits = (
        rf"\d+([{mark}]\d*)?|\d{{1,3}}([{group}]\d{{3}})+([{mark}]\d*)?|[{mark}]\d+"
    )
    pattern = literal(rf"[+-]?({digits})([eE][+-]?\d{{1,3}})?")
    plain = f"replace(replace({column}, '{group}', ''), '{mark}', '.')"
    # Twenty decimals leave room for any price below ten thousand million.
    return (
        f"case when regexp_full_match({column}, {pattern}) "
        f"then try_cast({plain} as decimal(38, 20)) end"
    )


def _quantity_sql(number: str) -> str:
    # A cast alone would round 1.5 to 2.
    return (
        f"case when {number} = trunc({number}) "
        # A decimal of 38 places has no room for the limits, but its whole part has.
        f"and trunc({number}) between -{_MAX_QUANTITY} and {_MAX_QUANTITY} "
        f"then try_cast({number} as bigint) end"
    )


def _price_sql(number: str) -> str:
    # Just below the limit, rounding to four decimals may still reach it.
    rounded = f"try_cast({number} as {LANDING_SCHEMA['unit_price']})"
    return f"case when abs({rounded}) < {_MAX_PRICE} then {rounded} end"


def _rounded_prices(number: str, duckdb_type: str) -> str:
    # A number of 53 binary digits is off by at most half of the last.
    precision = 2.0**-53 if duckdb_type == "DOUBLE" else 0.0
    noise = f"({_PRICE_NOISE!r} + abs(cast({number} as double)) * {precision!r})"
    price = _price_sql(number)
    difference = f"abs(cast({number} - {price} as double))"
    if duckdb_type.startswith("DECIMAL"):
        # 0.99999 may be of a type that has no room for 1.
        fitting = f"try_cast({price} as {duckdb_type})"
        difference = f"coalesce(abs(cast({number} - {fitting} as double)), 1)"
    return query(
        "count(*)", "delivered", f"{price} is not null and {difference} > {noise}"
    )


def _decide_decimal_commas(
    connection: duckdb.DuckDBPyConnection,
    delivery: Delivery,
    types: Mapping[str, str],
    values: Mapping[str, str],
) -> tuple[bool, tuple[str, ...]]:
    """Decide from all prices whether a comma marks the decimals.

    Three digits behind a lone comma or point may be a group of thousands, and count for
    neither.
    """
    if not delivery.may_use_decimal_commas or types["unit_price"] != "VARCHAR":
        return False, ()
    commas, points = (
        rf"^[+-]?(\d*[{mark}](\d{{1,2}}|\d{{4,}})|\d{{1,3}}([{group}]\d{{3}})+[{mark}]\d+)$"
        for mark, group in ((",", "."), (".", ","))
    )
    price = values["unit_price"]
    counts = connection.execute(
        query(
            f"count(*) filter (regexp_matches({price}, {literal(commas)})), "
            f"count(*) filter (regexp_matches({price}, {literal(points)}))",
            "delivered",
        )
    ).fetchall()[0]
    if counts[0] <= counts[1]:
        return False, ()
    return True, ("Numbers were read with a comma for the decimals.",)


def _check_date_format(connection: duckdb.DuckDBPyConnection, date_format: str) -> None:
    try:
        connection.execute("select try_strptime('', ?)", [date_format])
    except duckdb.Error as error:
        raise OptionError(
            f"--date-format {date_format!r} is not a strptime format. Write one such "
            "as '%d/%m/%Y %H:%M'."
        ) from error
    if "%" not in date_format:
        raise OptionError(
            f"--date-format {date_format!r} has no % field. Write one such as "
            "'%d/%m/%Y %H:%M'."
        )
