"""Exit codes, and what `retail-segments results` says of runs that dbt made."""

import os
import shlex
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
from conftest import write_landing

PROJECT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SOME = ["+int_lines_classified"]
GATE = """
-- A gate that two of three lines break.
select
    invoice_number,
    quantity
from {{ ref('stg_online_retail__lines') }}
where quantity > 1
"""
GATE_YAML = """
data_tests:
  - name: assert_nobody_buys_two
    description: Nobody buys more than one of | anything.
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Copy the project, with three lines."""
    folder = tmp_path_factory.mktemp("results") / "shop"
    for name in ("models", "seeds", "macros", "analyses", "tests/generic"):
        shutil.copytree(PROJECT / name, folder / name)
    (folder / "tests" / "singular").mkdir()
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / name, folder)
    lines = [
        {
            "invoice_no": str(number),
            "stock_code": "22423",
            "quantity": number,
            "invoice_date": datetime(2024, 1, number),
            "unit_price": 1,
        }
        for number in (1, 2, 3)
    ]
    write_landing(folder / "landing", lines)
    return folder


def run(folder, *command):
    outside = ("DBT_", "DUCKDB_PATH", "LANDING_PATH", "SCHEMA_PREFIX")
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(outside)}
    result = subprocess.run(
        [str(BIN / command[0]), *command[1:]],
        cwd=folder,
        env={**inherited, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in result.stdout + result.stderr
    return result


def build(folder, *selected):
    return run(
        folder,
        *("dbt", "--quiet", "build", "--exclude-resource-type", "unit_test"),
        *("--indirect-selection", "buildable", "--select", *(selected or SOME)),
    )


def results(folder, *options):
    return run(folder, "retail-segments", "results", *options)


@pytest.fixture(scope="module")
def green(shop):
    built = build(shop)
    assert built.returncode == 0, built.stdout
    return results(shop)


@pytest.fixture(scope="module")
def red(shop, green):
    """Build with a gate that cannot hold."""
    assert green.returncode == 0
    gates = shop / "tests" / "singular"
    (gates / "assert_nobody_buys_two.sql").write_text(GATE)
    (gates / "_singular.yml").write_text(GATE_YAML)
    return build(shop)


def test_a_green_run_is_summed_up(green):
    assert green.returncode == 0
    assert green.stdout.startswith("dbt build: green; finished ")
    counts = [line.split() for line in green.stdout.splitlines()]
    assert ["ok", "warned", "failed", "skipped"] in counts
    [models] = [line for line in counts if line[:1] == ["models"]]
    assert models[2:] == ["0", "0", "0"]
    assert "Failed" not in green.stdout


def test_a_red_gate_is_told_with_its_rows_its_meaning_and_what_to_do(shop, red):
    assert red.returncode == 1
    said = results(shop)
    assert said.returncode == 1
    assert "dbt build: red, 1 failed" in said.stdout
    [title, meaning, advice] = said.stdout.split("Failed\n")[1].splitlines()[:3]
    assert title == "assert_nobody_buys_two  2 rows"
    assert meaning == "  Nobody buys more than one of | anything."
    shown = run(shop, *shlex.split(advice))
    assert shown.returncode == 0, shown.stdout
    rows = [line.split() for line in shown.stdout.splitlines()]
    assert ["|", "2", "|", "2", "|"] in rows
    assert ["|", "3", "|", "3", "|"] in rows
    # Looking into it leaves the results as they are.
    assert results(shop).stdout == said.stdout


def test_markdown_is_for_github(shop, red):
    assert red.returncode == 1
    said = results(shop, "--markdown")
    assert said.returncode == 1
    assert said.stdout.startswith("### dbt build: red, 1 failed")
    assert (
        "| `assert_nobody_buys_two` | 2 | Nobody buys more than one of \\| anything. | "
        "`dbt --no-write-json show --select assert_nobody_buys_two --limit 20` |"
    ) in said.stdout.splitlines()


def test_a_gate_of_a_generic_test_says_which_columns(shop, red):
    """Nobody describes these, so their meaning is put together."""
    assert red.returncode == 1
    from retail_segments.results import read_results

    says = {node.name: node.says for node in read_results(shop / "target").nodes}
    [missing] = [
        text
        for name, text in says.items()
        if name.startswith("columns_not_null_stg_online")
    ]
    assert missing == "No value is missing in stg_online_retail__lines: change_group."
    [key] = [
        text
        for name, text in says.items()
        if name.startswith("primary_key_non_product_codes")
    ]
    assert key == (
        "The key tells rows apart, and no value is missing in "
        "non_product_codes: stock_code; line_type."
    )


def test_a_model_that_fails_says_why_and_what_was_skipped(shop, green):
    assert green.returncode == 0
    model = shop / "models" / "intermediate" / "int_as_of_date.sql"
    before = model.read_text()
    model.write_text(before.replace("max(invoiced_at)", "max(no_such_column)"))
    try:
        built = build(shop, "int_as_of_date+1")
        said = results(shop)
    finally:
        model.write_text(before)
    assert (built.returncode, said.returncode) == (1, 1)
    assert "no_such_column" in said.stdout
    assert " skipped; finished" in said.stdout
    assert "  dbt build --select int_as_of_date\n" in said.stdout


def test_without_a_run_there_are_no_results(tmp_path):
    said = results(tmp_path)
    assert said.returncode == 2
    assert "There is no target/run_results.json" in said.stderr


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_what_dbt_did_not_write_is_refused(tmp_path, text):
    for name in ("run_results.json", "manifest.json"):
        (tmp_path / name).write_text(text)
    said = results(tmp_path, "--target-path", str(tmp_path))
    assert said.returncode == 2
    assert "run_results.json" in said.stderr


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("load", "no.csv"), 2),
        (("load", "bad.csv"), 1),
        (("load", "good.csv", "--column", "unit_price"), 2),
        (("load",), 2),
        (("summary",), 2),
        (("results", "--markup"), 2),
        (("build", "--vars", "{"), 2),
        (("export-audience",), 2),
        (("--version",), 0),
    ],
)
def test_exit_codes_say_whether_data_or_call_are_wrong(tmp_path, command, code):
    (tmp_path / "bad.csv").write_text("who,knows\n1,2\n")
    (tmp_path / "good.csv").write_text("Invoice\n1\n")
    (tmp_path / "dbt_project.yml").touch()
    assert run(tmp_path, "retail-segments", *command).returncode == code


def test_a_var_that_cannot_be_used_is_2(shop):
    said = run(shop, "retail-segments", "build", "--vars", "{cluster_count: 99}")
    assert said.returncode == 2
    assert "cluster_count is '99'" in said.stdout + said.stderr


@pytest.mark.parametrize("command", ["summary", "build"])
def test_a_warehouse_in_use_is_3(shop, green, command):
    assert green.returncode == 0
    warehouse = shop / "warehouse" / "retail_segments.duckdb"
    with duckdb.connect(str(warehouse)):
        said = run(shop, "retail-segments", command)
    assert said.returncode == 3
    assert f"is in use by another process (PID {os.getpid()})" in (
        said.stdout + said.stderr
    )


def test_a_warehouse_without_a_finished_build_is_2(shop, green):
    assert green.returncode == 0
    said = run(shop, "retail-segments", "summary")
    assert said.returncode == 2
    assert "has passed every gate yet" in said.stderr
