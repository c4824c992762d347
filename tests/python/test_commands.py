"""The commands end to end, in a copy of the project: nothing loaded, demo, own file."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

PROJECT = Path(__file__).parents[2]
COPIED = ["models", "seeds", "macros", "analyses", "tests/generic", "tests/singular"]
SMALL_SHOP = """Rechnung,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
1,22423,[bold]TEA SET[/bold],10,2024-01-02 10:00,2.50,77,France
1,POST,POSTAGE,1,2024-01-02 10:00,9.99,77,France
1,22423,[bold]TEA SET[/bold],10,2024-01-02 10:00,2.50,77,France
C2,22423,[bold]TEA SET[/bold],-4,2024-01-05 10:00,2.50,77,France
3,84879,BIRD,3,2024-01-06 10:00,1.10,,France
"""  # noqa: E501


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A fresh copy of the project, in a folder whose name needs quoting."""
    folder = tmp_path_factory.mktemp("a [shop] & more") / "retail segments"
    for name in COPIED:
        shutil.copytree(PROJECT / name, folder / name)
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / name, folder)
    return folder


def _without_network():
    """Say how to cut a process off from every network, where the system lets us."""
    command = ["unshare", "--map-root-user", "--net"]
    program = shutil.which(command[0])
    if program is None:
        return []
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    return command if tried.returncode == 0 else []


# Nothing but `download` needs a network, and no test here runs that.
WITHOUT_NETWORK = _without_network()


def run(folder, *arguments, **environment):
    outside = ("DBT_", "DUCKDB_PATH", "LANDING_PATH", "SCHEMA_PREFIX", "COLUMNS")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(outside)}
    return subprocess.run(
        [
            *WITHOUT_NETWORK,
            str(Path(sys.executable).with_name("retail-segments")),
            *arguments,
        ],
        cwd=folder,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def failed(result, code=2):
    """Return what a command said that failed as it should: no traceback."""
    assert result.returncode == code
    assert "Traceback" not in result.stdout + result.stderr
    return result.stdout + result.stderr


# Its folder is made on demand.
WAREHOUSE = "new/folder/shop.duckdb"


@pytest.fixture(scope="module")
def demo_build(shop):
    assert run(shop, "demo", "--customers", "400").returncode == 0
    return run(shop, "build", DUCKDB_PATH=WAREHOUSE)


def test_a_build_a_report_and_extracts_need_no_network(shop, demo_build):
    if not WITHOUT_NETWORK:
        pytest.skip("this system lets nobody make a network of their own (unshare)")
    report = run(shop, "report", DUCKDB_PATH=WAREHOUSE)
    extracts = run(shop, "export", "--customer-ids", DUCKDB_PATH=WAREHOUSE)

    assert demo_build.returncode == 0, demo_build.stderr
    assert report.returncode == 0, report.stderr
    assert extracts.returncode == 0, extracts.stderr


def test_without_a_build_there_is_no_summary(tmp_path):
    said = failed(run(tmp_path, "summary"))
    assert (
        "There is no warehouse at warehouse/retail_segments.duckdb. "
        "Run `make build` first."
    ) in said


def test_a_build_elsewhere_is_refused(tmp_path):
    said = failed(run(tmp_path, "build", LANDING_PATH=str(tmp_path / "nowhere")))
    assert "holds no dbt_project.yml. Run this in the project's folder." in said
    assert not (tmp_path / "demo").exists()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{as_of_date: 2011-02-30}", "cannot be read as YAML: day is out of range"),
        ("{", "cannot be read as YAML"),
        ("cluster_count", "are no mapping"),
    ],
)
def test_vars_that_are_no_mapping_are_refused(shop, text, sentence):
    said = failed(run(shop, "build", "--vars", text))
    assert sentence in said
    assert "'{cluster_count: 5, as_of_date: 2011-09-09}'" in said


