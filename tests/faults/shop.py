"""A shop whose build is green and published, and what a fault makes of the next build.

Each worker has a copy of the shop in a folder of its own. The folder is put back before
each fault, not made anew, so that dbt parses only what the fault has changed.
"""

import hashlib
import json
import multiprocessing
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
from dbt.cli.main import dbtRunner
from retail_segments.demo import write_demo
from retail_segments.load import load_files
from retail_segments.publishing import published_path
from retail_segments.results import read_results

PROJECT = Path(__file__).parents[2]
# Processes that have dbt imported already: it takes longer than most builds of a part.
# Each run has one of its own, since a run that fails may leave the warehouse open.
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["dbt.cli.main", "dbt.adapters.duckdb", "shop"])
# What dbt reads of the project. A fault changes a copy.
PARTS = (
    "dbt_project.yml",
    "profiles.yml",
    "selectors.yml",
    "analyses",
    "macros",
    "models",
    "seeds",
    "tests/generic",
    "tests/singular",
)
CUSTOMERS = 300
LAST_LINE = "select * from final\n"
# They take most of the time of a build, and few faults can reach them.
SLOW = (
    "ml_cluster_candidates",
    "ml_forecast_scores",
    "ml_segment_validity",
)
# Read from the published copy before and after: what a BI tool would show.
FIGURES = "select figure, figure_value from marts.rpt_headline_figures order by figure"


