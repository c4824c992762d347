"""A daily build equals a full one: random histories of files, cut short now and then.

The SQL that dbt compiled runs in memory, once as dbt runs it day after day, and once
from nothing on the same files; all tables are compared, row for row. `make
test-histories` tries 200 histories, and `make test` the first of them.
"""

import json
import os
import random
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import Models, landing_table, run_dbt

HISTORIES = int(os.environ.get("RETAIL_SEGMENTS_HISTORIES", "5"))
STEPS = 7
# Of these, one in so many is compared in every mart; the others in what is incremental.
IN_FULL = 4

PRICES = [*map(Decimal, ("0.0010", "1.2500", "2.0000", "0")), None]

HOOK = re.compile(
    r"forget_changed_groups\(ref\('(?P<parent>\w+)'\)"
    r"(?:, ['\"](?P<condition>.+)['\"])?\)"
)


class Daily(Models):
    """Builds as dbt does on a warehouse that is there already."""

    def __init__(self, manifest: Path, again: Path, landing: Path, ml: Path) -> None:
        super().__init__(manifest, landing)
        self._again = {
            node["name"]: node["compiled_code"]
            for node in json.loads(again.read_text())["nodes"].values()
            if node["resource_type"] == "model"
        }
        self._connection.execute(f"attach '{ml}' as built (read_only)")
        for name, node in self._nodes.items():
            if name.startswith("ml_"):
                query = f"select * from built.ml.{name}"
                self._replace(node["relation_name"], query)
        self.order = list(self._in_order())
        self.incremental = [
            name
            for name in self.order
            if self._nodes[name]["config"]["materialized"] == "incremental"
        ]
        last = max(self.order.index(name) for name in self.incremental)
        self.chain = self.order[: last + 1]

    def close(self) -> None:
        self._connection.close()

    def deliver(self, files: dict[str, list[dict]]) -> None:
        """Let the landing folder hold these files."""
        tables = [
            landing_table(rows, source_file=name, source_hash=name)
            for name, rows in sorted(files.items())
        ]
        self._replace("landing.lines", "select * from given", pa.concat_tables(tables))

    def build(self, models: list[str]) -> None:
        for name in models:
            node = self._nodes[name]
            relation = node["relation_name"]
            query = self._of_given_lines(node["compiled_code"])
            if node["config"]["materialized"] == "view":
                view = f"create or replace view {relation} as {query}"
                self._connection.execute(view)
            elif name in self.incremental and self.exists(name):
                again = self._of_given_lines(self._again[name])
                self._append(name, relation, again)
            else:
                self._replace(relation, query)

    def table(self, name: str) -> Counter:
        rows = self._connection.execute(
            f"select * from {self._nodes[name]['relation_name']}"
        ).fetchall()
        return Counter(rows)

    def _append(self, name: str, relation: str, query: str) -> None:
        [hook] = self._nodes[name]["config"]["pre-hook"]
        found = HOOK.search(hook["sql"])
        assert found, hook
        parent = self._nodes[found["parent"]]["relation_name"]
        self._connection.execute(
            f"delete from {relation} where group_fingerprint not in "
            f"(select group_fingerprint from {parent} "
            f"where {found['condition'] or 'true'})"
        )
        self._connection.execute(f"create or replace temp table added as {query}")
        self._connection.execute(f"insert into {relation} by name from added")

    def exists(self, name: str) -> bool:
        relation = self._nodes[name]["relation_name"]
        try:
            self._connection.execute(f"from {relation} limit 0")
        except duckdb.CatalogException:
            return False
        return True

    def _in_order(self) -> Iterator[str]:
        """Parents first; those of incremental models before all others."""
        seen: set[str] = set()

        def visit(name: str) -> Iterator[str]:
            node = self._nodes[name]
            if name in seen or node["resource_type"] == "seed" or name[:3] == "ml_":
                return
            seen.add(name)
            for parent in node["depends_on"]["nodes"]:
                if parent in self._names and not parent.startswith("source."):
                    yield from visit(self._names[parent])
            yield name

        def is_incremental(name: str) -> bool:
            return self._nodes[name]["config"].get("materialized") != "incremental"

        for name in sorted(self._nodes, key=lambda name: (is_incremental(name), name)):
            yield from visit(name)


