"""Measure the project by size against two yardsticks, and draw it.

``floor.py`` is a bare DuckDB script, ``notebook.py`` what analysts do in pandas. For
each size all run as whole processes, one after the other, on the same lines:

- ``floor.py`` and ``notebook.py`` (the latter up to 20 copies: it needs the lines in
  memory several times over);
- ``dbt build``: everything from nothing, gates included, unit tests not;
- ``unit tests of dbt build``, which have lines of their own: what a plain ``dbt
  build`` takes more;
- ``dbt build, a day more``: ``--selector daily`` once a day's lines have been added,
  one line in 360;
- ``SQL of the floor's scope``: only the models that do what the floor does, one at a
  time, into a new file as the floor's, without that day; the seconds of their SQL
  statements are added up, as dbt logs them, and held against the floor's by step;
- ``dbt build on Spark``: the same as ``dbt build``, on a cluster of two workers of this
  machine that is up for it alone (up to 20 copies, and where there is Java).

Usage: ``python bench/run.py [LINES.parquet] [--copies 1 20] [--runs 1] [--no-spark]``.
Without a file, the whole Online Retail data set if it is at hand
(``RETAIL_SEGMENTS_REAL_DATA``, or ``../shared/data/online_retail.parquet``), or else
the demo's lines. Writes ``docs/bench.md`` and ``docs/bench.png``. ``TMPDIR`` says
where the temporary files go. Nothing is asserted: seconds are the machine's. ``CPU
s`` is less moved than seconds by what else the machine does.
"""

import argparse
import importlib.util
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import duckdb
import picture
import steps
from retail_segments.spark_session import SparkError, java_program
from rich.console import Console
from tables import lay_out

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
MB = 1024 * 1024
# The kernel reports memory in bytes on a Mac, elsewhere in kilobytes.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024
FLOOR, NOTEBOOK, SPARK = "floor.py", "notebook.py", "dbt build on Spark"
BUILD, UNIT_TESTS = "dbt build", "unit tests of dbt build"
SCOPE, DAILY = "SQL of the floor's scope", "dbt build, a day more"
# In copies. Beyond, the notebook has no room; Spark would take longer than all else.
LARGEST_NOTEBOOK = LARGEST_SPARK = 20
NO_UNIT_TESTS = ["--exclude-resource-type", "unit_test"]
# What the floor computes: lines, returns, orders, RFM, cohorts, months and pairs.
SCOPE_MODELS = [
    "+fct_orders",
    "+fct_customer_rfm",
    "+rpt_cohort_retention",
    "+rpt_sales_monthly",
    "int_baskets_numbered",
    "int_basket_items_kept",
    "int_baskets_itemised",
    "int_basket_products_counted",
    "int_product_pairs_counted",
]

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
            "LANDING_PATH": str(self.landing),
            "SPARK_WAREHOUSE": str(self.folder / "spark"),
            "SCHEMA_PREFIX": "main",
            "PYTHONPATH": str(ROOT / "python"),
            "TMPDIR": str(self.folder),
        }

    @property
    def warehouse(self) -> Path:
        """The warehouse file that dbt builds."""
        return self.folder / "warehouse.duckdb"

    @property
    def landing(self) -> Path:
        """The folder of loaded lines."""
        return self.folder / "landing"

    @property
    def target(self) -> Path:
        """The folder of what dbt parses, compiles and reports."""
        return self.folder / "target"

    @property
    def log(self) -> Path:
        """What dbt logs, an event a line."""
        return self.folder / "logs" / "dbt.log"

    def python(self, script: str, *arguments: str) -> list[str]:
        """Write the command that runs a script of this folder."""
        return [sys.executable, str(BENCH / script), *arguments]

    def dbt(self, *arguments: str) -> list[str]:
        """Write the command that runs dbt on the project."""
        options = ["--project-dir", str(ROOT), "--profiles-dir", str(ROOT)]
        options += ["--target-path", str(self.target)]
        options += ["--log-path", str(self.log.parent), "--no-use-colors"]
        return [sys.executable, "-m", "dbt.cli.main", *arguments, *options]


