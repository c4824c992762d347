"""Two ways to run the models: dbt into a warehouse of its own, or their SQL in memory.

Warehouses, landing files and what dbt writes for itself lie below pytest's temporary
folder, so that a user's own stay as they were.
"""

import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hostile_lines import hostile_lines
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from retail_segments.demo import write_demo
from retail_segments.load import load_files

PROJECT = Path(__file__).parents[2]

# The same examples each time: a run that fails can be run again.
settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("repeatable")

Row = Mapping[str, Any]


def lists_of(rows: st.SearchStrategy[Any], *, max_size: int) -> st.SearchStrategy[Any]:
    """Draw lists, most of them long: of themselves they would have five items or so."""
    long = st.lists(rows, min_size=max_size // 2, max_size=max_size)
    return st.one_of(st.lists(rows, max_size=4), long, long)


LANDING = pa.schema(
    [
        ("invoice_no", pa.string()),
        ("stock_code", pa.string()),
        ("description", pa.string()),
        ("quantity", pa.int64()),
        ("invoice_date", pa.timestamp("us")),
        ("unit_price", pa.decimal128(18, 4)),
        ("customer_id", pa.string()),
        ("country", pa.string()),
        ("currency", pa.string()),
        ("store", pa.string()),
        ("raw_quantity", pa.string()),
        ("raw_invoice_date", pa.string()),
        ("raw_unit_price", pa.string()),
        ("raw_line", pa.string()),
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("source_hash", pa.string()),
    ]
)
REAL_DATA = Path(
    os.environ.get("RETAIL_SEGMENTS_REAL_DATA")
    or PROJECT.parent / "shared" / "data" / "online_retail.parquet"
)
REAL_DATA_IS_ABSENT = (
    f"the real data set is not at {REAL_DATA}; RETAIL_SEGMENTS_REAL_DATA may name it"
)
LAYERS = ("landing", "reference", "staging", "intermediate", "ml", "marts")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs the real data set where it is absent, in one line per file."""
    if REAL_DATA.exists():
        return
    absent = pytest.mark.skip(reason=REAL_DATA_IS_ABSENT)
    for item in items:
        if "real_file" in getattr(item, "fixturenames", ()):
            item.add_marker(absent)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the figures that tests recorded; workers cannot print them themselves.

    What several tests count by one name is added up.
    """
    counts: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.getreports(outcome):
            for name, value in report.user_properties:
                if isinstance(value, int):
                    counts[name] += value
                else:
                    terminalreporter.write_line(f"{name}: {value:.3f}")
    for name, count in counts.items():
        terminalreporter.write_line(f"{name}: {count:,}")


def run_dbt(
    arguments: Sequence[str],
    *,
    folder: Path,
    landing: Path,
    warehouse: Path | None = None,
    variables: Row | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run dbt in a process of its own, with all that it writes below `folder`."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DBT_") and name != "SCHEMA_PREFIX"
    }
    places = {
        "DUCKDB_PATH": str(warehouse or folder / "warehouse.duckdb"),
        "LANDING_PATH": str(landing),
    }
    command = [str(Path(sys.executable).with_name("dbt")), *arguments]
    command += [
        "--quiet",
        "--no-use-colors",
        "--vars",
        json.dumps(dict(variables or {})),
    ]
    command += ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    command += ["--target-path", str(folder / "target")]
    command += ["--log-path", str(folder / "logs")]
    return subprocess.run(
        command,
        cwd=PROJECT,
        env={**inherited, **places, **(environment or {})},
        capture_output=True,
        text=True,
        check=False,
    )


def landing_table(
    rows: Iterable[Row], *, source_file: str = "lines.csv", source_hash: str = "0"
) -> pa.Table:
    """Lay rows out as a landing file does; columns that a row leaves out are null."""
    complete = [
        {
            "source_file": source_file,
            "source_row": number,
            "source_hash": source_hash,
            **row,
        }
        for number, row in enumerate(rows, start=2)
    ]
    return pa.Table.from_pylist(complete, schema=LANDING)


def write_landing(folder: Path, rows: Iterable[Row]) -> Path:
    """Write rows as the one file of a landing folder."""
    folder.mkdir(parents=True)
    pq.write_table(landing_table(rows), folder / "lines-0.parquet")
    return folder


def fetch_rows(
    connection: duckdb.DuckDBPyConnection, query: str
) -> list[dict[str, Any]]:
    """Fetch rows as dicts, with decimals as decimals, unlike a data frame."""
    cursor = connection.execute(query)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


