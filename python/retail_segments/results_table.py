"""Print at a terminal what a run of dbt came to."""

from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from retail_segments.results import (
    STATES,
    NodeResult,
    RunResults,
    advise,
    describe,
)


def print_results(
    results: RunResults, lines: Mapping[str, int], console: Console
) -> None:
    """Print what a run of dbt came to: counts, failures, lines, the slowest nodes.

    Parameters
    ----------
    results : RunResults
        A run of dbt.
    lines : mapping of str to int
        Lines delivered, used and set aside; empty where they are not known.
    console : Console
        Where to print.
    """
    console.print(escape(describe(results)))
    counts = _table("", *STATES)
    for kind, counted in results.counts().items():
        counts.add_row(kind, *(f"{count:,}" for count in counted.values()))
    console.print()
    console.print(counts)
    if lines:
        console.print()
        console.print(
            "Lines  " + ", ".join(f"{count:,} {name}" for name, count in lines.items())
        )
    for source in results.freshness:
        console.print(escape(f"Freshness of {source.name}  {source.says}"))
    for title, nodes in (
        ("Failed", results.having("failed")),
        ("Warned", results.having("warned")),
    ):
        if nodes:
            console.print()
            console.print(title)
        for node in nodes:
            _print_node(node, console)
    slowest = _table("slowest", "seconds")
    for node in results.slowest(5):
        slowest.add_row(escape(node.name), f"{node.seconds:,.1f}")
    console.print()
    console.print(slowest)


def _print_node(node: NodeResult, console: Console) -> None:
    """Print a node that failed: one line each to read, to understand and to paste."""
    rows = "" if node.row_count is None else f"  {node.row_count:,} rows"
    for text in (f"{node.name}{rows}", f"  {node.says}", f"  {advise(node)}"):
        if text.strip():
            console.print(text, markup=False, highlight=False, soft_wrap=True)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for position, name in enumerate(columns):
        table.add_column(name, justify="left" if position == 0 else "right")
    return table