@dataclass
class Timing:
    """What one process took; `parts` are seconds of what it is made of."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    output: str
    parts: dict[str, float] = field(default_factory=dict)


def measure(command: list[str], env: dict[str, str]) -> Timing:
    """Run a process to its end.

    The peak is that of the largest process among it and its children.
    """
    # What the process before it has left to write is not this one's.
    os.sync()
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


def node_seconds(target: Path) -> dict[str, float]:
    """Read from dbt's report what its models and its gates took, added up."""
    report = json.loads((target / "run_results.json").read_text())
    parts = {"models": 0.0, "gates": 0.0}
    for result in report["results"]:
        kind = result["unique_id"].split(".")[0]
        part = {"model": "models", "test": "gates"}.get(kind)
        if part:
            parts[part] += result["execution_time"]
    return parts


def measure_dbt(workspace: Workspace, *arguments: str) -> Timing:
    """Run dbt, and say what its nodes took."""
    timing = measure(workspace.dbt(*arguments), workspace.env)
    timing.parts = node_seconds(workspace.target)
    return timing


def statement_seconds(log: Path) -> dict[str, float]:
    """Add up from dbt's log, model by model, what their SQL statements took."""
    seconds: dict[str, float] = defaultdict(float)
    for line in log.read_text().splitlines():
        event = json.loads(line)
        if event["info"]["name"] == "SQLQueryStatus":
            node = event["data"].get("node_info", {}).get("unique_id", "")
            if node.startswith("model."):
                seconds[node.split(".")[-1]] += event["data"]["elapsed"]
    return dict(seconds)


def measure_floor(workspace: Workspace, lines: str) -> Timing:
    """Run ``floor.py``, and read what its steps took."""
    timing = measure(workspace.python("floor.py", lines), workspace.env)
    timing.parts = steps.seconds_of_floor(timing.output)
    return timing


def start_anew(workspace: Workspace) -> None:
    """Begin a warehouse with seeds, and with the segments that products are counted by.

    They are what the models of the floor's scope read beside the lines.
    """
    built = workspace.warehouse.rename(workspace.folder / "built.duckdb")
    measure_dbt(workspace, "seed")
    with duckdb.connect(str(workspace.warehouse)) as con:
        con.execute(f"attach '{built}' as built (read_only)")
        con.execute("create schema if not exists marts")
        con.execute(
            "create table marts.dim_customer_segments as "
            "from built.marts.dim_customer_segments"
        )
    built.unlink()


def measure_scope(workspace: Workspace) -> Timing:
    """Run the models of the floor's scope, and count their SQL's seconds alone."""
    start_anew(workspace)
    workspace.log.unlink()
    timing = measure_dbt(
        workspace,
        *["run", "--threads", "1", "--log-format-file", "json"],
        *["-s", *SCOPE_MODELS],
    )
    timing.parts = statement_seconds(workspace.log)
    timing.seconds = sum(timing.parts.values())
    return timing


def missing_for_spark() -> str:
    """Say what there is not that Spark needs; nothing if all is there."""
    if importlib.util.find_spec("pyspark") is None:
        return "PySpark is not installed: make env-spark."
    try:
        java_program()
    except SparkError as error:
        return str(error)
    return ""


def measure_spark(workspace: Workspace) -> Timing:
    """Build everything on Spark; a process between adds up what its cluster takes."""
    build = workspace.dbt("build", "--target", "spark", *NO_UNIT_TESTS)
    cluster = str(workspace.folder / "cluster")
    timing = measure(workspace.python("on_spark.py", cluster, *build), workspace.env)
    timing.seconds = json.loads(last_line(timing))["seconds"]
    timing.parts = node_seconds(workspace.target)
    return timing


def measure_size(workspace: Workspace, lines: str, copies: int, spark: bool) -> dict:
    """Run everything once on the lines of one size."""
    timings = {}

    def note(name: str, timing: Timing) -> None:
        progress.print(f"  {name}: {timing.seconds:.1f} s, {timing.peak_mb:,.0f} MB")
        timings[name] = timing

    note(FLOOR, measure_floor(workspace, lines))
    if copies <= LARGEST_NOTEBOOK:
        note(NOTEBOOK, measure(workspace.python("notebook.py", lines), workspace.env))
    workspace.warehouse.unlink(missing_ok=True)
    note(BUILD, measure_dbt(workspace, "build", *NO_UNIT_TESTS))
    built = figures_of_duckdb(workspace)
    check_figures(built, timings)
    note(UNIT_TESTS, measure_dbt(workspace, "test", "-s", "test_type:unit"))
    measure(
        workspace.python("prepare.py", "day", str(workspace.landing)), workspace.env
    )
    note(DAILY, measure_dbt(workspace, "build", "--selector", "daily"))
    (workspace.landing / "lines-day.parquet").unlink()
    note(SCOPE, measure_scope(workspace))
    if spark and copies <= LARGEST_SPARK:
        note(SPARK, measure_spark(workspace))
        figures = figures_of_spark(workspace)
        if figures != built:
            sys.exit(f"NOT the same work: dbt {built}, Spark {figures}")
    return timings