class Shop:
    """Files of lines that come late, twice, corrected, split or not at all any more."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.files: dict[str, list[dict]] = {}
        self.made = 0

    def line(self) -> dict:
        draw = self.draw
        number = draw.randrange(14)
        is_return = draw.random() < 0.3
        return {
            "invoice_no": f"{'C' if is_return else ''}{5000 + number}",
            "stock_code": draw.choice(["22423", "22423", "85123A", "POST", "21034"]),
            "description": draw.choice(["CAKE STAND", "HOLDER", None]),
            "quantity": (-1 if is_return else 1) * draw.choice([0, 1, 1, 2, 3, 6]),
            "invoice_date": datetime(2011, 1, 3, 10)
            + timedelta(
                days=9 * number + draw.choice([0, 0, 0, 40]),
                hours=draw.choice([0, 0, 1]),
            ),
            "unit_price": draw.choice(PRICES),
            # A number is a customer's, or a guest's, in most cases.
            "customer_id": ["17850", "12346", "13047", None][
                number % 4 if draw.random() < 0.9 else draw.randrange(4)
            ],
            "country": draw.choice(["United Kingdom", "United Kingdom", "France"]),
        }

    def go_on(self) -> None:
        draw = self.draw
        events = ["new"] * 4 + ["again", "corrected", "split", "renamed", "gone"]
        event = draw.choice(events) if self.files else "new"
        self.made += 1
        name = f"{self.made}.csv"
        if event == "new":
            self.files[name] = [self.line() for _ in range(draw.randrange(1, 25))]
            return
        old = draw.choice(sorted(self.files))
        rows = [dict(row) for row in self.files[old]]
        if event == "again":
            self.files[name] = draw.sample(rows, draw.randrange(1, len(rows) + 1))
        elif event == "corrected":
            for row in draw.sample(rows, draw.randrange(1, len(rows) + 1)):
                column = draw.choice(["customer_id", "quantity", "unit_price"])
                row[column] = self.line()[column]
            self.files[old] = rows
        elif event == "split":
            middle = draw.randrange(len(rows) + 1)
            self.files[old], self.files[name] = rows[:middle], rows[middle:]
            self.files = {key: rows for key, rows in self.files.items() if rows}
        elif event == "renamed":
            del self.files[old]
            draw.shuffle(rows)
            self.files[name] = rows
        elif len(self.files) > 1:
            del self.files[old]


@pytest.fixture(scope="module")
def compiled(demo_folder, build_warehouse, tmp_path_factory):
    """Compile twice: for a warehouse that is not there, and for one that is."""
    built = build_warehouse(demo_folder / "landing").path
    here = tmp_path_factory.mktemp("here") / built.name
    shutil.copy(built, here)
    manifests = []
    for warehouse in (tmp_path_factory.mktemp("absent") / built.name, here):
        folder = tmp_path_factory.mktemp("compiled")
        result = run_dbt(
            ["compile", "--exclude", "resource_type:test", "resource_type:unit_test"],
            folder=folder,
            landing=demo_folder / "landing",
            warehouse=warehouse,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        manifests.append(folder / "target" / "manifest.json")
    return *manifests, demo_folder / "landing", here


def _differences(daily: Daily, full: Daily, names: list[str]) -> dict[str, tuple]:
    differences = {}
    for name in names:
        mine, theirs = daily.table(name), full.table(name)
        if mine != theirs:
            differences[name] = (list(mine - theirs)[:2], list(theirs - mine)[:2])
    return differences


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_a_daily_build_equals_a_full_one(compiled, seed):
    shop, daily = Shop(seed), Daily(*compiled)
    for step in range(STEPS):
        shop.go_on()
        daily.deliver(shop.files)
        fate = shop.draw.random()
        if step < STEPS - 1 and fate < 0.25:
            # Killed on the way: the next build finds whatever this one left.
            daily.build(daily.chain[: shop.draw.randrange(len(daily.chain))])
            continue
        if 0 < step < STEPS - 1 and fate < 0.7:
            # Some models are left out, as with `dbt build --select`.
            count = shop.draw.choice([1, 1, 3])
            left_out = shop.draw.choices(daily.incremental, k=count)
            daily.build(
                [
                    name
                    for name in daily.chain
                    # A first build that was killed may not have come to it.
                    if name not in left_out or not daily.exists(name)
                ]
            )
            continue
        daily.build(daily.chain)
        if step < STEPS - 1 and shop.draw.random() < 0.6:
            continue
        full = Daily(*compiled)
        full.deliver(shop.files)
        full.build(full.chain)
        assert _differences(daily, full, daily.chain) == {}, f"step {step}"
        if step == STEPS - 1 and seed % IN_FULL == 0:
            rest = [name for name in daily.order if name not in daily.chain]
            daily.build(rest)
            full.build(rest)
            assert _differences(daily, full, rest) == {}
        full.close()
    daily.close()


def test_the_histories_hold_what_days_bring():
    lines = [row for seed in range(40) for row in _last_files(seed)]
    kinds = Counter(
        (row["invoice_no"].startswith("C"), row["customer_id"] is None) for row in lines
    )
    assert min(kinds.values()) > 50
    assert len(kinds) == 4


def _last_files(seed: int) -> list[dict]:
    shop = Shop(seed)
    for _ in range(STEPS):
        shop.go_on()
    return [row for rows in shop.files.values() for row in rows]