def test_the_demo_is_built_and_summed_up(shop, demo_build):
    assert demo_build.returncode == 0, demo_build.stdout + demo_build.stderr
    with duckdb.connect(str(shop / WAREHOUSE), read_only=True) as connection:
        [(delivered,)] = connection.execute(
            "select count(*) from intermediate.int_lines_classified"
        ).fetchall()
        names = connection.execute(
            "select cluster_id || ' ' || segment_name from marts.dim_segments"
        ).fetchall()
    assert f"delivered   {delivered:>18,}".split() == next(
        line.split()[:2]
        for line in demo_build.stdout.splitlines()
        if line.startswith("delivered")
    )
    assert "exact_duplicate" in demo_build.stdout
    assert len(names) == 4
    # A long name is wrapped; what follows it on the line is two spaces away.
    first_column = " ".join(
        re.split(r"\s{2,}", line)[0] for line in demo_build.stdout.splitlines()
    )
    assert all(name in first_column for (name,) in names)


def test_the_warehouse_can_be_read_by_duckdb_1(shop, demo_build):
    assert demo_build.returncode == 0
    with duckdb.connect(str(shop / WAREHOUSE), read_only=True) as connection:
        [(tags,)] = connection.execute(
            "select tags from duckdb_databases() where database_name = 'shop'"
        ).fetchall()
    assert tags["storage_version"].startswith("v1.")


def test_the_example_query_runs_when_pasted(shop, demo_build):
    command = next(
        line.removeprefix("Query it").strip()
        for line in demo_build.stdout.splitlines()
        if line.startswith("Query it")
    )
    result = subprocess.run(
        command, shell=True, cwd=shop, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "segment_name" in result.stdout


def test_a_var_that_cannot_be_used_stops_the_build_with_a_sentence(shop, demo_build):
    assert demo_build.returncode == 0
    said = failed(run(shop, "build", "--vars", "{cluster_count: 99}"))
    assert "cluster_count is '99'; give auto or a whole number from 2 to 10" in said
    assert "The build failed; what is wrong is said above" in said


def test_a_file_of_ones_own_replaces_the_demo(shop, demo_build):
    assert demo_build.returncode == 0
    (shop / "my lines.csv").write_text(SMALL_SHOP)
    said = failed(run(shop, "build", "--data", "my lines.csv"), code=1)
    assert "has no column for invoice_no" in said

    (shop / "columns.yml").write_text("columns: {invoice_no: Rechnung}\n")
    result = run(shop, "build", "--data", "my lines.csv", SCHEMA_PREFIX="dev_ada")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "put aside" in result.stdout
    assert "1 known, 0 in a segment; in none: 1 too_few_customers" in result.stdout
    assert "Segments as of" not in result.stdout

    warehouse = shop / "warehouse/retail_segments.duckdb"
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        [customer] = connection.execute(
            "select customer_id, order_count, gross_amount, returned_amount, "
            "net_amount, other_amount, favourite_products "
            "from dev_ada_marts.dim_customers"
        ).fetchall()
        [(files,)] = connection.execute(
            "select string_agg(distinct source_file) "
            "from dev_ada_marts.fct_invoice_lines"
        ).fetchall()
        schemas = {
            name
            for (name,) in connection.execute(
                "select distinct schema_name from duckdb_tables()"
            ).fetchall()
        }
    amounts = [str(amount) for amount in customer[2:6]]
    assert customer[:2] == ("77", 1)
    assert amounts == ["25.0000", "10.0000", "15.0000", "9.9900"]
    assert customer[6] == "[bold]TEA SET[/bold]"
    assert files == "my lines.csv"
    assert schemas == {
        "dev_ada_reference",
        "dev_ada_intermediate",
        "dev_ada_marts",
        "dev_ada_ml",
    }
    assert not (shop / "warehouse" / "published").exists()
    assert "remove" in failed(run(shop, "demo", "--customers", "10"))