def figures_of_duckdb(workspace: Workspace) -> list[float]:
    """Read the figures that the yardsticks print from the marts."""
    with duckdb.connect(str(workspace.warehouse), read_only=True) as con:
        return round_figures(con.sql(FIGURES).fetchall()[0])


def figures_of_spark(workspace: Workspace) -> list[float]:
    """Read the same figures from the files that Spark wrote."""
    with duckdb.connect() as con:
        con.execute("create schema marts")
        for table in ("fct_orders", "fct_return_allocations", "dim_customer_segments"):
            files = workspace.folder / "spark" / "marts.db" / table / "*.parquet"
            con.execute(f"create view marts.{table} as from '{files}'")
        return round_figures(con.sql(FIGURES).fetchall()[0])


def round_figures(figures: Iterable[float | None]) -> list[float]:
    """Round to two decimals; nothing counts as 0."""
    return [round(float(value or 0), 2) for value in figures]


def check_figures(built: list[float], timings: dict[str, Timing]) -> None:
    """Stop unless all have done the same work.

    The yardsticks print the figures of `FIGURES` first. What they go on with, cohorts,
    months and pairs, is held against each other: the marts know more of these, and
    count pairs net of returns.
    """
    printed = {
        name: round_figures(json.loads(last_line(timings[name])))
        for name in (FLOOR, NOTEBOOK)
        if name in timings
    }
    for name, theirs in printed.items():
        if built != theirs[: len(built)]:
            sys.exit(f"NOT the same work: dbt {built}, {name} {theirs}")
    if printed.get(NOTEBOOK, printed[FLOOR]) != printed[FLOOR]:
        sys.exit(f"NOT the same work: {printed}")


def middle(timings: list[Timing]) -> Timing:
    """Take the median of several runs, figure by figure."""
    return Timing(
        median(timing.seconds for timing in timings),
        median(timing.cpu_seconds for timing in timings),
        median(timing.peak_mb for timing in timings),
        "",
        {
            part: median(timing.parts[part] for timing in timings)
            for part in timings[0].parts
        },
    )


def describe_machine() -> str:
    """Say what it ran on, and how busy that was."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GB, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}, DuckDB "
        f"{duckdb.__version__}, memory limit of dbt "
        f"{os.environ.get('DUCKDB_MEMORY_LIMIT', '80%')}, load at the start "
        f"{os.getloadavg()[0]:.1f}"
    )


def growth(sizes: dict[int, dict[str, Timing]], name: str) -> float | None:
    """Fit the exponent b of seconds = a * lines ** b, by least squares of the logs."""
    points = [
        (math.log(lines), math.log(timings[name].seconds))
        for lines, timings in sizes.items()
        if name in timings
    ]
    if len(points) < 2:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    across = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return across / sum((x - mean_x) ** 2 for x, _ in points)


def share(timings: dict[str, Timing], measure: str, *more: str) -> float:
    """Divide what a day more takes by what a build, and `more` with it, takes."""
    whole = sum(getattr(timings[name], measure) for name in (BUILD, *more))
    return getattr(timings[DAILY], measure) / whole


def to_markdown(sizes: dict[int, dict[str, Timing]], machine: str, runs: int) -> str:
    """Lay everything out as a table for docs/bench.md."""
    rows = [("lines", "process", "seconds", "x floor", "CPU s", "peak MB", "gates s")]
    for lines, timings in sizes.items():
        for name, timing in timings.items():
            gates = timing.parts.get("gates")
            rows.append(
                (
                    f"{lines:,}",
                    name,
                    f"{timing.seconds:.1f}",
                    f"{timing.seconds / timings[FLOOR].seconds:.1f}",
                    f"{timing.cpu_seconds:.1f}",
                    f"{timing.peak_mb:,.0f}",
                    f"{gates:.1f}" if gates else "",
                )
            )
    table = lay_out(rows, left=1)
    exponents = [
        f"{name} {exponent:.2f}"
        for name in (FLOOR, BUILD, SCOPE, DAILY, SPARK)
        if (exponent := growth(sizes, name)) is not None
    ]
    grown = f"Seconds grow with lines to the power of: {', '.join(exponents)}.\n\n"
    shares = [
        f"- {lines:,} lines: {share(timings, 'seconds'):.0%} of the seconds, "
        f"{share(timings, 'cpu_seconds'):.0%} of the CPU seconds; "
        f"{share(timings, 'seconds', UNIT_TESTS):.0%} of the seconds of a build with "
        "unit tests"
        for lines, timings in sizes.items()
    ]
    return (
        f"# Time and memory by size\n\nWritten by `make bench`: {machine}; "
        f"{'one run' if runs == 1 else f'medians of {runs} runs'}.\n\n{table}\n\n"
        + (grown if exponents else "")
        + "A day more takes of a build:\n\n"
        + "\n".join(shares)
        + "\n\n"
        + compare_steps(sizes)
        + "`SQL of the floor's scope` adds up the seconds of SQL statements, as dbt "
        "logs them, so\nthat dbt's own are not in it; `gates s` are seconds of data "
        "tests, added up, of which\ntwo run at a time, on Spark three. Peaks are the "
        "operating system's, of the largest\nprocess. Spark's cluster is of this "
        "machine too: a master, and two workers of one\ncore and 4 GB each, all of "
        "whose CPU seconds count.\n\n"
        "![Seconds and memory by number of lines](bench.png)\n"
    )


def compare_steps(sizes: dict[int, dict[str, Timing]]) -> str:
    """Say step by step where the seconds of the floor's scope go."""
    table = steps.to_markdown(
        {
            lines: steps.compare(timings[FLOOR].parts, timings[SCOPE].parts)
            for lines, timings in sizes.items()
        }
    )
    return (
        "Seconds of the floor's steps, and of the SQL of the models that do the same "
        "and more:\n\n" + table + "\n\n"
        "The floor keeps no texts of lines that are set aside, no file and row that a\n"
        "line came from, knows RFM of one day in place of every month end as it was\n"
        "known then, and computes nothing of the rows in which it has no seconds:\n"
        "products and days of customers are measures of the RFM mart (different\n"
        "products, return rate), fingerprints are what daily builds compare.\n\n"
    )


