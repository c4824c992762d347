"""Print what a build made: lines, customers, segments, and where to look further."""

import shlex
import sys
from decimal import Decimal
from pathlib import Path

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from retail_segments.build import BuildError, marts_schema, read_warehouse

EXAMPLE_QUERY = (
    "select segment_name, count(*) as customers, sum(monetary_value) as revenue "
    "from {schema}.dim_customer_segments group by segment_name order by revenue desc"
)

_LINES = """
    select measure, layer, total
    from rpt_control_totals
    where
        measure in ('line_count', 'line_amount')
        and layer in ('delivered', 'used', 'set_aside')
"""

_REASONS = """
    select
        reject_reason,
        count(*) as line_count,
        coalesce(sum(line_amount), 0) as line_amount
    from fct_rejected_lines
    group by reject_reason
    order by line_count desc, reject_reason
"""

_CUSTOMERS = """
    select
        unclustered_reason,
        count(*) as customer_count,
        sum(monetary_value) as monetary_value,
        max(snapshot_date) as snapshot_date
    from dim_customer_segments
    group by unclustered_reason
    order by unclustered_reason nulls first
"""

_SEGMENTS = """
    select
        segments.cluster_id,
        segments.segment_name,
        segments.customer_count,
        segments.customer_share,
        segments.monetary_share,
        median(customers.recency_days) as recency_days,
        median(customers.frequency) as frequency,
        median(customers.monetary_value) as monetary_value
    from dim_segments as segments
    inner join dim_customer_segments as customers using (cluster_id)
    group by all
    order by segments.cluster_id
"""


def print_summary(warehouse: Path, console: Console) -> None:
    """Print a short summary of the last build.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file; it is opened read-only.
    console : Console
        Where to print.

    Raises
    ------
    BuildError
        If there is no warehouse yet, or no build has been finished in it.
    """
    try:
        _print_tables(warehouse, console)
    except duckdb.CatalogException as error:
        raise BuildError(
            f"The warehouse {warehouse} holds no finished build in the schema "
            f"{marts_schema()}. Run `make build` first."
        ) from error
    console.print()
    console.print(f"Warehouse  {escape(str(warehouse))}")
    console.print("Query it   ", end="")
    console.print(_example(warehouse), soft_wrap=True, markup=False, highlight=False)


def _print_tables(warehouse: Path, console: Console) -> None:
    with read_warehouse(warehouse) as connection:
        connection.execute("set search_path = ?", [marts_schema()])
        console.print()
        console.print(_line_table(connection))
        console.print()
        customers = connection.execute(_CUSTOMERS).fetchall()
        console.print(_customer_sentence(customers))
        segments = connection.execute(_SEGMENTS).fetchall()
        if segments:
            console.print()
            console.print(_segment_table(segments, customers[0][3]))


def _line_table(connection: duckdb.DuckDBPyConnection) -> Table:
    totals = {
        (measure, layer): total
        for measure, layer, total in connection.execute(_LINES).fetchall()
    }
    delivered = totals["line_count", "delivered"]
    table = _table("Lines", ("", "lines", "share", "amount"))

    def add(name: str, count: Decimal, amount: Decimal) -> None:
        share = f"{count / delivered:.1%}" if delivered else ""
        table.add_row(name, f"{count:,.0f}", share, f"{amount:,.2f}")

    for name, layer in (
        ("delivered", "delivered"),
        ("used", "used"),
        ("set aside", "set_aside"),
    ):
        add(name, totals["line_count", layer], totals["line_amount", layer])
    for reason, count, amount in connection.execute(_REASONS).fetchall():
        add(f"  {reason}", Decimal(count), amount)
    return table


def _customer_sentence(
    groups: list[tuple[str | None, int, Decimal, object]],
) -> str:
    known = sum(count for _, count, _, _ in groups)
    clustered = sum(count for reason, count, _, _ in groups if reason is None)
    sentence = f"Customers  {known:,} known, {clustered:,} in a segment"
    others = [f"{count:,} {reason}" for reason, count, _, _ in groups if reason]
    return f"{sentence}; in none: {', '.join(others)}" if others else sentence


def _segment_table(rows: list[tuple[object, ...]], snapshot_date: object) -> Table:
    table = _table(
        f"Segments as of {snapshot_date}",
        ("segment", "customers", "share", "revenue", "days", "orders", "amount"),
    )
    for number, name, count, share, revenue, recency, frequency, value in rows:
        table.add_row(
            escape(f"{number} {name}"),
            f"{count:,}",
            f"{share:.1%}",
            f"{revenue:.1%}",
            f"{recency:,.0f}",
            f"{frequency:,.0f}",
            f"{value:,.2f}",
        )
    table.caption = (
        "days since the last purchase, orders, amount: medians of the customers"
    )
    return table


def _table(title: str, columns: tuple[str, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position == 0 else "right")
    table.caption_justify = "left"
    return table


def _example(warehouse: Path) -> str:
    """Return a shell line that runs the example query."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    query = EXAMPLE_QUERY.format(schema=marts_schema())
    code = (
        f"import duckdb; duckdb.connect({str(warehouse)!r}, read_only=True)"
        f".sql('{query}').show()"
    )
    # A shell expands these within double quotes; then the uglier quoting is safe.
    quoted = shlex.quote(code) if set(code) & set('"$`\\!') else f'"{code}"'
    return f"{shlex.quote(str(python))} -c {quoted}"
