"""Run `dbt build` with a progress bar, and show what came of it."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from retail_segments.errors import ExitCode, SpokenError
from retail_segments.locks import IN_USE, is_in_use, say_in_use
from retail_segments.publishing import published_path

if TYPE_CHECKING:
    from dbt_common.events.base_types import EventMsg


class BuildError(SpokenError):
    """A build that cannot start; the message says why."""

    exit_code = ExitCode.UNUSABLE


class GateError(SpokenError):
    """A build of which a gate or a model failed."""


class WarehouseBusyError(SpokenError):
    """A warehouse that another process writes to, or reads."""

    exit_code = ExitCode.BUSY


def warehouse_path() -> Path:
    """Return the DuckDB file that the project builds.

    Returns
    -------
    Path
        ``DUCKDB_PATH``, or ``warehouse/retail_segments.duckdb`` below the current
        folder.
    """
    return Path(os.environ.get("DUCKDB_PATH") or "warehouse/retail_segments.duckdb")


def marts_schema() -> str:
    """Return the schema that the marts are in.

    Returns
    -------
    str
        ``marts``, after ``SCHEMA_PREFIX`` and an underscore where that is set.
    """
    return f"{_prefix()}marts"


def _prefix() -> str:
    named = os.environ.get("SCHEMA_PREFIX", "main")
    return "" if named in {"main", "default"} else f"{named}_"


def last_good_build() -> Path:
    """Find the last build that passed every gate.

    Returns
    -------
    Path
        The published copy of the warehouse. The warehouse itself where builds do not
        publish, as under a developer's ``SCHEMA_PREFIX``.

    Raises
    ------
    BuildError
        If no build has passed every gate yet.
    WarehouseBusyError
        If there is no published copy, and a build is writing to the warehouse.
    """
    warehouse = warehouse_path()
    published = published_path(warehouse)
    if _prefix():
        return warehouse
    if published.exists():
        return published
    with read_warehouse(warehouse) as connection:
        try:
            open_count = len(connection.table("audit.unproven").fetchall())
        except duckdb.CatalogException:
            open_count = 0
    if open_count:
        raise BuildError(
            f"No build of {warehouse} has passed every gate yet: {open_count} of its "
            "models and gates are open. `retail-segments results` says what failed; "
            "`make build` runs all of them."
        )
    return warehouse


@contextmanager
def read_warehouse(warehouse: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse to read what the last build left in it.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file.

    Yields
    ------
    DuckDBPyConnection
        Read-only, closed in the end.

    Raises
    ------
    BuildError
        If there is no warehouse yet.
    WarehouseBusyError
        If a build is writing to it.
    """
    if not warehouse.exists():
        raise BuildError(
            f"There is no warehouse at {warehouse}. Run `make build` first."
        )
    try:
        connection = duckdb.connect(str(warehouse), read_only=True)
    except duckdb.IOException as error:
        if not is_in_use(error):
            raise
        raise WarehouseBusyError(say_in_use(str(warehouse), error)) from error
    with connection:
        yield connection


def check_vars(text: str) -> dict[str, Any]:
    """Read dbt vars as they are given on the command line.

    Parameters
    ----------
    text : str
        A YAML mapping such as ``{cluster_count: 5}``; empty for none.

    Returns
    -------
    dict
        The vars.

    Raises
    ------
    BuildError
        If the text is no YAML mapping. What a var may hold is checked by dbt.

    Examples
    --------
    >>> check_vars("{cluster_count: 5}")
    {'cluster_count': 5}
    """
    try:
        values = yaml.safe_load(text) if text.strip() else {}
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise BuildError(
            f"The vars {text!r} cannot be read as YAML: {reason}. "
            "Give a mapping such as '{cluster_count: 5, as_of_date: 2011-09-09}'."
        ) from error
    if not isinstance(values, dict):
        raise BuildError(
            f"The vars {text!r} are no mapping. "
            "Give one such as '{cluster_count: 5, as_of_date: 2011-09-09}'."
        )
    return values


