"""A real BI server on the extracts: Superset, as docs/bi.md says, over its own API."""

import json
import os
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

import duckdb
import pytest
from retail_segments.demo import write_demo
from retail_segments.extracts import SERVING, write_extracts
from retail_segments.load import load_files

PROJECT = Path(__file__).parents[2]
SUPERSET = PROJECT / ".venv-superset" / "bin" / "superset"
if not SUPERSET.exists():
    pytest.skip(
        "Superset is not installed: run `make test-bi`", allow_module_level=True
    )

CONFIG = """
SECRET_KEY = {key!r}
SQLALCHEMY_DATABASE_URI = "sqlite:///{home}/superset.db"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
"""
PATIENCE = 180


@pytest.fixture(scope="module")
def serving(tmp_path_factory):
    """Build a small demo as a user would, and export it."""
    folder = tmp_path_factory.mktemp("shop")
    demo = write_demo(folder / "demo", customers=400)
    load_files([demo.lines], landing=folder / "landing", kind="demo")
    environment = os.environ | {
        "DUCKDB_PATH": str(folder / "shop.duckdb"),
        "LANDING_PATH": str(folder / "landing"),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    dbt = [str(PROJECT / ".venv/bin/dbt"), "build", "--quiet"]
    dbt += ["--exclude-resource-types", "unit_test", "test"]
    subprocess.run(dbt, cwd=PROJECT, env=environment, check=True)
    extracts = write_extracts(
        folder / "shop.duckdb", folder / "export", key=secrets.token_hex()
    )
    return extracts.folder / SERVING


class Server:
    """Superset's API, once somebody has logged in."""

    def __init__(self, address):
        self.address = address
        self.token = None

    def call(self, path, body=None):
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        request = urllib.request.Request(
            self.address + path,
            headers=headers,
            data=None if body is None else json.dumps(body).encode(),
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()}") from error


@pytest.fixture(scope="module")
def superset(tmp_path_factory):
    """Set Superset up, and serve it on a free port."""
    home = tmp_path_factory.mktemp("superset")
    password = secrets.token_hex()
    config = home / "superset_config.py"
    config.write_text(CONFIG.format(key=secrets.token_hex(), home=home))
    environment = os.environ | {
        "SUPERSET_CONFIG_PATH": str(config),
        "SUPERSET_HOME": str(home),
        "FLASK_APP": "superset",
    }
    who = ["--username", "ada", "--firstname", "Ada", "--lastname", "L"]
    who += ["--email", "ada@example.com", "--password", password]
    for command in (["db", "upgrade"], ["fab", "create-admin", *who], ["init"]):
        done = subprocess.run(
            [SUPERSET, *command],
            env=environment,
            cwd=home,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-4000:]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (home / "server.log").open("w") as log:
        process = subprocess.Popen(
            [SUPERSET, "run", "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            cwd=home,
            stdout=log,
            stderr=log,
        )
    server = Server(f"http://127.0.0.1:{port}")
    try:
        wait_until_up(server, process, home / "server.log")
        server.token = server.call(
            "/api/v1/security/login",
            {"username": "ada", "password": password, "provider": "db"},
        )["access_token"]
        yield server
    finally:
        process.terminate()
        process.wait()


def wait_until_up(server, process, log):
    since = time.monotonic()
    while time.monotonic() - since < PATIENCE:
        assert process.poll() is None, log.read_text()[-4000:]
        try:
            with urllib.request.urlopen(f"{server.address}/health", timeout=5):
                return
        except OSError:
            time.sleep(1)
    raise AssertionError(log.read_text()[-4000:])


def test_a_chart_of_the_segment_mart_shows_its_figures(superset, serving):
    database = superset.call(
        "/api/v1/database/",
        {
            "database_name": "retail_segments",
            "sqlalchemy_uri": f"duckdb:///{serving}?access_mode=read_only",
        },
    )["id"]
    dataset = superset.call(
        "/api/v1/dataset/",
        {
            "database": database,
            "schema": "marts",
            "table_name": "dim_customer_segments",
        },
    )["id"]
    query = {
        "columns": ["segment_name"],
        "metrics": [
            {
                "expressionType": "SQL",
                "sqlExpression": "COUNT(*)",
                "label": "customers",
            },
            {
                "expressionType": "SIMPLE",
                "column": {"column_name": "monetary_value"},
                "aggregate": "SUM",
                "label": "amount",
            },
        ],
        "row_limit": 100,
    }
    chart = superset.call(
        "/api/v1/chart/",
        {
            "slice_name": "Customers by segment",
            "viz_type": "echarts_timeseries_bar",
            "datasource_id": dataset,
            "datasource_type": "table",
            "params": json.dumps({"x_axis": "segment_name", **query}),
        },
    )["id"]
    [answer] = superset.call(
        "/api/v1/chart/data",
        {
            "datasource": {"id": dataset, "type": "table"},
            "queries": [query],
            "form_data": {"slice_id": chart},
            "result_format": "json",
            "result_type": "full",
        },
    )["result"]

    with duckdb.connect(str(serving), read_only=True) as connection:
        expected = connection.sql(
            "select segment_name, count(*), sum(monetary_value) "
            "from marts.dim_customer_segments group by 1"
        ).fetchall()
    found = {
        row["segment_name"]: (row["customers"], round(float(row["amount"]), 4))
        for row in answer["data"]
    }
    assert answer["error"] is None
    assert found == {name: (count, float(amount)) for name, count, amount in expected}
