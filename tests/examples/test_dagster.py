"""The Dagster example, materialised in process."""

import json
import sys

import pytest
from scheduled import BIN, EXAMPLES, PROJECT, call, read, said

pytest.importorskip(
    "dagster_dbt", reason="Dagster is not installed: run `make test-examples`"
)

# Dagster in a process of its own: it reads the places from the environment on import.
MATERIALISE = """
import json, sys
import dagster as dg
import definitions

instance = dg.DagsterInstance.local_temp(sys.argv[1])
job = definitions.defs.resolve_job_def("everything")
config = definitions.run_config("refit")
result = job.execute_in_process(
    instance=instance, run_config=config, raise_on_error=False
)
repository = definitions.defs.get_repository_def()
tick = definitions.on_new_files(dg.build_sensor_context(instance=instance))
again = definitions.on_new_files(
    dg.build_sensor_context(instance=instance, cursor=tick.cursor)
)
schedules = {}
for schedule in (definitions.on_weekdays, definitions.on_sundays):
    [request] = schedule.evaluate_tick(dg.build_schedule_context()).run_requests
    schedules[schedule.cron_schedule] = request.run_config["ops"]["models"]["config"]
json.dump(
    {
        "success": result.success,
        "assets": [
            event.asset_key.to_user_string()
            for event in result.get_asset_materialization_events()
        ],
        "checks": {
            check.check_name + " of " + check.asset_key.to_user_string(): check.passed
            for check in result.get_asset_check_evaluations()
        },
        "requests": len(tick.run_requests),
        "again": len(again.run_requests or []),
        "schedules": schedules,
    },
    open(sys.argv[2], "w"),
)
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory, inbox):
    folder = tmp_path_factory.mktemp("dagster")
    (folder / "instance").mkdir()
    return {
        "RETAIL_SEGMENTS_INBOX": inbox,
        "DUCKDB_PATH": folder / "shop.duckdb",
        "LANDING_PATH": folder / "landing",
        "DBT_TARGET_PATH": folder / "target",
        "DBT_LOG_PATH": folder / "logs",
    }


@pytest.fixture(scope="module")
def run(places):
    folder = places["DUCKDB_PATH"].parent
    # What a deployment does once, and `dagster dev` by itself.
    parsed = call([BIN / "dbt", "--quiet", "parse"], cwd=PROJECT, **places)
    assert parsed.returncode == 0, said(parsed)
    found = folder / "found.json"
    result = call(
        [sys.executable, "-c", MATERIALISE, folder / "instance", found],
        cwd=EXAMPLES / "dagster",
        **places,
    )
    assert found.exists(), said(result)[-5000:]
    return {**json.loads(found.read_text()), "said": said(result)}


def test_everything_is_materialised(run, places):
    assert run["success"], run["said"][-5000:]
    assert {
        "online_retail/lines",
        "staging/stg_online_retail__lines",
        "marts/dim_customer_segments",
        "marts/rpt_control_totals",
    } <= set(run["assets"])
    [(customers,)] = read(
        places["DUCKDB_PATH"], "select count(*) from marts.dim_customer_segments"
    )
    assert customers > 100


def test_the_gates_are_asset_checks_that_passed(run):
    assert all(run["checks"].values())
    assert "is_fresh of online_retail/lines" in run["checks"]
    gates = [name for name in run["checks"] if "dim_customer_segments" in name]
    assert len(run["checks"]) > 300
    assert len(gates) > 5


def test_the_summary_is_in_the_log(run):
    assert "### dbt build: green" in run["said"]


def test_weekdays_keep_the_model_and_sundays_fit_it(run):
    models = {
        cron: config["cluster_model"] for cron, config in run["schedules"].items()
    }
    assert models == {"0 5 * * 1-6": "frozen", "0 5 * * 0": "refit"}


def test_a_new_file_asks_for_a_run_once(run):
    assert (run["requests"], run["again"]) == (1, 0)