@dataclass(frozen=True)
class Fault:
    """One way to spoil what is delivered, a model, a seed or a setting.

    Attributes
    ----------
    fault : str
        What goes wrong, as the page says it.
    gate : str
        The gate that has to go red.
    where : str
        The file, table or command that is spoiled.
    says : str
        What the gate has to say, where it speaks in words of its own.
    final : str
        A query in place of a model's last line, over its CTE ``final``.
    swap : list of str
        A text of the file, and what stands there instead.
    landing : str
        A query in place of the lines that have landed, over ``lines``.
    campaigns : str
        The same for the records of campaigns, over ``audiences``.
    warehouse : str
        Statements that change tables of the warehouse behind dbt's back.
    delivered : str
        The name of a function in ``deliveries``, which writes a file to be loaded.
    variables : dict
        Vars of the build.
    command : str
        What dbt is asked to do.
    select : str
        What dbt builds; else the model and all that comes after it.
    slow : bool
        Whether the slow models are built too.
    """

    fault: str
    gate: str = "load"
    where: str = "delivered file"
    says: str = ""
    final: str = ""
    swap: Sequence[str] = ()
    landing: str = ""
    campaigns: str = ""
    warehouse: str = ""
    delivered: str = ""
    variables: Mapping[str, Any] = field(default_factory=dict)
    command: str = "build"
    select: str = ""
    slow: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a build.

    Attributes
    ----------
    is_green : bool
        Whether dbt ended well.
    red : dict
        What each gate said that went red, or each model that could not be built.
    """

    is_green: bool
    red: Mapping[str, str]


class Shop:
    """A folder with a project, a landing folder, a warehouse and what is published."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.landing = folder / "landing"
        self.warehouse = folder / "warehouse.duckdb"
        self.target = folder / "target"
        self.published = published_path(self.warehouse)

    def lay_out(self) -> None:
        """Copy the project."""
        for part in PARTS:
            source, copy = PROJECT / part, self.project / part
            copy.parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                shutil.copytree(source, copy)
            else:
                shutil.copy2(source, copy)
        # Where models import from.
        (self.project / "python").symlink_to(PROJECT / "python")

    def fill(self) -> None:
        """Load a demo with a campaign, and build it all."""
        self.lay_out()
        demo = write_demo(self.folder / "demo", customers=CUSTOMERS)
        load_files([demo.lines], landing=self.landing, kind="demo")
        self._launch_campaign()
        outcome = self.dbt("build", slow=True)
        assert outcome.is_green, outcome.red

    def dbt(
        self,
        command: str,
        *,
        select: str = "",
        slow: bool = False,
        anew: bool = False,
        variables: Mapping[str, Any] | None = None,
    ) -> Outcome:
        """Run dbt, and say what went red."""
        arguments = [*command.split(), "--quiet", "--log-level", "none"]
        if command == "build":
            # Unit tests look at the SQL and not at the data: production does without.
            arguments += ["--warn-error", "--exclude-resource-types", "unit_test"]
            arguments += ["--select", *select.split()] if select else []
            arguments += [] if slow else ["--exclude", *SLOW]
            arguments += ["--full-refresh"] if anew else []
        # What dbt writes down of a run is read of the first build alone.
        arguments += [] if slow else ["--no-write-json"]
        arguments += ["--vars", json.dumps(dict(variables or {}))]
        arguments += ["--project-dir", str(self.project)]
        arguments += ["--profiles-dir", str(self.project)]
        arguments += ["--target-path", str(self.target)]
        arguments += ["--log-path", str(self.folder / "logs")]
        with ProcessPoolExecutor(1, mp_context=SERVER) as worker:
            return worker.submit(_run_dbt, arguments, self._environment()).result()

    def gates(self) -> dict[str, str]:
        """List all gates of the last build with what they say."""
        says = {node.name: node.says for node in read_results(self.target).nodes}
        manifest = json.loads((self.target / "manifest.json").read_text("utf-8"))
        return {
            gate_name(node): says[node["name"]]
            for node in manifest["nodes"].values()
            if node["resource_type"] == "test"
        }

    def delivered(self) -> Path:
        """Find the file that was delivered."""
        [file] = (self.folder / "demo").glob("*.parquet")
        return file

    def digest(self) -> str:
        """Sum up the published file, byte for byte."""
        return hashlib.sha256(self.published.read_bytes()).hexdigest()

    def figures(self) -> list[tuple[Any, ...]]:
        """Read the published file as a BI tool does."""
        with duckdb.connect(str(self.published), read_only=True) as reader:
            return reader.execute(FIGURES).fetchall()

    def _launch_campaign(self) -> None:
        with duckdb.connect() as connection:
            lines = connection.read_parquet(f"{self.landing}/*.parquet")
            names = lines.filter("customer_id is not null").project("customer_id")
            chosen = sorted(row[0] for row in names.distinct().fetchall())[:120]
            [(last,)] = lines.aggregate("max(invoice_date)").fetchall()
        records = {
            "campaign_id": ["winter"] * len(chosen),
            "customer_id": chosen,
            "is_control": [number % 4 == 0 for number in range(len(chosen))],
            "launched_date": [last.date() - timedelta(days=60)] * len(chosen),
            "window_days": [30] * len(chosen),
        }
        (self.landing / "campaigns").mkdir()
        pq.write_table(pa.table(records), self.landing / "campaigns" / "winter.parquet")

    def _environment(self) -> dict[str, str]:
        """Name this shop's places, and nobody else's."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("DBT_")
            and name not in ("SCHEMA_PREFIX", "PUBLISHED_PATH")
        }
        places = {"DUCKDB_PATH": self.warehouse, "LANDING_PATH": self.landing}
        return inherited | {name: str(path) for name, path in places.items()}


class Bench:
    """A worker's copy of the shop: a fault is put in, and taken out again."""

    def __init__(self, good: Shop, folder: Path) -> None:
        self.good = good
        self.shop = Shop(folder)
        self.shop.lay_out()
        self._spoiled: Path | None = None
        # A parse of all files is needed once.
        self.put_back(state=False)
        parsed = self.shop.dbt("parse")
        assert parsed.is_green, parsed.red
        self._parsed = (self.shop.target / "partial_parse.msgpack").read_bytes()

    def put_back(self, *, state: bool = True) -> None:
        """Have the project, the landing folder and the warehouse as they were."""
        if self._spoiled is not None:
            name = self._spoiled.relative_to(self.shop.project)
            shutil.copyfile(PROJECT / name, self._spoiled)
            self._spoiled = None
        for folder in (self.shop.landing, self.shop.published.parent):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.good.landing, self.shop.landing)
        shutil.copytree(self.good.published.parent, self.shop.published.parent)
        self.shop.warehouse.with_name("warehouse.duckdb.wal").unlink(missing_ok=True)
        shutil.copyfile(self.good.warehouse, self.shop.warehouse)
        if state:
            (self.shop.target / "partial_parse.msgpack").write_bytes(self._parsed)

    def inject(self, fault: Fault) -> None:
        """Spoil the project, the landing folder or the warehouse."""
        if fault.final:
            self._rewrite(fault.where, LAST_LINE, fault.final.strip() + "\n")
        if fault.swap:
            self._rewrite(fault.where, *fault.swap)
        if fault.landing:
            _requery(self.shop.landing, "lines", fault.landing)
        if fault.campaigns:
            _requery(self.shop.landing / "campaigns", "audiences", fault.campaigns)
        if fault.warehouse:
            with duckdb.connect(str(self.shop.warehouse)) as connection:
                connection.execute(fault.warehouse)

    def build(self, fault: Fault) -> Outcome:
        """Build what the fault can reach."""
        is_node = bool(fault.final or fault.swap)
        return self.shop.dbt(
            fault.command,
            select=fault.select or (f"{fault.where}+" if is_node else ""),
            slow=fault.slow,
            # Else a model that computes only what has changed would see no change.
            anew=is_node,
            variables=fault.variables,
        )

    def _rewrite(self, where: str, old: str, new: str) -> None:
        path = _find(self.shop.project, where)
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{where} has this {text.count(old)} times: {old}"
        path.write_text(text.replace(old, new), encoding="utf-8")
        self._spoiled = path