def draw(sizes: dict[int, dict[str, Timing]]) -> None:
    """Draw seconds and memory by number of lines."""
    seconds_and_memory = {
        lines: {
            name: (timing.seconds, timing.peak_mb)
            for name, timing in timings.items()
            if name != UNIT_TESTS
        }
        for lines, timings in sizes.items()
    }
    picture.draw(seconds_and_memory, ROOT / "docs" / "bench.png")


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lines", type=Path, nargs="?", help="Parquet, Online Retail")
    parser.add_argument("--runs", type=int, default=1, help="runs per size (1)")
    parser.add_argument(
        "--copies", type=int, nargs="+", default=[1, 20], help="sizes (1 20)"
    )
    parser.add_argument("--no-spark", action="store_true", help="leave Spark out")
    arguments = parser.parse_args()
    if min(arguments.runs, *arguments.copies) < 1:
        parser.error("--runs and --copies are 1 or more")
    arguments.lines = arguments.lines or real_data()
    if arguments.lines and not arguments.lines.is_file():
        parser.error(f"{arguments.lines} is not a file")
    return arguments


def main() -> None:
    """Prepare the lines of each size, measure, write the table and the picture."""
    arguments = parse_arguments()
    machine = describe_machine()
    missing = missing_for_spark()
    if missing and not arguments.no_spark:
        progress.print(f"Spark is left out. {missing}")
    spark = not missing and not arguments.no_spark
    sizes: dict[int, dict[str, Timing]] = {}
    for copies in sorted(arguments.copies):
        runs: list[dict[str, Timing]] = []
        for _ in range(arguments.runs):
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                workspace = Workspace(Path(folder))
                source = [str(arguments.lines.resolve())] if arguments.lines else []
                prepare = workspace.python("prepare.py", folder, str(copies), *source)
                facts = json.loads(last_line(measure(prepare, workspace.env)))
                progress.print(f"{facts['line_count']:,} lines")
                runs.append(measure_size(workspace, facts["lines"], copies, spark))
        sizes[facts["line_count"]] = {
            name: middle([run[name] for run in runs]) for name in runs[0]
        }
        # After each size, so that nothing is lost where a larger one fails.
        text = to_markdown(sizes, machine, arguments.runs)
        (ROOT / "docs" / "bench.md").write_text(text)
        draw(sizes)
    print(text)


if __name__ == "__main__":
    main()
