"""The day's lines, the models and their gates, as Dagster assets and asset checks."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets
from retail_segments.landing import landing_path
from retail_segments.load import load_files
from retail_segments.results import read_line_counts, read_results, to_markdown

PROJECT = DbtProject(
    project_dir=os.environ.get("RETAIL_SEGMENTS_PROJECT", Path(__file__).parents[2]),
    profiles_dir=os.environ.get("RETAIL_SEGMENTS_PROJECT", Path(__file__).parents[2]),
)
# `dagster dev` parses the project by itself; a deployment runs `dbt parse` once.
PROJECT.prepare_if_dev()
INBOX = Path(os.environ.get("RETAIL_SEGMENTS_INBOX", "inbox"))


class BuildConfig(dg.Config):
    """How one run builds."""

    cluster_model: str = "frozen"
    freshness_warn_days: int = 2
    freshness_error_days: int = 7


# The key is that of the dbt source, so that the staging models come after it. Loading
# is tried again, as a share may be away for a while; a gate that failed fails again.
@dg.asset(
    key=["online_retail", "lines"],
    group_name="landing",
    retry_policy=dg.RetryPolicy(max_retries=3, delay=300),
)
def lines(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Load what is in the inbox. Files that were loaded before add nothing."""
    files = sorted(path for path in INBOX.iterdir() if path.is_file())
    reports = load_files(files, landing=landing_path())
    new = sum(report.line_count for report in reports if not report.already_loaded)
    context.log.info("%s new lines in %s files", new, len(files))
    return dg.MaterializeResult(metadata={"new_lines": new, "files": len(files)})


@dg.asset_check(asset=lines, blocking=False)
def is_fresh(config: BuildConfig, dbt: DbtCliResource) -> dg.AssetCheckResult:
    """Compare the newest invoice date with today."""
    days = {
        "freshness_warn_days": config.freshness_warn_days,
        "freshness_error_days": config.freshness_error_days,
    }
    check = dbt.cli(
        ["source", "freshness", "--vars", str(days)],
        manifest=PROJECT.manifest_path,
        raise_on_error=False,
    ).wait()
    [found] = check.get_artifact("sources.json")["results"]
    return dg.AssetCheckResult(
        passed=found["status"] == "pass",
        severity=(
            dg.AssetCheckSeverity.WARN
            if found["status"] == "warn"
            else dg.AssetCheckSeverity.ERROR
        ),
        metadata={"newest_line": found.get("max_loaded_at", "none")},
    )


# One run of dbt, hence one process that writes to the warehouse.
@dbt_assets(manifest=PROJECT.manifest_path, project=PROJECT, pool="warehouse")
def models(
    context: dg.AssetExecutionContext, config: BuildConfig, dbt: DbtCliResource
) -> Iterator[object]:
    """Build the models that were asked for, and run their gates as asset checks."""
    choice = str({"cluster_model": config.cluster_model})
    build = dbt.cli(
        ["build", "--exclude-resource-type", "unit_test", "--vars", choice],
        context=context,
        raise_on_error=False,
    )
    yield from build.stream()
    results = read_results(build.target_path)
    warehouse = Path(os.environ["DUCKDB_PATH"])
    context.log.info(to_markdown(results, read_line_counts(results, warehouse)))
    if not results.is_green:
        raise dg.Failure(
            "A gate or a model failed; the log says which, and what to do."
        )


def run_config(cluster_model: str) -> dg.RunConfig:
    """Have a run keep the last cluster model, or fit a new one."""
    return dg.RunConfig(ops={"models": BuildConfig(cluster_model=cluster_model)})


everything = dg.define_asset_job("everything", selection=dg.AssetSelection.all())
# A run reads all that has landed, so that one run makes up for any number missed.
on_weekdays = dg.ScheduleDefinition(
    name="on_weekdays",
    job=everything,
    cron_schedule="0 5 * * 1-6",
    run_config=run_config("frozen"),
)
on_sundays = dg.ScheduleDefinition(
    name="on_sundays",
    job=everything,
    cron_schedule="0 5 * * 0",
    run_config=run_config("refit"),
)


@dg.sensor(job=everything, minimum_interval_seconds=60)
def on_new_files(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """Build when a file has arrived in the inbox, once per set of files."""
    found = sorted(f"{path.name} {path.stat().st_mtime_ns}" for path in INBOX.iterdir())
    cursor = "\n".join(found)
    if not found or cursor == context.cursor:
        return dg.SensorResult(skip_reason="No new file is in the inbox.")
    request = dg.RunRequest(run_key=cursor, run_config=run_config("frozen"))
    return dg.SensorResult(run_requests=[request], cursor=cursor)


@dg.run_failure_sensor(monitored_jobs=[everything])
def alert(context: dg.RunFailureSensorContext) -> None:
    """Tell whoever is on call; put your pager or chat in the place of the log."""
    context.log.error("ALERT %s: %s", context.dagster_run.run_id, context.failure_event)


defs = dg.Definitions(
    assets=[lines, models],
    asset_checks=[is_fresh],
    schedules=[on_weekdays, on_sundays],
    sensors=[on_new_files, alert],
    resources={
        "dbt": DbtCliResource(
            project_dir=PROJECT,
            dbt_executable=str(Path(sys.executable).with_name("dbt")),
        )
    },
)
