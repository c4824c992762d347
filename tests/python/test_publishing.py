"""What readers have is the last build of which every gate passed, as a whole."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from click.testing import CliRunner
from conftest import Warehouse, run_dbt, write_landing
from hostile_lines import hostile_lines
from retail_segments import locks
from retail_segments.build import BuildError, last_good_build
from retail_segments.cli import main
from retail_segments.folders import next_version
from retail_segments.forgetting import compact
from retail_segments.publishing import copy_warehouse, publish, published_path


class Shop:
    """A warehouse of a shop of three customers, and what is published of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.warehouse = folder / "warehouse.duckdb"
        self.published = published_path(self.warehouse)

    def dbt(self, *arguments):
        return run_dbt(arguments, folder=self.folder, landing=self.folder / "landing")

    def spoil(self, statement):
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute(statement)

    def digest(self):
        return hashlib.sha256(self.published.read_bytes()).hexdigest()

    def unproven(self):
        warehouse = Warehouse(self.warehouse)
        return set(warehouse.values("select outcome from audit.unproven"))


@pytest.fixture
def shop(hostile_net, tmp_path):
    """Copy a shop whose build was published."""
    shutil.copytree(hostile_net.path.parent, tmp_path / "shop")
    write_landing(tmp_path / "shop" / "landing", hostile_lines())
    return Shop(tmp_path / "shop")


def test_a_green_build_is_published_as_a_whole(hostile_net):
    published = Warehouse(published_path(hostile_net.path))
    for schema in ("reference", "intermediate", "ml", "marts"):
        tables = hostile_net.tables(schema)
        assert tables == published.tables(schema)
        for table in tables:
            query = f"select * from {schema}.{table} order by all"
            assert hostile_net.arrow(query).equals(published.arrow(query)), table
    assert published.path.stat().st_mode & 0o777 == 0o440
    assert published.path.parent.stat().st_mode & 0o007 == 0


def test_readers_keep_the_build_before_until_every_gate_has_passed(shop, monkeypatch):
    before = shop.digest()
    reader = Warehouse(shop.published)
    countries = "select count(distinct country_name) from marts.dim_customers"
    was = reader.value(countries)

    shop.spoil("update intermediate.int_customers_totalled set order_count = -1")
    red = shop.dbt("build", "--select", "dim_customers", "--warn-error")
    assert red.returncode == 1, red.stdout
    assert "accepted_ranges_dim_customers" in red.stdout
    assert {"fail", "not run"} <= shop.unproven()
    assert shop.digest() == before
    monkeypatch.setenv("DUCKDB_PATH", str(shop.warehouse))
    assert str(shop.published) in CliRunner().invoke(main, ["summary"]).output

    # Models without their gates, or a part of what reads them, are no whole either.
    run = shop.dbt("run", "--full-refresh", "--select", "int_customers_totalled+")
    assert run.returncode == 0, run.stdout
    assert shop.unproven() >= {"not run"}
    assert shop.digest() == before

    green = shop.dbt("test", "--select", "int_customers_totalled+")
    assert green.returncode == 0, green.stdout
    assert shop.unproven() == set()
    assert shop.digest() != before
    assert reader.value(countries) == was
    assert Warehouse(shop.published).value(countries) == was


@pytest.mark.parametrize("kind", ["unit", "data"])
def test_tests_alone_publish_nothing_again(kind, shop):
    """A copy that nothing has changed would take as long as the warehouse is large."""
    before = shop.published.stat().st_ino
    tests = shop.dbt("test", "--select", f"int_orders_counted,test_type:{kind}")
    assert tests.returncode == 0, tests.stdout
    report = json.loads((shop.folder / "target" / "run_results.json").read_text())
    statuses = [result["status"] for result in report["results"]]
    assert "pass" in statuses
    assert shop.published.stat().st_ino == before


def test_without_a_good_build_nothing_is_read(shop, monkeypatch):
    monkeypatch.setenv("DUCKDB_PATH", str(shop.warehouse))
    shop.published.unlink()
    assert last_good_build() == shop.warehouse

    shop.spoil("insert into audit.unproven values ('model.a.b', 'not finished')")
    with pytest.raises(BuildError, match=r"has passed every gate yet: 1 of its"):
        last_good_build()


