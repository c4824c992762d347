"""Measure the project against two yardsticks that do the same work.

``floor.py`` is a bare DuckDB script, ``notebook.py`` what analysts do in pandas. All
run as whole processes, in turn (A B C A B C ...), so that a busy minute of the machine
strikes them alike; ratios are taken within a turn. Before the first turn each has run
once unmeasured: compiled Python, the file cache and dbt's parse are warm.

Usage: ``python bench/run.py [LINES.parquet] [--runs 3] [--copies 1]``. Without a file,
the whole Online Retail data set if it is at hand (``RETAIL_SEGMENTS_REAL_DATA``, or
``../shared/data/online_retail.parquet``), or else the demo's lines. ``TMPDIR`` says
where the temporary files go. Nothing is asserted: seconds are the machine's.

Reading the table: ``x floor`` is how many times as long as the floor. ``CPU s`` is less
moved than seconds by what else the machine does. ``first to last node`` leaves out
dbt's own start. ``models, summed`` adds up what each model took; they run several at a
time, so that the sum may exceed the seconds on the clock.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import duckdb
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
MB = 1024 * 1024
# The kernel reports memory in bytes on a Mac, elsewhere in kilobytes.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
FLOOR, NOTEBOOK, RUN, BUILD = "floor.py", "notebook.py", "dbt run", "dbt build"
GATES = {"test", "unit_test"}

FIGURES = """
    select
        (select count(*) from marts.fct_orders),
        (
            select sum(allocated_quantity) from marts.fct_return_allocations
            where purchase_line_id is not null
        ),
        count(cluster_id),
        sum(monetary_value) filter (cluster_id is not null)
    from marts.dim_customer_segments"""

progress = Console(stderr=True)


@dataclass
class Workspace:
    """Where a benchmark's files are, and how its processes are started."""

    folder: Path
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        """Point every process at the folder, away from the user's own warehouse."""
        self.env = os.environ | {
            "DUCKDB_PATH": str(self.warehouse),
            "LANDING_PATH": str(self.folder / "landing"),
            "SCHEMA_PREFIX": "main",
            "PYTHONPATH": str(ROOT / "python"),
            # Compiled Python is kept for the length of the benchmark, wherever the
            # environment allows none.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self.folder / "pycache"),
            "TMPDIR": str(self.folder),
        }

    @property
    def warehouse(self) -> Path:
        """The warehouse file that dbt builds."""
        return self.folder / "warehouse.duckdb"

    @property
    def target(self) -> Path:
        """The folder of what dbt parses, compiles and reports."""
        return self.folder / "target"

    def python(self, script: str, *arguments: str) -> list[str]:
        """Write the command that runs a script of this folder."""
        return [sys.executable, str(BENCH / script), *arguments]

    def dbt(self, command: str) -> list[str]:
        """Write the command that runs dbt on the project."""
        options = ["--project-dir", str(ROOT), "--profiles-dir", str(ROOT)]
        options += ["--target-path", str(self.target)]
        options += ["--log-path", str(self.folder / "logs"), "--no-use-colors"]
        return [sys.executable, "-m", "dbt.cli.main", command, *options]


@dataclass
class Timing:
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str


@dataclass
class Row:
    """One line of the table: seconds per turn, and more of whole processes."""

    seconds: list[float] = field(default_factory=list)
    processes: list[Timing] = field(default_factory=list)

    def ratio(self, other: "Row") -> float:
        """Compare with another line, turn by turn."""
        return median(
            mine / theirs
            for mine, theirs in zip(self.seconds, other.seconds, strict=True)
        )


def measure(command: list[str], env: dict[str, str]) -> Timing:
    """Run a process to its end.

    The peak is that of the largest process among it and its children.
    """
    with tempfile.TemporaryFile("w+") as output:
        since = time.perf_counter()
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=output, stderr=subprocess.STDOUT
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - since
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{text[-4000:]}")
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return Timing(seconds, cpu_seconds, usage.ru_maxrss * RSS_UNIT / MB, text)


def last_line(timing: Timing) -> str:
    """Take the last line that a process printed."""
    return timing.output.strip().splitlines()[-1]


def real_data() -> Path | None:
    """Find the whole Online Retail data set."""
    named = os.environ.get("RETAIL_SEGMENTS_REAL_DATA")
    if named:
        return Path(named)
    beside = ROOT.parent / "shared" / "data" / "online_retail.parquet"
    return beside if beside.exists() else None


def commands(workspace: Workspace, lines: str) -> dict[str, list[str]]:
    """List what is measured, in the order of a turn."""
    return {
        FLOOR: workspace.python("floor.py", lines),
        NOTEBOOK: workspace.python("notebook.py", lines),
        RUN: workspace.dbt("run"),
        BUILD: workspace.dbt("build"),
    }