def _find(project: Path, where: str) -> Path:
    """Find the file of a model or a seed."""
    found = [
        path
        for folder, ending in (("models", "sql"), ("models", "py"), ("seeds", "csv"))
        for path in (project / folder).rglob(f"{where}.{ending}")
    ]
    assert len(found) == 1, f"{where} is no model and no seed"
    return found[0]


def _requery(folder: Path, name: str, query: str) -> None:
    """Write the one file of a folder anew, from a query over it."""
    [path] = folder.glob("*.parquet")
    with duckdb.connect() as connection:
        connection.register(name, pq.read_table(path))
        pq.write_table(connection.sql(query).to_arrow_table(), path)


def _run_dbt(arguments: Sequence[str], environment: Mapping[str, str]) -> Outcome:
    """Run dbt in this process, which is there for nothing else."""
    os.environ.clear()
    os.environ.update(environment)
    run = dbtRunner().invoke(list(arguments))
    red = dict(_red(run.result)) if run.result else {}
    if run.exception:
        # What runs before all models is named by the macro's file that stops it.
        macro = re.search(r"in macro \w+ \(macros/(\w+)\.sql", str(run.exception))
        red[macro[1] if macro else "dbt"] = str(run.exception)
    return Outcome(is_green=bool(run.success), red=red)


def _red(result: Any) -> Iterator[tuple[str, str]]:
    """Name what failed; gates by their test and what it is on."""
    for one in getattr(result, "results", ()):
        if str(one.status) in ("fail", "error", "runtime error"):
            node, message = one.node.to_dict(), str(one.message)
            name = gate_name(node)
            if "enforced contract" in message or "Constraint Error" in message:
                name = f"contract of {name}"
            elif node["resource_type"] == "operation":
                name = node["raw_code"].strip("{}() ")
            elif node["resource_type"] == "source":
                name = f"freshness of {node['source_name']}.{name}"
            yield name, message


def gate_name(node: Mapping[str, Any]) -> str:
    """Name a gate in a few words, where dbt's own name is long and cut off."""
    generic = node.get("test_metadata")
    if not generic:
        return str(node["name"])
    arguments = generic["kwargs"]
    model = (node.get("attached_node") or "").split(".")[-1]
    columns: Sequence[str] = arguments.get("columns") or ()
    column = arguments.get("column_name") or (
        ", ".join(columns) if generic["name"] == "unique_combination" else ""
    )
    return f"{generic['name']} on {model}" + (f": {column}" if column else "")
