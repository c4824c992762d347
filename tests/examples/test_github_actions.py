"""The workflow's own steps, run in order on a clean copy of the project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from scheduled import EXAMPLES, PROJECT, call, read, said

WORKFLOW = yaml.safe_load((EXAMPLES / "github-actions" / "daily.yml").read_text())
JOB = WORKFLOW["jobs"]["build"]
STEPS = {step["name"]: step for step in JOB["steps"] if "name" in step}


def copy_project(folder):
    """Check out what git knows or would add, as actions/checkout does."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.splitlines():
        if (PROJECT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(PROJECT / name, folder / name)


class Runner:
    """A runner with a Python of its own, as actions/setup-python leaves it."""

    def __init__(self, folder):
        self.work = folder / "work"
        self.work.mkdir()
        self.summary = folder / "summary.md"
        copy_project(self.work)
        made = call([sys.executable, "-m", "venv", folder / "python"])
        assert made.returncode == 0, said(made)
        self.path = f"{folder / 'python' / 'bin'}:/usr/local/bin:/usr/bin:/bin"

    def step(self, name, **environment):
        step = STEPS[name]
        script = self.work.parent / "step.sh"
        script.write_text(step["run"])
        given = {
            key: value
            for key, value in {**WORKFLOW["env"], **step.get("env", {})}.items()
            if "${{" not in value
        }
        # What `shell: bash` stands for.
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", script]
        return call(
            command,
            cwd=self.work,
            **{
                **given,
                "PATH": self.path,
                "GITHUB_STEP_SUMMARY": self.summary,
                "CLUSTER_MODEL": "",
                **environment,
            },
        )


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    return Runner(tmp_path_factory.mktemp("runner"))


@pytest.fixture(scope="module")
def export(tmp_path_factory, inbox):
    """The till system's export, as csv."""
    import duckdb

    csv = tmp_path_factory.mktemp("till") / "export.csv"
    with duckdb.connect() as connection:
        connection.execute(
            f"copy (from '{inbox / 'lines.parquet'}') to '{csv}' (header)"
        )
    return csv


def test_every_action_is_pinned_to_a_commit():
    used = [step["uses"] for step in JOB["steps"] if "uses" in step]
    commits = [name.partition("@")[2] for name in used]
    assert len(used) == 5
    assert all(
        len(commit) == 40 and set(commit) <= set("0123456789abcdef")
        for commit in commits
    )


def test_the_lines_are_loaded_before_they_are_checked_and_built():
    assert list(STEPS) == [
        "Install what the lock file says",
        "Load the day's lines",
        "Check that the feed is alive",
        "Build, and run every gate",
        "Sum up",
        "Tell whoever is on call",
    ]
    assert STEPS["Tell whoever is on call"]["if"] == "failure()"
    assert WORKFLOW["concurrency"]["cancel-in-progress"] is False


def test_every_step_is_a_script_that_bash_can_read():
    for step in STEPS.values():
        result = subprocess.run(
            ["bash", "-n"], input=step["run"], text=True, capture_output=True
        )
        assert result.returncode == 0, result.stderr


def test_the_steps_run_in_order_on_a_clean_copy(runner, export):
    for name in STEPS:
        if name == "Tell whoever is on call":
            continue
        result = runner.step(name, LINES_URL=export.as_uri())
        assert result.returncode == 0, f"{name}: {said(result)}"
    assert "### dbt build: green" in runner.summary.read_text()
    warehouse = runner.work / WORKFLOW["env"]["DUCKDB_PATH"]
    [(customers,)] = read(warehouse, "select count(*) from marts.dim_customer_segments")
    assert customers > 100
    # With a model there, weekdays keep it: the next day's build is not a refit.
    script = STEPS["Build, and run every gate"]["run"]
    assert "CLUSTER_MODEL=frozen" in script


def test_an_export_that_is_gone_stops_before_the_build(runner):
    step = STEPS["Load the day's lines"]
    assert "--fail" in step["run"]
    gone = Path("/nowhere/export.csv").as_uri()
    quick = {**step, "run": step["run"].replace("--retry 5", "--retry 0")}
    STEPS["gone"] = quick
    try:
        result = runner.step("gone", LINES_URL=gone)
    finally:
        del STEPS["gone"]
    assert result.returncode != 0
