"""Running examples: their places, and commands as a scheduler would run them."""

import os
import subprocess
import sys
from pathlib import Path

import duckdb

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "examples"
BIN = Path(sys.executable).parent
# What a user's own shell may have set, and no example may lean on.
OURS = (
    "DBT_",
    "DUCKDB_",
    "LANDING_",
    "SCHEMA_",
    "RETAIL_",
    "DAGSTER_",
    "AIRFLOW_",
    "PYTEST_",
)


def call(command, *, cwd=PROJECT, **environment):
    """Run a command as a scheduler would, with nothing of ours in the environment."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**inherited, **{name: str(v) for name, v in environment.items()}},
        capture_output=True,
        text=True,
        check=False,
    )


def said(result):
    return result.stdout + result.stderr


def read(warehouse, query):
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        return connection.execute(query).fetchall()
