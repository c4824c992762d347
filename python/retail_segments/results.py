"""What a run of dbt came to, from the files that it leaves in its target folder."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import duckdb

from retail_segments.build import BuildError, WarehouseBusyError, read_warehouse

State = Literal["ok", "warned", "failed", "skipped"]

STATES: tuple[State, ...] = ("ok", "warned", "failed", "skipped")
_STATES: Mapping[str, State] = {
    "success": "ok",
    "pass": "ok",
    "no-op": "ok",
    "warn": "warned",
    "fail": "failed",
    "error": "failed",
    "runtime error": "failed",
    "partial success": "failed",
    "skipped": "skipped",
}
_KINDS = {
    "model": "models",
    "seed": "seeds",
    "test": "gates",
    "unit_test": "unit tests",
    "operation": "hooks",
    "source": "sources",
}
# What a gate that nobody described says, by its generic test.
_GENERIC = {
    "not_null": "No value is missing",
    "columns_not_null": "No value is missing",
    "unique": "No two rows are alike",
    "unique_combination": "No two rows are alike",
    "primary_key": "The key tells rows apart, and no value is missing",
    "accepted_ranges": "Values lie within their ranges",
    "accepted_values": "Values are among those that are known",
    "relationships": "Every value is one of the other table's",
    "relationships_both_ways": "Both tables hold the same values",
}
_TOTALS = "rpt_control_totals"
_LAYERS = {"delivered": "delivered", "used": "used", "set_aside": "set aside"}


@dataclass(frozen=True)
class NodeResult:
    """What became of one model, seed, gate or source.

    Attributes
    ----------
    name : str
        Its name, as `dbt --select` takes it.
    kind : str
        Models, seeds, gates, unit tests, hooks or sources.
    state : {"ok", "warned", "failed", "skipped"}
        How it ended.
    seconds : float
        How long it took.
    row_count : int or None
        Rows that break a gate; None where none were counted.
    says : str
        Of a gate, what should have held; of the rest, what dbt said.
    """

    name: str
    kind: str
    state: State
    seconds: float
    row_count: int | None
    says: str


@dataclass(frozen=True)
class RunResults:
    """What became of a run of dbt.

    Attributes
    ----------
    command : str
        What was run, such as ``build``.
    finished_at : datetime
        When dbt had done, in UTC.
    seconds : float
        From the first node to the last.
    nodes : tuple of NodeResult
        All nodes that it meant to run.
    totals_relation : str or None
        Where this run has left the control totals; None where it has not made them.
    freshness : tuple of NodeResult
        The sources, as `dbt source freshness` last found them.
    """

    command: str
    finished_at: datetime
    seconds: float
    nodes: tuple[NodeResult, ...]
    totals_relation: str | None
    freshness: tuple[NodeResult, ...]

    @property
    def is_green(self) -> bool:
        """Whether nothing failed and nothing was skipped for a failure."""
        return not self.having("failed")

    def having(self, *states: State) -> list[NodeResult]:
        """List the nodes that ended so, in the order in which they ran."""
        return [node for node in self.nodes if node.state in states]

    def counts(self) -> dict[str, dict[State, int]]:
        """Count the nodes of each kind by how they ended."""
        counted: dict[str, dict[State, int]] = {}
        for kind in _KINDS.values():
            states = [node.state for node in self.nodes if node.kind == kind]
            if states:
                counted[kind] = {state: states.count(state) for state in STATES}
        return counted

    def slowest(self, count: int) -> list[NodeResult]:
        """List the nodes that took longest, the slowest first."""
        by_time = sorted(self.nodes, key=lambda node: (-node.seconds, node.name))
        return by_time[:count]


def read_results(target: Path) -> RunResults:
    """Read what the last run of dbt left in its target folder.

    Parameters
    ----------
    target : Path
        dbt's target folder, which holds ``run_results.json`` and ``manifest.json``.

    Returns
    -------
    RunResults
        The run, whoever started it: a person, cron or an orchestrator.

    Raises
    ------
    BuildError
        If no run has finished there, or its files cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "manifest.json").write_text('{"nodes": {}}')
    >>> _ = (folder / "run_results.json").write_text(json.dumps({
    ...     "metadata": {"generated_at": "2026-01-05T06:00:09Z"},
    ...     "args": {"which": "build"},
    ...     "elapsed_time": 8.5,
    ...     "results": [{"unique_id": "model.shop.orders", "status": "success",
    ...                  "execution_time": 0.5, "failures": None, "message": "OK"}],
    ... }))
    >>> results = read_results(folder)
    >>> results.is_green, results.counts()["models"]["ok"]
    (True, 1)
    """
    run = _read_json(target / "run_results.json")
    manifest = _read_json(target / "manifest.json")
    nodes = {**manifest.get("nodes", {}), **manifest.get("unit_tests", {})}
    try:
        return RunResults(
            command=run["args"]["which"],
            finished_at=datetime.fromisoformat(run["metadata"]["generated_at"]),
            seconds=run["elapsed_time"],
            nodes=tuple(
                _node_result(result, nodes.get(result["unique_id"], {}))
                for result in run["results"]
            ),
            totals_relation=_totals_relation(run["results"], nodes),
            freshness=_read_freshness(target / "sources.json"),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BuildError(
            f"{target / 'run_results.json'} is not what a run of dbt leaves: "
            f"{error!r}. Run `dbt build` anew."
        ) from error


def read_line_counts(results: RunResults, warehouse: Path) -> dict[str, int]:
    """Read how many lines the build used, and how many it set aside.

    Parameters
    ----------
    results : RunResults
        A run of dbt.
    warehouse : Path
        The DuckDB file that it built.

    Returns
    -------
    dict of str to int
        Lines delivered, used and set aside. Empty where the run has not made
        ``rpt_control_totals``, or the warehouse is elsewhere or in use.
    """
    if results.totals_relation is None:
        return {}
    # The first part is the name of the database, which follows the file's.
    place = results.totals_relation.split(".", 1)[-1]
    try:
        with read_warehouse(warehouse) as connection:
            rows = connection.execute(
                f"select layer, cast(total as bigint) from {place} "  # noqa: S608
                "where measure = 'line_count'"
            ).fetchall()
    except (BuildError, WarehouseBusyError, duckdb.Error):
        return {}
    totals = dict(rows)
    return {name: totals[layer] for layer, name in _LAYERS.items() if layer in totals}


def describe(results: RunResults) -> str:
    """Say in a sentence how a run ended.

    Parameters
    ----------
    results : RunResults
        A run of dbt.

    Returns
    -------
    str
        Its command, colour, time and duration.
    """
    failed, skipped = len(results.having("failed")), len(results.having("skipped"))
    ended = "green" if results.is_green else f"red, {failed:,} failed"
    if skipped:
        ended += f", {skipped:,} skipped"
    return (
        f"dbt {results.command}: {ended}; finished "
        f"{results.finished_at:%Y-%m-%d %H:%M} UTC after {results.seconds:,.0f} s"
    )


def advise(node: NodeResult) -> str:
    """Say how to look into a node that failed.

    Parameters
    ----------
    node : NodeResult
        A node that failed or warned.

    Returns
    -------
    str
        A command to run; empty where there is none.
    """
    if node.kind == "gates":
        # Without the option, dbt would write over the results of the build.
        return f"dbt --no-write-json show --select {node.name} --limit 20"
    if node.kind in ("models", "seeds", "unit tests"):
        return f"dbt build --select {node.name}"
    return ""


def to_markdown(results: RunResults, lines: Mapping[str, int]) -> str:
    """Write a run down as GitHub shows it in the summary of a job.

    Parameters
    ----------
    results : RunResults
        A run of dbt.
    lines : mapping of str to int
        What `read_line_counts` found.

    Returns
    -------
    str
        Markdown, ended by a line break.
    """
    parts = [f"### {describe(results)}"]
    parts.append(
        _markdown_table(
            ["", *STATES],
            [
                [kind, *(f"{count:,}" for count in counts.values())]
                for kind, counts in results.counts().items()
            ],
        )
    )
    if lines:
        parts.append(
            "Lines: " + ", ".join(f"{count:,} {name}" for name, count in lines.items())
        )
    for node in results.freshness:
        parts.append(f"Freshness of {node.name}: {node.says}")
    for title, found in (
        ("Failed", results.having("failed")),
        ("Warned", results.having("warned")),
    ):
        if found:
            rows = [
                [f"`{node.name}`", _rows(node), node.says, _code(advise(node))]
                for node in found
            ]
            parts.append(f"**{title}**")
            parts.append(_markdown_table(["", "rows", "", "look into it"], rows))
    rows = [[f"`{node.name}`", f"{node.seconds:,.1f}"] for node in results.slowest(5)]
    parts.append(_markdown_table(["slowest", "seconds"], rows))
    return "\n\n".join(parts) + "\n"


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BuildError(
            f"There is no {path}: no run of dbt has finished there. Run "
            "`dbt build`, or name its target folder with --target-path."
        ) from error
    except (OSError, ValueError) as error:
        raise BuildError(
            f"{path} cannot be read: {error}. Run `dbt build` anew."
        ) from error
    if not isinstance(content, dict):
        raise BuildError(f"{path} is not a file of dbt's. Run `dbt build` anew.")
    return content


def _node_result(result: Mapping[str, Any], node: Mapping[str, Any]) -> NodeResult:
    resource, _, name = result["unique_id"].split(".", 2)
    kind = _KINDS.get(node.get("resource_type", resource), resource)
    is_gate = kind == "gates" and result["status"] in ("pass", "warn", "fail")
    return NodeResult(
        name=node.get("name", name),
        kind=kind,
        state=_STATES[result["status"]],
        seconds=result["execution_time"],
        row_count=result["failures"] if is_gate else None,
        says=_gate_says(node) if is_gate else _plain(result["message"] or ""),
    )


def _gate_says(node: Mapping[str, Any]) -> str:
    """Say what a gate wants: its description, or what its generic test means."""
    if node.get("description"):
        return _plain(node["description"])
    generic = node.get("test_metadata") or {}
    arguments = generic.get("kwargs") or {}
    columns = (
        arguments.get("columns")
        or list(arguments.get("ranges") or ())
        or [node.get("column_name")]
    )
    meaning = _GENERIC.get(generic.get("name", ""), generic.get("name") or "A gate")
    model = (node.get("attached_node") or "").split(".")[-1]
    named = [column for column in columns if isinstance(column, str)]
    others = arguments.get("others_not_null") or ()
    return (
        meaning
        + (f" in {model}" if model else "")
        + (f": {', '.join(named)}" if named else "")
        + (f"; {', '.join(others)}" if others else "")
        + "."
    )


def _totals_relation(
    results: Sequence[Mapping[str, Any]], nodes: Mapping[str, Mapping[str, Any]]
) -> str | None:
    """Find the control totals, if this run has made them."""
    for result in results:
        node = nodes.get(result["unique_id"], {})
        if node.get("name") == _TOTALS and result["status"] == "success":
            return str(node["relation_name"])
    return None


def _read_freshness(path: Path) -> tuple[NodeResult, ...]:
    if not path.exists():
        return ()
    content = _read_json(path)
    checked_at = datetime.fromisoformat(content["metadata"]["generated_at"])
    return tuple(
        NodeResult(
            name=".".join(result["unique_id"].split(".")[-2:]),
            kind="sources",
            state=_STATES[result["status"]],
            seconds=result.get("execution_time", 0.0),
            row_count=None,
            says=f"{result['status']}, {_newest(result)}, "
            f"checked {checked_at:%Y-%m-%d %H:%M} UTC",
        )
        for result in content["results"]
    )


def _newest(result: Mapping[str, Any]) -> str:
    newest = result.get("max_loaded_at")
    if not newest:
        return _plain(result.get("error") or result.get("message") or "no date found")
    days = result["max_loaded_at_time_ago_in_s"] / 86_400
    return f"newest line {newest[:10]}, {days:,.1f} days old"


def _plain(text: str) -> str:
    """Take colours and line breaks out of a text."""
    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", text).split())


def _rows(node: NodeResult) -> str:
    return "" if node.row_count is None else f"{node.row_count:,}"


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _markdown_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |"
        for line in lines
    )
