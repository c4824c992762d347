"""The metrics of the semantic layer are valid, and say what the marts say."""

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import PROJECT

# Headline figures that are metrics, too; others are figures of one model or one plan.
METRICS = [
    "gross_amount",
    "returned_amount",
    "net_amount",
    "return_rate",
    "order_count",
    "average_order_value",
    "guest_amount_share",
    "customer_count",
    "repeat_customer_share",
]


@pytest.fixture(scope="module")
def metricflow(demo_net, demo_folder, tmp_path_factory):
    """Run MetricFlow on a copy of the demo's warehouse, which it opens to write."""
    folder = tmp_path_factory.mktemp("metricflow")
    shutil.copy(demo_net.path, folder / demo_net.path.name)
    environment = os.environ | {
        "DUCKDB_PATH": str(folder / demo_net.path.name),
        "LANDING_PATH": str(demo_folder / "landing"),
        "DBT_PROFILES_DIR": str(PROJECT),
        "DBT_LOG_PATH": str(folder / "logs"),
    }

    def run(*arguments: str, program: str = "mf") -> str:
        result = subprocess.run(
            [str(Path(sys.executable).with_name(program)), *arguments],
            cwd=PROJECT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def query(*arguments: str) -> list[dict[str, str]]:
        target = folder / "answer.csv"
        run("query", *arguments, "--csv", str(target))
        with target.open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    # It reads what dbt parsed, from the project's own target.
    run("parse", "--quiet", program="dbt")
    run.query = query
    return run


def test_the_configuration_is_valid_against_the_warehouse(metricflow):
    answer = metricflow("validate-configs")

    assert "ERRORS: 0" in answer
    assert "against data warehouse" in answer


def test_metrics_say_what_the_headline_figures_say(metricflow, demo_net):
    expected = {
        row["figure"]: row["figure_value"]
        for row in demo_net.rows("select * from marts.rpt_headline_figures")
    }

    [found] = metricflow.query("--metrics", ",".join(METRICS), "--decimals", "9")

    for name in METRICS:
        assert float(found[name]) == pytest.approx(expected[name], rel=1e-9), name


def test_metrics_by_segment_and_by_period_are_those_of_the_marts(metricflow, demo_net):
    sizes = metricflow.query(
        *("--metrics", "segment_size", "--group-by", "customer__segment_name")
    )
    retained = metricflow.query(
        *("--metrics", "retention_rate", "--decimals", "9"),
        *("--group-by", "cohort_cell__periods_since"),
    )

    segments = demo_net.rows("select * from marts.dim_segments")
    curve = demo_net.rows("select * from marts.rpt_cohort_curve")
    assert {
        row["customer__segment_name"]: int(float(row["segment_size"]))
        for row in sizes
        if float(row["segment_size"])
    } == {row["segment_name"]: row["customer_count"] for row in segments}
    found = {
        int(float(row["cohort_cell__periods_since"])): float(row["retention_rate"])
        for row in retained
        if row["retention_rate"]
    }
    for row in curve:
        assert found[row["periods_since"]] == pytest.approx(
            row["retention_rate"], rel=1e-9
        )