def warm_up(workspace: Workspace, tasks: dict[str, list[str]]) -> dict[str, list]:
    """Run everything once and gather the figures, which should be the same."""
    figures = {}
    for name in (FLOOR, NOTEBOOK):
        progress.print(f"warming up {name}")
        figures[name] = json.loads(last_line(measure(tasks[name], workspace.env)))
    # The build comes first: it makes the reference tables that a run reads.
    progress.print(f"warming up {BUILD}")
    measure(tasks[BUILD], workspace.env)
    with duckdb.connect(str(workspace.warehouse), read_only=True) as con:
        figures["dbt"] = [float(value or 0) for value in con.sql(FIGURES).fetchall()[0]]
    return figures


def node_seconds(target: Path) -> dict[str, float]:
    """Read from dbt's report what its nodes took, apart from dbt's own start."""
    report = json.loads((target / "run_results.json").read_text())
    parts = {"first to last node": report["elapsed_time"]}
    parts |= {"models, summed": 0.0, "gates, summed": 0.0}
    for result in report["results"]:
        kind = result["unique_id"].split(".")[0]
        if kind == "model":
            parts["models, summed"] += result["execution_time"]
        elif kind in GATES:
            parts["gates, summed"] += result["execution_time"]
    return {name: seconds for name, seconds in parts.items() if seconds}


def measure_turns(
    workspace: Workspace, tasks: dict[str, list[str]], runs: int
) -> dict[str, Row]:
    """Measure everything in turn, as often as asked."""
    rows: dict[str, Row] = defaultdict(Row)
    for run in range(1, runs + 1):
        for name, command in tasks.items():
            timing = measure(command, workspace.env)
            progress.print(f"turn {run} of {runs}: {name} {timing.seconds:.2f} s")
            rows[name].seconds.append(timing.seconds)
            rows[name].processes.append(timing)
            if name in (RUN, BUILD):
                for part, seconds in node_seconds(workspace.target).items():
                    rows[f"{name}: {part}"].seconds.append(seconds)
    return rows


def whole_process(timings: list[Timing]) -> tuple[str, ...]:
    """Write the cells that only a whole process has."""
    if not timings:
        return ()
    cpu_seconds = median(timing.cpu_seconds for timing in timings)
    peak_mb = median(timing.peak_mb for timing in timings)
    return f"{cpu_seconds:.2f}", f"{peak_mb:,.0f}"


def to_table(rows: dict[str, Row]) -> Table:
    """Lay the medians out."""
    table = Table(box=None, pad_edge=False)
    table.add_column("process")
    for heading in ("seconds", "x floor", "x notebook", "CPU s", "peak MB"):
        table.add_column(heading, justify="right")
    for name, row in rows.items():
        table.add_row(
            name.replace(f"{RUN}: ", "  ").replace(f"{BUILD}: ", "  "),
            f"{median(row.seconds):.2f}",
            f"{row.ratio(rows[FLOOR]):.2f}",
            f"{row.ratio(rows[NOTEBOOK]):.2f}",
            *whole_process(row.processes),
        )
    return table


def describe_figures(figures: dict[str, list]) -> str:
    """Say whether all did the same work."""
    sentences = {
        name: f"{orders:,.0f} orders, {units:,.0f} units returned, "
        f"{customers:,.0f} customers worth {amount:,.2f}"
        for name, (orders, units, customers, amount) in figures.items()
    }
    if len(set(sentences.values())) == 1:
        return f"Same work: all find {sentences[FLOOR]}."
    differing = "\n".join(f"  {name}: {found}" for name, found in sentences.items())
    return f"NOT the same work:\n{differing}"


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lines", type=Path, nargs="?", help="Parquet, Online Retail")
    parser.add_argument("--runs", type=int, default=3, help="turns (3)")
    parser.add_argument("--copies", type=int, default=1, help="scale the lines up (1)")
    arguments = parser.parse_args()
    if min(arguments.runs, arguments.copies) < 1:
        parser.error("--runs and --copies are 1 or more")
    arguments.lines = arguments.lines or real_data()
    if arguments.lines and not arguments.lines.is_file():
        parser.error(f"{arguments.lines} is not a file")
    return arguments


def main() -> None:
    """Prepare the lines, measure, print."""
    arguments = parse_arguments()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        workspace = Workspace(Path(folder))
        source = [str(arguments.lines.resolve())] if arguments.lines else []
        progress.print(f"preparing {source[0] if source else 'the demo'}")
        prepare = workspace.python("prepare.py", folder, str(arguments.copies), *source)
        facts = json.loads(last_line(measure(prepare, workspace.env)))
        tasks = commands(workspace, facts["lines"])
        figures = warm_up(workspace, tasks)
        rows = measure_turns(workspace, tasks, arguments.runs)
    Console().print(to_table(rows))
    print(f"\nMedians of {arguments.runs}. Cores: {os.cpu_count()}, load {load:.1f}.")
    print(f"Lines: {facts['line_count']:,}, loaded in {facts['seconds']:.1f} s.")
    print(describe_figures(figures))


if __name__ == "__main__":
    main()
