"""The Airflow DAG: parsed by Airflow's own DagBag, and its first tasks run for real."""

import json

import pytest
from scheduled import BIN, EXAMPLES, PROJECT, call, read, said

AIRFLOW = PROJECT / ".venv-airflow" / "bin"
if not (AIRFLOW / "airflow").exists():
    pytest.skip(
        "Airflow is not installed: run `make test-examples`", allow_module_level=True
    )

PARSE = """
import json, sys
import airflow
from airflow.dag_processing.dagbag import DagBag

bag = DagBag(sys.argv[1])
dag = bag.dags.get("retail_segments_daily")
json.dump(
    {
        "errors": bag.import_errors,
        "tasks": {
            task.task_id: {
                "kind": type(task).__name__,
                "upstream": sorted(task.upstream_task_ids),
                "retries": task.retries,
                "alerts": len(task.on_failure_callback),
            }
            for task in dag.tasks
        },
        "catchup": dag.catchup,
        "at_once": [dag.max_active_runs, dag.max_active_tasks],
    },
    open(sys.argv[2], "w"),
)
"""
RUN = """
import json, sys
import airflow
from airflow.dag_processing.dagbag import DagBag

dag = DagBag(sys.argv[1]).dags["retail_segments_daily"]
first = dag.partial_subset(
    ["build.int_lines_classified_model_build"], include_upstream=True
)
run = first.test(run_conf={"cluster_model": "refit"})
states = {task.task_id: str(task.state) for task in run.get_task_instances()}
json.dump({"state": str(run.state), "tasks": states}, open(sys.argv[2], "w"))
"""


@pytest.fixture(scope="module")
def places(tmp_path_factory, inbox):
    folder = tmp_path_factory.mktemp("airflow")
    return {
        "AIRFLOW_HOME": folder / "home",
        "AIRFLOW__CORE__DAGS_FOLDER": EXAMPLES / "airflow",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
        "AIRFLOW__COSMOS__CACHE_DIR": folder / "cosmos",
        "RETAIL_SEGMENTS_PROJECT": PROJECT,
        "RETAIL_SEGMENTS_INBOX": inbox,
        "DUCKDB_PATH": folder / "shop.duckdb",
        "LANDING_PATH": folder / "landing",
    }


def ask(code, places):
    """Run code in Airflow's environment, and read the JSON that it writes."""
    answer = places["DUCKDB_PATH"].parent / "answer.json"
    answer.unlink(missing_ok=True)
    command = [AIRFLOW / "python", "-c", code, EXAMPLES / "airflow", answer]
    result = call(command, **places)
    assert answer.exists(), said(result)[-5000:]
    return json.loads(answer.read_text())


@pytest.fixture(scope="module")
def parsed(places):
    # What a deployment does once.
    result = call([BIN / "dbt", "--quiet", "parse"], **places)
    assert result.returncode == 0, said(result)
    return ask(PARSE, places)


def test_the_dag_is_imported_without_an_error(parsed):
    assert parsed["errors"] == {}
    assert parsed["catchup"] is False
    # DuckDB lets one process write.
    assert parsed["at_once"] == [1, 1]


def test_lines_are_loaded_and_checked_before_any_model(parsed):
    tasks = parsed["tasks"]
    assert tasks["freshness"]["upstream"] == ["load"]
    roots = [name for name, task in tasks.items() if not task["upstream"]]
    assert roots == ["load"]
    segments = tasks["build.dim_customer_segments_model_build"]
    assert segments["kind"] == "DbtBuildLocalOperator"
    assert "build.fct_customer_rfm_model_build" in segments["upstream"]


def test_every_model_and_every_gate_over_several_has_a_task(parsed):
    manifest = json.loads((PROJECT / "target" / "manifest.json").read_text())
    models = [
        node["name"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    ]
    tasks = set(parsed["tasks"])
    assert {f"build.{name}_model_build" for name in models} <= tasks
    assert "build.assert_orders_count_as_their_lines_do_test" in tasks


def test_only_loading_is_tried_again_and_everything_alerts(parsed):
    retried = {name for name, task in parsed["tasks"].items() if task["retries"]}
    assert retried == {"load"}
    assert all(task["alerts"] for task in parsed["tasks"].values())


def test_the_first_tasks_run(parsed, places):
    assert parsed["errors"] == {}
    for command in (["db", "migrate"], ["dags", "reserialize"]):
        result = call([AIRFLOW / "airflow", *command], **places)
        assert result.returncode == 0, said(result)[-5000:]
    run = ask(RUN, places)
    assert run["state"].endswith("success"), run
    assert set(run["tasks"]) == {
        "load",
        "freshness",
        "build.non_product_codes_seed_build",
        "build.stg_online_retail__lines_model_build",
        "build.int_as_of_date_model_build",
        "build.int_lines_classified_model_build",
    }
    [(lines,)] = read(
        places["DUCKDB_PATH"], "select count(*) from intermediate.int_lines_classified"
    )
    assert lines > 1_000
