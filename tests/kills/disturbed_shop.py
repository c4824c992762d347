"""A shop with one build behind it and new lines to come, for tests that disturb it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
from retail_segments.demo import write_demo
from retail_segments.load import load_files
from retail_segments.publishing import published_path

PROJECT = Path(__file__).parents[2]
KEY = "a key that is long enough"
CUSTOMERS = 300
# How long a fit took is no result.
NOT_COMPARED = "fit_seconds"


class Shop:
    """The folders of a shop, and the commands run on them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.landing = folder / "landing"
        self.warehouse = folder / "warehouse" / "shop.duckdb"
        self.published = published_path(self.warehouse)

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Leave out what a developer has set for a warehouse of their own."""
        ours = ("DBT_", "DUCKDB_", "LANDING_PATH", "SCHEMA_PREFIX", "PUBLISHED_PATH")
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
        return inherited | {
            "DUCKDB_PATH": str(self.warehouse),
            "LANDING_PATH": str(self.landing),
            "DBT_TARGET_PATH": str(self.folder / "target"),
            "DBT_LOG_PATH": str(self.folder / "logs"),
            "RETAIL_SEGMENTS_PSEUDONYM_KEY": KEY,
            **settings,
        }

    def command(self, name: str) -> list[str]:
        """Spell out what a user would type."""
        output = {"report": "--output", "export": "--output", "forget": "--exports"}
        words = [str(Path(sys.executable).with_name("retail-segments")), name]
        if name == "load":
            words.append(str(self.folder / "later.csv"))
        if name == "forget":
            words += ["--yes", (self.folder / "customer.txt").read_text()]
        if name in output:
            folder = "report" if name == "report" else "export"
            words += [output[name], str(self.folder / folder)]
        return words

    def start(
        self,
        name: str,
        *,
        before: Sequence[str] = (),
        **settings: str,
    ) -> "subprocess.Popen[str]":
        """Start a command in a process group of its own."""
        return subprocess.Popen(
            [*before, *self.command(name)],
            cwd=PROJECT,
            env=self.environment(settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(
        self, name: str, *, before: Sequence[str] = (), **settings: str
    ) -> tuple[int, str]:
        """Run a command to its end: its exit code, and all that it said."""
        process = self.start(name, before=before, **settings)
        said, _ = process.communicate()
        return process.returncode, said

    def copy_to(self, folder: Path) -> "Shop":
        """Copy the shop, links as links."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Shop(folder)

    def tables(self) -> dict[str, pa.Table]:
        """Fetch what the layers of the published build hold, to the last bit."""
        with opened(self.published) as connection:
            names = connection.execute(
                "select schema_name || '.' || table_name from duckdb_tables() "
                "where schema_name in ('intermediate', 'ml', 'marts') order by all"
            ).fetchall()
            return {name: _contents(connection, name) for (name,) in names}

    def landed(self) -> dict[str, bytes]:
        """Fetch the landing files, byte for byte."""
        return {p.name: p.read_bytes() for p in sorted(self.landing.glob("*.parquet"))}

    def written(self, name: str) -> dict[str, bytes]:
        """Fetch what a report or an export holds, byte for byte."""
        folder = self.folder / name / ("current" if name == "export" else "")
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.suffix in {".html", ".parquet", ".csv"}
        }


@contextmanager
def opened(path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database as a reader does."""
    with duckdb.connect(str(path), read_only=True) as connection:
        connection.execute("set timezone = 'UTC'")
        yield connection


def _contents(connection: duckdb.DuckDBPyConnection, name: str) -> pa.Table:
    relation = connection.table(name)
    columns = ", ".join(column for column in relation.columns if column != NOT_COMPARED)
    query = f"select {columns} from {name} order by all"
    return connection.sql(query).to_arrow_table()


def differing(one: Mapping[str, pa.Table], other: Mapping[str, pa.Table]) -> list[str]:
    """Name the tables that are not equal."""
    return [
        name
        for name in sorted({*one, *other})
        if name not in one or name not in other or not one[name].equals(other[name])
    ]


def open_shop(folder: Path) -> Shop:
    """Load the first lines of a demo, build and publish them; others wait in a file."""
    shop = Shop(folder)
    demo = write_demo(folder / "demo", customers=CUSTOMERS)
    with duckdb.connect() as connection:
        connection.execute(f"create view lines as from read_parquet('{demo.lines}')")
        late = '"InvoiceDate" >= (select quantile_disc("InvoiceDate", 0.9) from lines)'
        for name, which in (("first", f"not ({late})"), ("later", late)):
            connection.execute(
                f"copy (select * from lines where {which}) "
                f"to '{folder / name}.csv' (header)"
            )
        [(busiest,)] = connection.execute(
            'select cast(mode("CustomerID") as varchar) from lines'
        ).fetchall()
    (folder / "customer.txt").write_text(busiest)
    load_files([folder / "first.csv"], landing=shop.landing)
    code, said = shop.run("build")
    assert code == 0, said
    return shop
