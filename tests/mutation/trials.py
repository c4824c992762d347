"""What dbt would find of a mutant, without starting dbt: unit tests, then gates.

The unit tests' given rows become tables once, and a mutant is run on them. For the
gates, the mutant's table replaces the model's in a warehouse in memory, what reads it
is made anew, and the gates that read a changed table run; then all is rolled back.
"""

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
from mutants import GIVEN, Mutant, change_at, parse, places_in, write
from sqlglot import exp

SECONDS = 30.0
# Python models that take seconds each: what they would make of a mutant stays unknown.
SLOW = ("ml_cluster_candidates", "ml_forecast_scores", "ml_segment_validity")
# What DuckDB says to SQL that is no SQL, or does not fit the tables.
INVALID = (
    duckdb.ParserException,
    duckdb.BinderException,
    duckdb.CatalogException,
    duckdb.NotImplementedException,
)
# In which order a unit test's columns come is no matter.
Rows = Counter[tuple[Any, ...]]


class ModelError(Exception):
    """A Python model cannot make anything of what a mutant hands it."""


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: invalid, unit, data, timeout, survived; and by what."""

    outcome: str
    by: str = ""


@dataclass
class UnitTest:
    """A unit test: its given tables lie in the schema, and its tree is mutated."""

    name: str
    schema: str
    tree: exp.Expression
    columns: list[str]
    expected: Rows
    places: dict[int, int] = field(default_factory=dict)


class Trials:
    """The warehouse in memory, and all tests of it."""

    def __init__(self, folder: Path) -> None:
        self._nodes = _json(folder / "build" / "target" / "manifest.json")["nodes"]
        # One thread adds numbers up in one order.
        self._connection = duckdb.connect(config={"threads": 1, "memory_limit": "3GB"})
        run = self._connection.execute
        # As in profiles.yml.
        run("set preserve_insertion_order = false")
        run("set disabled_optimizers = 'top_n_window_elimination'")
        run("set temp_directory = ''")
        run(f"attach '{folder / 'warehouse.duckdb'}' as file (read_only)")
        run("attach ':memory:' as warehouse")
        run("copy from database file to warehouse")
        run("detach file")
        run("attach ':memory:' as given")
        self.models = {
            node["name"]: key
            for key, node in self._nodes.items()
            if node["resource_type"] == "model" and node["language"] == "sql"
        }
        self._readers: dict[str, list[str]] = {}
        self._gates: dict[str, list[str]] = {}
        for key, node in self._nodes.items():
            into = {"model": self._readers, "test": self._gates}
            for parent in node.get("depends_on", {}).get("nodes", []):
                if node["resource_type"] in into:
                    into[node["resource_type"]].setdefault(parent, []).append(key)
        self._order = self._in_order()
        self._prints = {key: self._print(self._relation(key)) for key in self._order}
        self._unit_tests = self._read_unit_tests(folder / "unit" / "target")

    def sql(self, model: str) -> str:
        """What dbt compiled of a model."""
        code: str = self._nodes[self.models[model]]["compiled_code"]
        return code

    def check(self) -> Iterator[str]:
        """Try every model with no change made to it, and name each test that is red."""
        for model, key in self.models.items():
            written = write(parse(self.sql(model)))
            for test in self._unit_tests.get(model, []):
                if self._rows(test, write(test.tree)) != test.expected:
                    yield f"{model}: {test.name} is red without a mutant"
            if self._print(f"({written})") != self._prints[key]:
                yield f"{model}: its SQL, read and written again, gives other rows"
        for key, node in self._nodes.items():
            if node["resource_type"] == "test" and self._is_red(key):
                yield f"{node['name']} is red without a mutant"

    def try_mutant(self, mutant: Mutant) -> Verdict:
        """Run the tests, the quickest first, until one finds the mutant."""
        try:
            with self._at_most():
                self._connection.execute("use warehouse")
                self._connection.execute(f"explain {mutant.sql}")
        except INVALID as error:
            return Verdict("invalid", str(error).split("\n")[0])
        except duckdb.Error:
            # Found when constants are folded, say: it would fail when run.
            pass
        for test in self._unit_tests.get(mutant.model, []):
            if mutant.place not in test.places:
                continue
            place = test.places[mutant.place]
            sql = change_at(test.tree, place, mutant.change)
            if sql is None:
                continue
            try:
                is_found = self._rows(test, sql) != test.expected
            except duckdb.InterruptException:
                return Verdict("timeout", test.name)
            except duckdb.Error:
                is_found = True
            if is_found:
                return Verdict("unit", test.name)
        return self._try_gates(mutant)

    def _try_gates(self, mutant: Mutant) -> Verdict:
        self._connection.execute("begin")
        try:
            with self._at_most():
                name = self._gate_that_finds(self.models[mutant.model], mutant.sql)
        except duckdb.InterruptException:
            return Verdict("timeout")
        except duckdb.OutOfMemoryException:
            return Verdict("timeout", "out of memory")
        except ModelError as error:
            return Verdict("data", f"{error} fails")
        except duckdb.Error as error:
            return Verdict("data", f"{type(error).__name__}: {str(error)[:80]}")
        finally:
            self._connection.execute("rollback")
        return Verdict("data", name) if name else Verdict("survived")

    def _gate_that_finds(self, mutated: str, sql: str) -> str | None:
        """Name the gate, or the model whose contract breaks; None where none does."""
        changed: set[str] = set()
        # What a slow model would make of it is not known: neither is what reads that.
        unknown: set[str] = set()
        waiting: list[str] = []
        behind = self._order[self._order.index(mutated) :]
        for number, key in enumerate(behind):
            parents = set(self._nodes[key]["depends_on"]["nodes"])
            if key == mutated or parents & (changed | unknown):
                if parents & unknown or self._nodes[key]["name"] in SLOW:
                    unknown.add(key)
                else:
                    own = self._nodes[key]["compiled_code"]
                    broken = self._remake(key, sql if key == mutated else own)
                    if broken:
                        return broken
                    if self._print(self._relation(key)) != self._prints[key]:
                        changed.add(key)
                        waiting += set(self._gates.get(key, [])) - set(waiting)
            # A gate waits until all that it reads is made anew: old and new differ.
            moving = {
                other
                for other in behind[number + 1 :]
                if self._ancestors[other] & changed
            }
            ready = [gate for gate in waiting if not self._reads(gate) & moving]
            waiting = [gate for gate in waiting if gate not in ready]
            for gate in ready:
                if not self._reads(gate) & unknown and self._is_red(gate):
                    return str(self._nodes[gate]["name"])
        return None

    def _reads(self, gate: str) -> set[str]:
        return set(self._nodes[gate]["depends_on"]["nodes"])

    def _remake(self, key: str, sql: str) -> str | None:
        """Replace a model's table, as dbt does; name it where its contract breaks."""
        node = self._nodes[key]
        if node["language"] == "python":
            self._remake_by_python(key)
            return None
        relation = self._relation(key)
        has_contract = node["config"]["contract"]["enforced"]
        before = self._columns(key)
        kind = "view" if node["config"]["materialized"] == "view" else "table"
        self._connection.execute(f"create or replace {kind} {relation} as {sql}")
        if not has_contract:
            return None
        after = self._columns(key)
        if [column[:2] for column in before] != [column[:2] for column in after]:
            return f"contract of {node['name']}"
        filled = [f'"{name}"' for name, _, is_nullable in before if not is_nullable]
        if filled:
            condition = " or ".join(f"{name} is null" for name in filled)
            nulls = f"select 1 from {relation} where {condition} limit 1"
            if self._connection.execute(nulls).fetchall():
                return f"contract of {node['name']}"
        return None

    def _remake_by_python(self, key: str) -> None:
        """Run a Python model as dbt-duckdb does, on the same connection."""
        names: dict[str, Any] = {}
        exec(self._nodes[key]["compiled_code"], names)
        dbt = names["dbtObj"](self._connection.table)
        try:
            made = names["model"](dbt, self._connection)
        except duckdb.InterruptException:
            raise
        except Exception as error:
            raise ModelError(self._nodes[key]["name"]) from error
        if isinstance(made, duckdb.DuckDBPyRelation):
            made = made.to_arrow_table()
        self._connection.execute("use warehouse")
        self._connection.execute(
            f"create or replace table {self._relation(key)} as select * from made"
        )

    def _is_red(self, gate: str) -> bool:
        sql = f"select count(*) from ({self._nodes[gate]['compiled_code']}) gate"
        return bool(self._connection.execute(sql).fetchall()[0][0])

    def _columns(self, key: str) -> list[tuple[str, str, bool]]:
        node = self._nodes[key]
        return self._connection.execute(
            "select column_name, data_type, is_nullable from duckdb_columns() "
            "where database_name = 'warehouse' and schema_name = ? and table_name = ? "
            "order by column_index",
            [node["schema"], node["alias"]],
        ).fetchall()

    def _print(self, relation: str) -> Any:
        """A number of all rows of a relation, whatever their order."""
        return self._connection.execute(
            f"select count(*), sum(hash(t)::hugeint) from {relation} t"
        ).fetchall()

    def _relation(self, key: str) -> str:
        node = self._nodes[key]
        return f'"warehouse"."{node["schema"]}"."{node["alias"]}"'

    def _in_order(self) -> list[str]:
        """All models, each behind those that it reads."""
        parents = {
            key: set(node["depends_on"]["nodes"])
            for key, node in self._nodes.items()
            if node["resource_type"] == "model"
        }
        order = list(TopologicalSorter(parents).static_order())
        self._ancestors: dict[str, set[str]] = {}
        for key in order:
            above = parents.get(key, set())
            self._ancestors[key] = above.union(*(self._ancestors[up] for up in above))
        return [key for key in order if key in parents]

    def _read_unit_tests(self, target: Path) -> dict[str, list[UnitTest]]:
        results = json.loads((target / "run_results.json").read_text("utf-8"))[
            "results"
        ]
        described = json.loads((target / "manifest.json").read_text("utf-8"))[
            "unit_tests"
        ]
        whole = {path.stem: path for path in (target / "run").rglob("*.sql")}
        found: dict[str, list[UnitTest]] = {}
        trees = {model: parse(self.sql(model)) for model in self.models}
        for number, result in enumerate(results):
            if result["unique_id"] not in described:
                continue
            test = described[result["unique_id"]]
            schema = f"given.unit_{number}"
            self._connection.execute(f"create schema {schema}")
            cursor = self._connection.execute(whole[test["name"]].read_text("utf-8"))
            columns = [column[0] for column in cursor.description or []][:-1]
            expected = Counter(
                row[:-1] for row in cursor.fetchall() if row[-1] == "expected"
            )
            tree = parse(result["compiled_code"])
            for cte in list(tree.args["with_"].expressions):
                if cte.alias.startswith(GIVEN):
                    self._connection.execute(
                        f"create table {schema}.{cte.alias} as {write(cte.this)}"
                    )
                    cte.pop()
            found.setdefault(test["model"], []).append(
                UnitTest(
                    name=test["name"],
                    schema=schema,
                    tree=tree,
                    columns=columns,
                    expected=expected,
                    places=places_in(trees[test["model"]], tree),
                )
            )
        return found

    def _rows(self, test: UnitTest, sql: str) -> Rows:
        names = ", ".join(f'"{name}"' for name in test.columns)
        self._connection.execute(f"use {test.schema}")
        with self._at_most():
            rows = self._connection.execute(f"select {names} from ({sql}) actual")
            return Counter(rows.fetchall())

    @contextmanager
    def _at_most(self) -> Iterator[None]:
        """Interrupt what takes too long: a mutant that never ends."""
        timer = threading.Timer(SECONDS, self._connection.interrupt)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _json(path: Path) -> Any:
    return json.loads(path.read_text("utf-8"))