class Warehouse:
    """A finished warehouse file, read only."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection = duckdb.connect(str(path), read_only=True)

    def rows(self, query: str) -> list[dict[str, Any]]:
        return fetch_rows(self._connection, query)

    def values(self, query: str) -> list[Any]:
        """Fetch the first column."""
        return [row[0] for row in self._connection.execute(query).fetchall()]

    def value(self, query: str) -> Any:
        [value] = self.values(query)
        return value

    def arrow(self, query: str) -> pa.Table:
        """Fetch everything to the last bit, floating-point numbers included."""
        return self._connection.sql(query).to_arrow_table()

    def tables(self, schema: str) -> list[str]:
        return self.values(
            "select table_name from information_schema.tables "
            f"where table_schema = '{schema}' order by table_name"
        )


class Models:
    """The SQL that dbt compiled, run on rows in memory.

    What a model reads is built before it. Tables that `given` holds are taken as they
    are instead of being built.
    """

    def __init__(self, manifest: Path, landing: Path) -> None:
        nodes = json.loads(manifest.read_text(encoding="utf-8"))["nodes"]
        self._nodes = {
            node["name"]: node
            for node in nodes.values()
            if node["resource_type"] in ("model", "seed")
        }
        self._names = {key: node["name"] for key, node in nodes.items()}
        files = re.escape(f"'{landing}/*.parquet'")
        self._source = re.compile(rf"read_parquet\({files}[^()]*\)")
        self._catalog = next(iter(self._nodes.values()))["database"]
        self._connection = duckdb.connect(":memory:", config={"threads": 1})
        self._connection.execute(f"attach ':memory:' as \"{self._catalog}\"")
        self._connection.execute(f'use "{self._catalog}"')
        for layer in LAYERS:
            self._connection.execute(f"create schema {layer}")
        for node in self._nodes.values():
            if node["resource_type"] == "seed":
                self._load_seed(node)

    def run(
        self,
        model: str,
        rows: Iterable[Row] | pa.Table = (),
        *,
        given: Mapping[str, pa.Table] | None = None,
    ) -> list[dict[str, Any]]:
        """Build a model and what it reads, and fetch its rows."""
        return self.run_all([model], rows, given=given)[model]

    def run_all(
        self,
        models: Sequence[str],
        rows: Iterable[Row] | pa.Table = (),
        *,
        given: Mapping[str, pa.Table] | None = None,
    ) -> dict[str, list[dict[str, Any]]]:
        """Build models and what they read, and fetch their rows."""
        table = rows if isinstance(rows, pa.Table) else landing_table(rows)
        self._replace("landing.lines", "select * from given", table)
        done: set[str] = set()
        for name, rows_given in (given or {}).items():
            relation = self._nodes[name]["relation_name"]
            self._replace(relation, "select * from given", rows_given)
            done.add(name)
        for model in models:
            self._build(model, done)
        return {
            model: fetch_rows(
                self._connection, f"select * from {self._nodes[model]['relation_name']}"
            )
            for model in models
        }

    def arrow(self, model: str) -> pa.Table:
        """Fetch the rows of a model that was built, with their types."""
        relation = self._nodes[model]["relation_name"]
        return self._connection.sql(f"select * from {relation}").to_arrow_table()

    def _build(self, name: str, done: set[str]) -> None:
        node = self._nodes[name]
        if name in done or node["resource_type"] == "seed":
            return
        for parent in node["depends_on"]["nodes"]:
            if parent in self._names:
                self._build(self._names[parent], done)
        query = self._of_given_lines(node["compiled_code"])
        self._replace(node["relation_name"], query)
        done.add(name)

    def _of_given_lines(self, query: str) -> str:
        """Have a query read the lines in memory in place of the landing folder."""
        return self._source.sub("landing.lines", query)

    def _replace(
        self, relation: str, query: str, given: pa.Table | None = None
    ) -> None:
        if given is not None:
            self._connection.register("given", given)
        self._connection.execute(f"create or replace table {relation} as {query}")

    def _load_seed(self, node: Row) -> None:
        path = PROJECT / node["original_file_path"]
        types = node["config"].get("column_types") or {}
        columns = ", ".join(
            f"cast({column} as {types.get(column, 'varchar')}) as {column}"
            for column in next(csv.reader([path.read_text().splitlines()[0]]))
        )
        self._replace(
            node["relation_name"],
            f"select {columns} "
            f"from read_csv('{path}', header = true, all_varchar = true)",
        )


def shared_folder(factory: pytest.TempPathFactory) -> Path:
    """Name a temporary folder that parallel workers have in common."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


def make_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """Let the first of several workers fill a folder, and have the others wait."""
    done, failed = folder / ".done", folder / ".failed"
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        while not done.exists() and not failed.exists():
            time.sleep(0.2)
        assert not failed.exists(), failed.read_text()
        return folder
    try:
        make(folder)
    except BaseException as error:
        failed.write_text(str(error))
        raise
    done.touch()
    return folder