@pytest.fixture
def one_line(tmp_path):
    """Write a warehouse of one line, and name where its copy goes."""
    warehouse = tmp_path / "shop.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create table lines as select 1 as line")
    return warehouse, published_path(warehouse)


def test_a_copy_that_cannot_be_trusted_is_not_swapped_in(one_line):
    warehouse, target = one_line
    copy_warehouse(warehouse, target)
    good = target.read_bytes()

    with pytest.raises(ValueError, match=r"has to be named shop\.duckdb"):
        copy_warehouse(warehouse, target.with_name("other.duckdb"))
    warehouse.write_bytes(warehouse.read_bytes()[:6_000])
    with pytest.raises(duckdb.Error):
        copy_warehouse(warehouse, target)
    warehouse.with_name("shop.duckdb.wal").write_bytes(b"lines")
    with pytest.raises(ValueError, match="part of it is still in"):
        copy_warehouse(warehouse, target)

    assert target.read_bytes() == good
    assert [path.name for path in target.parent.iterdir()] == ["shop.duckdb"]


def test_the_file_before_is_freed_when_the_copy_is_in_place(one_line):
    """Freeing a large file takes a while, in which readers and the build can go on."""
    warehouse, target = one_line
    copy_warehouse(warehouse, target)
    before = target.stat().st_ino

    announced = []

    def look():
        names = [path.stat().st_ino for path in target.parent.rglob("*.before")]
        announced.append((target.stat().st_ino, names))

    copy_warehouse(warehouse, target, announce=look)

    assert announced == [(target.stat().st_ino, [before])]
    assert target.stat().st_ino != before
    assert [path.name for path in target.parent.iterdir()] == ["shop.duckdb"]


def test_a_copy_that_cannot_be_made_is_told_in_a_sentence(one_line, monkeypatch):
    warehouse, target = one_line
    assert publish(warehouse) == ""
    good = target.read_bytes()

    monkeypatch.setenv("PUBLISHED_PATH", str(target.with_name("other.duckdb")))
    assert publish(warehouse) == (
        "Every gate passed, but the build could not be published to "
        f"{target.with_name('other.duckdb')}: the copy has to be named shop.duckdb, "
        "since its views name the file. Readers keep the build before. Mend it and "
        "build again."
    )
    assert target.read_bytes() == good


def test_a_build_that_was_killed_is_told_nothing(one_line):
    warehouse, target = one_line
    read, write = os.pipe()
    os.close(read)
    finished = subprocess.run(
        [sys.executable, "-m", "retail_segments.publishing", warehouse, target],
        stdout=write,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    os.close(write)
    assert (finished.returncode, finished.stderr) == (0, "")
    assert Warehouse(target).value("select line from lines") == 1


def publish_once_more(folder):
    copy_warehouse(folder / "shop.duckdb", folder / "published" / "shop.duckdb")
    return folder / "published" / "shop.duckdb"


def export_once_more(folder):
    with next_version(folder / "export", BuildError("busy")) as unfinished:
        shutil.copy(folder / "shop.duckdb", unfinished)
    return folder / "export" / "current" / "shop.duckdb"


def compact_once_more(folder):
    compact(folder / "shop.duckdb")
    return folder / "shop.duckdb"


@pytest.mark.parametrize(
    "swap_in", [publish_once_more, export_once_more, compact_once_more]
)
def test_nobody_opens_a_file_while_it_is_swapped_in(swap_in, tmp_path, monkeypatch):
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("create table lines as select 1 as line")
    file = swap_in(tmp_path)

    def read():
        program = (
            "import duckdb, sys\n"
            "with duckdb.connect(sys.argv[1], read_only=True) as connection:\n"
            "    connection.table('lines').show()"
        )
        return subprocess.run(
            [sys.executable, "-c", program, file],
            capture_output=True,
            text=True,
            check=False,
        )

    meanwhile = []
    monkeypatch.setattr(locks.time, "sleep", lambda _: meanwhile.append(read()))
    before = file.stat().st_ino
    assert read().returncode == 0
    swap_in(tmp_path)

    assert file.stat().st_ino != before
    [refused] = meanwhile
    assert refused.returncode == 1
    assert "Could not set lock on file" in refused.stderr
    assert read().returncode == 0
