"""The day's lines, the build and its gates, one Airflow task per model, with Cosmos.

Airflow and the project have environments of their own: Cosmos calls the project's dbt.
"""

import os
from datetime import datetime, timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG, Param
from cosmos import (
    DbtTaskGroup,
    ExecutionConfig,
    ProfileConfig,
    ProjectConfig,
    RenderConfig,
)
from cosmos.constants import (
    ExecutionMode,
    InvocationMode,
    LoadMode,
    TestBehavior,
    TestIndirectSelection,
)

PROJECT = Path(os.environ["RETAIL_SEGMENTS_PROJECT"])
# Cosmos runs dbt in temporary folders, so that these have to be absolute.
PLACES = {
    "DUCKDB_PATH": os.environ["DUCKDB_PATH"],
    "LANDING_PATH": os.environ["LANDING_PATH"],
}
INBOX = os.environ["RETAIL_SEGMENTS_INBOX"]
BIN = PROJECT / ".venv" / "bin"

# On Sundays K-Means is fitted again, on other days SQL places customers by the last
# model. The very first run has to be a refit: trigger it with that parameter.
CLUSTER_MODEL = (
    "{{ params.cluster_model if params.cluster_model != 'by weekday' else "
    "('refit' if dag_run.run_after.isoweekday() == 7 else 'frozen') }}"
)


def alert(context):
    """Tell whoever is on call; put your pager or chat in the place of the log."""
    task = context["task_instance"]
    print(f"ALERT {task.dag_id} {task.task_id} failed: {task.log_url}")


with DAG(
    dag_id="retail_segments_daily",
    schedule="0 5 * * *",
    start_date=datetime(2026, 1, 1),
    # A run reads all that has landed, so that one run makes up for any number missed.
    catchup=False,
    max_active_runs=1,
    # DuckDB lets one process write at a time.
    max_active_tasks=1,
    # A gate that failed fails again on the same data: only loading is tried again.
    default_args={"retries": 0, "on_failure_callback": alert},
    params={
        "cluster_model": Param("by weekday", enum=["by weekday", "refit", "frozen"])
    },
):
    load = BashOperator(
        task_id="load",
        # Files that have been loaded before add nothing, so they may stay in the inbox.
        bash_command=f'{BIN}/retail-segments load "{INBOX}"/*',
        cwd=str(PROJECT),
        env=PLACES,
        append_env=True,
        retries=3,
        retry_delay=timedelta(minutes=5),
    )
    freshness = BashOperator(
        task_id="freshness",
        bash_command=(
            f"{BIN}/dbt source freshness --target-path target/freshness "
            "--vars '{freshness_warn_days: 2, freshness_error_days: 7}'"
        ),
        cwd=str(PROJECT),
        env=PLACES,
        append_env=True,
    )
    build = DbtTaskGroup(
        group_id="build",
        project_config=ProjectConfig(
            # Made when the project is deployed, by `dbt parse`: parsing a DAG must be
            # quick, and Airflow does it all the time.
            manifest_path=PROJECT / "target" / "manifest.json",
            project_name="retail_segments",
            install_dbt_deps=False,
        ),
        profile_config=ProfileConfig(
            profile_name="retail_segments",
            target_name="duckdb",
            profiles_yml_filepath=PROJECT / "profiles.yml",
        ),
        execution_config=ExecutionConfig(
            execution_mode=ExecutionMode.LOCAL,
            invocation_mode=InvocationMode.SUBPROCESS,
            dbt_executable_path=BIN / "dbt",
            dbt_project_path=PROJECT,
            # A gate over several models waits until all of them are there.
            test_indirect_selection=TestIndirectSelection.BUILDABLE,
        ),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            # A task is a model and its gates: what comes after a red one does not run.
            test_behavior=TestBehavior.BUILD,
            should_detach_multiple_parents_tests=True,
            exclude=["resource_type:unit_test"],
        ),
        operator_args={
            "vars": {"cluster_model": CLUSTER_MODEL},
            "env": PLACES,
            "append_env": True,
        },
    )
    load >> freshness >> build
