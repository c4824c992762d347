"""`dbt source freshness` tells a stalled feed by the newest invoice date."""

import json
from datetime import datetime, timedelta

import duckdb
import pytest
from conftest import run_dbt, write_landing

DAYS = {"freshness_warn_days": 2, "freshness_error_days": 7}
OFF = {}


def lines_of(*ages):
    """Make one line per age in days."""
    return [
        {
            "invoice_no": str(number),
            "invoice_date": datetime.now() - timedelta(days=age),
        }
        for number, age in enumerate(ages)
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """One target folder for all, so that dbt need not parse everything each time."""
    return tmp_path_factory.mktemp("freshness")


def check(folder, landing, variables):
    """Run the check; return its exit code, what it says and what it found."""
    (folder / "target" / "sources.json").unlink(missing_ok=True)
    result = run_dbt(
        ["source", "freshness"], folder=folder, landing=landing, variables=variables
    )
    written = folder / "target" / "sources.json"
    found = json.loads(written.read_text())["results"] if written.exists() else []
    said = result.stdout + result.stderr
    assert "Traceback" not in said
    return result.returncode, said, [source["status"] for source in found]


@pytest.mark.parametrize(
    ("ages", "variables", "code", "status"),
    [
        ((1, 400), DAYS, 0, ["pass"]),
        ((3, 400), DAYS, 0, ["warn"]),
        # A date in the future is a slip of the pen, not a sign of life.
        ((8, -4000), DAYS, 1, ["error"]),
        # Old data are what you asked for until you say otherwise.
        ((5_000,), OFF, 0, []),
    ],
)
def test_a_stalled_feed_is_told_by_the_newest_line(
    folder, tmp_path, ages, variables, code, status
):
    landing = write_landing(tmp_path / "landing", lines_of(*ages))
    assert check(folder, landing, variables)[::2] == (code, status)


def test_a_table_of_the_warehouse_is_checked_in_place_of_the_folder(tmp_path):
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute(
            "create table lines as select cast(now()::timestamp - to_days(9) as text) "
            "as \"Invoice Date\" union all select 'soon'",
        )
    variables = {
        **DAYS,
        "source_table": "main.lines",
        "source_columns": {"invoice_date": "Invoice Date"},
    }
    found = check(tmp_path, tmp_path / "no-landing", variables)
    assert found[::2] == (1, ["error"])


def test_an_empty_folder_is_no_fresh_one(folder, tmp_path):
    code, said, _ = check(folder, tmp_path / "no-landing", DAYS)
    assert code == 2
    assert "No invoice lines are loaded" in said


def test_a_wrong_number_of_days_is_refused(folder, tmp_path):
    landing = write_landing(tmp_path / "landing", lines_of(1))
    code, said, _ = check(folder, landing, {**DAYS, "freshness_warn_days": -1})
    assert code == 2
    assert "freshness_warn_days is '-1'; give a whole number from 0" in said