def check_project() -> None:
    """Check that the current folder is the project's.

    Raises
    ------
    BuildError
        If it holds no dbt project.
    """
    if not Path("dbt_project.yml").exists():
        raise BuildError(
            f"{Path.cwd()} holds no dbt_project.yml. Run this in the project's folder."
        )


def build_project(dbt_vars: str, console: Console) -> None:
    """Run `dbt build` in the current folder.

    Parameters
    ----------
    dbt_vars : str
        Vars as a YAML mapping; empty for none.
    console : Console
        Where the progress bar is drawn.

    Raises
    ------
    BuildError
        If the build could not begin, such as for a var that cannot be used, or a folder
        that may not be written to.
    WarehouseBusyError
        If another process has the warehouse.
    GateError
        If a model or a gate failed.
    """
    # Importing dbt takes a second, which no other command has to wait for.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager
    from dbt.cli.main import dbtRunner

    # Unit tests try the code on made-up rows; `make test` runs them.
    # The log file holds what went wrong; each statement in it would take a tenth of the
    # build's time, and `dbt build` writes those.
    arguments = ["--quiet", "--warn-error", "--log-level-file", "info", "build"]
    arguments += ["--exclude-resource-type", "unit_test"]
    if check_vars(dbt_vars):
        arguments += ["--vars", dbt_vars]
    _check_folder("DBT_LOG_PATH", "logs")
    _check_folder("DBT_TARGET_PATH", "target")

    # Where a full disk takes no more log, the build goes on as long as it can.
    logging.raiseExceptions = False

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    hidden = not console.is_terminal
    with Progress(
        *columns, console=console, transient=True, disable=hidden
    ) as progress:
        task = progress.add_task("Building", total=None)

        def advance(event: "EventMsg") -> None:
            # Every node that starts says how many there are.
            total = getattr(event.data, "total", 0)
            if event.info.name in {"LogStartLine", "LogHookStartLine"} and total:
                progress.update(task, total=total)
            if event.info.name == "NodeFinished":
                progress.advance(task)

        result = dbtRunner(callbacks=[advance]).invoke(arguments)
        # Or the file stays open for writing, and nobody could read it.
        DuckDBConnectionManager.close_all_connections()  # type: ignore[no-untyped-call]

    if result.exception is not None:
        if IN_USE in str(result.exception):
            raise WarehouseBusyError("The build did not begin, as is said above.")
        raise BuildError(
            "The build failed; what is wrong is said above, and in full in "
            "logs/dbt.log. " + _say_what_readers_have()
        )
    if not result.success:
        for gate in _failed_gates(result.result):
            console.print(gate, markup=False, highlight=False)
        raise GateError(
            "The build failed; what is wrong is said above, and in full in "
            "logs/dbt.log. " + _say_what_readers_have()
        )


def _check_folder(variable: str, default: str) -> None:
    """Check that dbt may write to a folder, or it would end with a traceback."""
    folder = Path(os.environ.get(variable) or default).absolute()
    there = next(place for place in (folder, *folder.parents) if place.exists())
    if not os.access(there, os.W_OK):
        raise BuildError(
            f"dbt wants to write to {folder}, and {there} may not be written to. Set "
            f"{variable} to a folder that may. {_say_what_readers_have()}"
        )


def _say_what_readers_have() -> str:
    published = published_path(warehouse_path())
    if _prefix():
        return "Under a SCHEMA_PREFIX nothing is published."
    if not published.exists():
        return "Nothing is published: no build has passed every gate yet."
    return f"Readers of {published} keep the build before."


def _failed_gates(results: object) -> list[str]:
    """Say of every gate that failed what should have held."""
    failed = [
        result.node
        for result in getattr(results, "results", [])
        if result.status == "fail" and result.node.description
    ]
    return [
        f"Gate {node.name}: {' '.join(node.description.split())}" for node in failed
    ]