@pytest.fixture(scope="session")
def build_warehouse(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Warehouse]:
    """Build with dbt, once per landing folder and vars: everything, or some marts.

    Marts are named where no gates run: they and what they read are built.
    Gates run unless they have passed on the same lines already, and unit tests, which
    need no lines, in test_warehouse_source alone.
    """
    shared = shared_folder(tmp_path_factory)
    opened: dict[str, Warehouse] = {}

    def build(
        landing: Path,
        *,
        marts: Sequence[str] = (),
        with_gates: bool = True,
        **variables: Any,
    ) -> Warehouse:
        settings_text = json.dumps([variables, *marts], sort_keys=True)
        key = f"{landing.parent.name}-{landing.name}-{settings_text}"
        left_out = ["unit_test"] if with_gates else ["unit_test", "test"]
        chosen = ["--select", *(f"+{mart}" for mart in marts)] if marts else []
        # Many vars would make a name that is too long for a folder.
        digest = hashlib.sha256(key.encode()).hexdigest()[:12]
        name = "".join(c if c.isalnum() else "-" for c in key)[:120] + digest

        def make(folder: Path) -> None:
            result = run_dbt(
                [
                    "build",
                    "--warn-error",
                    "--exclude-resource-types",
                    *left_out,
                    *chosen,
                ],
                folder=folder,
                landing=landing,
                variables=variables,
            )
            assert result.returncode == 0, result.stdout + result.stderr

        if key not in opened:
            folder = make_once(shared / f"built-{name}", make)
            opened[key] = Warehouse(folder / "warehouse.duckdb")
        return opened[key]

    return build


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Models]:
    """Compile the project, once per vars."""
    shared = shared_folder(tmp_path_factory)
    compiled: dict[str, Models] = {}

    def compile_models(**variables: Any) -> Models:
        key = json.dumps(variables, sort_keys=True)
        name = "".join(c if c.isalnum() else "-" for c in key)
        landing = shared / "no-landing"

        def make(folder: Path) -> None:
            result = run_dbt(
                [
                    "compile",
                    "--exclude",
                    "resource_type:test",
                    "resource_type:unit_test",
                ],
                folder=folder,
                landing=landing,
                variables=variables,
            )
            assert result.returncode == 0, result.stdout + result.stderr

        if key not in compiled:
            folder = make_once(shared / f"compiled-{name}", make)
            compiled[key] = Models(folder / "target" / "manifest.json", landing)
        return compiled[key]

    return compile_models


@pytest.fixture(scope="session")
def net_models(models: Callable[..., Models]) -> Models:
    """Compile the models as they are by default."""
    return models()


def load_demo(folder: Path) -> None:
    """Make and load a small demo."""
    demo = write_demo(folder / "demo", customers=1_500)
    load_files([demo.lines], landing=folder / "landing", kind="demo")


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make and load a small demo, whose truth is known."""
    return make_once(shared_folder(tmp_path_factory) / "demo-once", load_demo)


@pytest.fixture(scope="session")
def demo_net(build_warehouse: Callable[..., Warehouse], demo_folder: Path) -> Warehouse:
    """Build the small demo as the project does by default."""
    return build_warehouse(demo_folder / "landing")


@pytest.fixture(scope="session")
def hostile_net(
    build_warehouse: Callable[..., Warehouse], tmp_path_factory: pytest.TempPathFactory
) -> Warehouse:
    """Build a shop of three customers whose texts are attacks."""

    def make(folder: Path) -> None:
        write_landing(folder / "landing", hostile_lines())

    shared = shared_folder(tmp_path_factory)
    return build_warehouse(make_once(shared / "hostile", make) / "landing")


@pytest.fixture(scope="session")
def real_file() -> Path:
    """Find the UCI Online Retail data set, which lies beside the project, not in it."""
    if not REAL_DATA.exists():
        pytest.skip(REAL_DATA_IS_ABSENT)
    return REAL_DATA.resolve()


@pytest.fixture(scope="session")
def real_landing(real_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Load the real data set."""

    def make(folder: Path) -> None:
        load_files([real_file], landing=folder / "landing")

    return make_once(shared_folder(tmp_path_factory) / "real", make) / "landing"


@pytest.fixture(scope="session")
def real_net(
    build_warehouse: Callable[..., Warehouse], real_landing: Path
) -> Warehouse:
    """Build the real data set as the project does by default."""
    return build_warehouse(real_landing)


@pytest.fixture(scope="session")
def real_textbook(
    build_warehouse: Callable[..., Warehouse], real_landing: Path
) -> Warehouse:
    """Build the real data set as published analyses of it do."""
    return build_warehouse(
        real_landing,
        purchase_basis="textbook",
        cluster_transform="none",
        cluster_count=4,
    )
