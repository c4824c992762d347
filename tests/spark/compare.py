"""Compare what Spark built with what DuckDB built, table by table."""

from dataclasses import dataclass
from pathlib import Path

import duckdb

SCHEMAS = ("reference", "intermediate", "ml", "marts")
TOLERANCE = 1e-9
# A fingerprint is of the bytes of floats, whose last bits differ by the order of
# addition, or made by the engine; how long a fit took is no result.
NOT_COMPARED = {
    *("fingerprint", "group_fingerprint", "line_fingerprint"),
    *("return_fingerprint", "purchase_fingerprint", "fit_seconds"),
}
FLOATS = {"DOUBLE", "FLOAT"}


@dataclass(frozen=True)
class Comparison:
    """What came of comparing one table."""

    table: str
    rows: int
    columns: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        found = "; ".join(self.problems) or "equal"
        return (
            f"{self.table:48} {self.rows:>9,} rows {self.columns:>3} columns  {found}"
        )


def compare_warehouses(duckdb_path: Path, spark_folder: Path) -> list[Comparison]:
    """Compare every table of the two warehouses, in the order of their names."""
    with duckdb.connect() as connection:
        connection.execute("set timezone = 'UTC'")
        connection.execute(f"attach '{duckdb_path}' as expected (read_only)")
        names = connection.execute(
            """
            select table_schema, table_name
            from information_schema.tables
            where table_catalog = 'expected' and list_contains(?, table_schema)
            order by all
            """,
            [list(SCHEMAS)],
        ).fetchall()
        return [_compare(connection, spark_folder, *name) for name in names]


def _compare(
    connection: duckdb.DuckDBPyConnection, spark_folder: Path, schema: str, table: str
) -> Comparison:
    name = f"{schema}.{table}"
    files = spark_folder / f"{schema}.db" / table / "*.parquet"
    expected = connection.sql(f"select * from expected.{name}")
    rows = connection.execute(f"select count(*) from expected.{name}").fetchall()[0][0]
    try:
        found = connection.sql(f"select * from read_parquet('{files}')")
    except duckdb.IOException:
        return Comparison(name, rows, 0, ("Spark has no such table",))
    if set(expected.columns) != set(found.columns):
        differing = sorted(set(expected.columns) ^ set(found.columns))
        return Comparison(name, rows, 0, (f"columns differ: {differing}",))

    types = dict(zip(expected.columns, map(str, expected.types), strict=True))
    compared = [column for column in types if column not in NOT_COMPARED]
    floats = [column for column in compared if types[column] in FLOATS]
    exact = [column for column in compared if column not in floats]
    # An instant of Spark is a time in UTC.
    selected = ", ".join(f'cast("{c}" as {types[c]}) as "{c}"' for c in compared)
    order = ", ".join(f'"{c}"' for c in [*exact, *floats])
    for side, source in (("e", f"expected.{name}"), ("f", f"read_parquet('{files}')")):
        connection.execute(
            f"create or replace temp table {side} as select {selected}, "
            f"row_number() over (order by {order}) as place from {source}"
        )
    return Comparison(
        name, rows, len(compared), tuple(_problems(connection, exact, floats))
    )


def _problems(
    connection: duckdb.DuckDBPyConnection, exact: list[str], floats: list[str]
) -> list[str]:
    ((expected, found),) = connection.execute(
        "select (select count(*) from e), (select count(*) from f)"
    ).fetchall()
    if expected != found:
        return [f"Spark has {found:,} rows, DuckDB {expected:,}"]
    problems = []
    listed = ", ".join(f'"{c}"' for c in exact)
    if exact:
        differing = connection.execute(
            f"select count(*) from (select {listed} from e "
            f"except all select {listed} from f)"
        ).fetchall()[0][0]
        if differing:
            problems.append(f"{differing:,} rows differ{_where(connection, exact)}")
            return problems
    for column in floats:
        a, b = f'e."{column}"', f'f."{column}"'
        # Nearer than 1e-9 of the greater one, or of 1 where both are tiny.
        count, widest = connection.execute(
            f"""
            select
                count(*) filter (
                    ({a} is null) != ({b} is null)
                    or abs({a} - {b})
                    > {TOLERANCE} * greatest(abs({a}), abs({b}), 1e-3)
                ),
                max(abs({a} - {b}) / greatest(abs({a}), abs({b}), 1e-300))
            from e inner join f using (place)
            """
        ).fetchall()[0]
        if count:
            problems.append(
                f"{column} differs in {count:,} rows, by up to {widest:.1e}"
            )
    return problems


def _where(connection: duckdb.DuckDBPyConnection, exact: list[str]) -> str:
    """Name the columns that differ where rows are laid side by side."""
    counts = connection.execute(
        "select "
        + ", ".join(
            f'count(*) filter (e."{c}" is distinct from f."{c}")' for c in exact
        )
        + " from e inner join f using (place)"
    ).fetchall()[0]
    names = [f"{c} ({n:,})" for c, n in zip(exact, counts, strict=True) if n]
    return f": {', '.join(names[:8])}"
