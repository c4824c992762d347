"""The cron script, run as cron would: twice, into a held lock, and red."""

import fcntl
import os
import shutil

import duckdb
import pytest
from scheduled import BIN, EXAMPLES, PROJECT, call, read, said

SCRIPT = EXAMPLES / "cron" / "daily.sh"


class Machine:
    """A folder with an inbox, and the script's settings."""

    def __init__(self, folder, inbox):
        self.folder = folder
        shutil.copytree(inbox, folder / "inbox")
        self.pager = folder / "page"
        self.pager.write_text(
            f'#!/bin/sh\n{{ echo "code $1"; cat; }} > "{folder}/paged"\n'
        )
        self.pager.chmod(0o755)

    def run(self, **settings):
        return call(
            [SCRIPT],
            cwd=self.folder,
            **{
                "PROJECT": PROJECT,
                "INBOX": self.folder / "inbox",
                "LOGS": self.folder / "logs",
                "PUBLISHED_PATH": self.folder / "published" / "shop.duckdb",
                "DUCKDB_PATH": self.folder / "warehouse" / "shop.duckdb",
                "LANDING_PATH": self.folder / "landing",
                "DBT_TARGET_PATH": self.folder / "target",
                "DBT_LOG_PATH": self.folder / "dbt-logs",
                "NOTIFY": self.pager,
                **settings,
            },
        )

    @property
    def log(self):
        [path] = (self.folder / "logs").glob("*.log")
        return path.read_text()

    def paged(self):
        page = self.folder / "paged"
        text = page.read_text() if page.exists() else ""
        page.unlink(missing_ok=True)
        return text


@pytest.fixture(scope="module")
def machine(tmp_path_factory, inbox):
    return Machine(tmp_path_factory.mktemp("a machine"), inbox)


@pytest.fixture(scope="module")
def first_run(machine):
    result = machine.run()
    assert result.returncode == 0, said(result) + machine.log
    return result


def test_shellcheck_has_nothing_to_say():
    shellcheck = BIN / "shellcheck"
    if not shellcheck.exists():
        pytest.skip("shellcheck is not installed: run `make test-examples`")
    result = call([shellcheck, SCRIPT])
    assert result.returncode == 0, said(result)


def test_a_green_run_is_quiet_and_publishes(machine, first_run):
    assert said(first_run) == ""
    assert machine.paged() == ""
    assert "cluster_model: refit" in machine.log
    assert "dbt build: green" in machine.log
    [(customers,)] = read(
        machine.folder / "published" / "shop.duckdb",
        "select count(*) from marts.dim_customer_segments",
    )
    assert customers > 100


def test_a_second_run_adds_nothing_and_keeps_the_model(machine, first_run):
    assert first_run.returncode == 0
    warehouse = machine.folder / "published" / "shop.duckdb"
    query = (
        "select (select count(*) from marts.fct_invoice_lines), "
        "(select string_agg(distinct model_id) from ml.ml_cluster_models), "
        "(select md5(string_agg(customer_id || segment_name, ',' order by customer_id))"
        " from marts.dim_customer_segments)"
    )
    before = read(warehouse, query)
    result = machine.run(CLUSTER_MODEL="frozen")
    assert result.returncode == 0, said(result)
    assert "cluster_model: frozen" in machine.log
    assert "Already loaded" in machine.log
    assert read(warehouse, query) == before


def test_a_run_leaves_another_alone(machine, first_run):
    assert first_run.returncode == 0
    with (machine.folder / "logs" / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        result = machine.run()
    assert result.returncode == 3
    assert "Another run is at work" in result.stderr


def test_a_stalled_feed_is_told_before_anything_is_built(tmp_path, inbox):
    stalled = Machine(tmp_path, inbox)
    lines = stalled.folder / "inbox" / "lines.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            'copy (select * replace ("InvoiceDate" - to_days(30) as "InvoiceDate") '
            f"from '{inbox / 'lines.parquet'}') to '{lines}' (format parquet)"
        )
    result = stalled.run()
    assert result.returncode == 1
    assert "ERROR STALE" in stalled.paged()
    assert not (stalled.folder / "published").exists()
    assert read(stalled.folder / "warehouse" / "shop.duckdb", "show all tables") == []


def test_a_file_that_cannot_be_read_pages_and_publishes_nothing(machine, first_run):
    assert first_run.returncode == 0
    published = machine.folder / "published" / "shop.duckdb"
    before = published.stat().st_mtime_ns
    broken = machine.folder / "inbox" / "zz.csv"
    broken.write_text("who,knows\n1,2\n")
    try:
        result = machine.run()
    finally:
        broken.unlink()
    assert result.returncode == 1
    page = machine.paged()
    assert page.startswith("code 1\n")
    assert "zz.csv has no column for invoice_no" in page
    assert published.stat().st_mtime_ns == before


def test_a_reader_that_holds_the_warehouse_is_named(machine, first_run):
    """Readers belong on the published copy; one on the warehouse stops the build."""
    assert first_run.returncode == 0
    warehouse = machine.folder / "warehouse" / "shop.duckdb"
    with duckdb.connect(str(warehouse), read_only=True):
        result = machine.run(CLUSTER_MODEL="frozen")
    assert result.returncode == 3
    page = machine.paged()
    assert f"is in use by another process (PID {os.getpid()})" in page
    assert "Traceback" not in page
