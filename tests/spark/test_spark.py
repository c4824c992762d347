"""Every table that Spark builds on a real cluster equals DuckDB's.

`make test-spark` starts a master and two workers, builds the demo, and the real data
set where it is at hand, on both engines with all gates, and prints a line per table.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
from compare import compare_warehouses
from retail_segments.spark_session import SparkError, java_program

ROOT = Path(__file__).resolve().parents[2]
PORT = int(os.environ.get("SPARK_TEST_PORT", "7177"))


def _missing() -> str | None:
    try:
        import dbt.adapters.spark  # noqa: F401
        import pyspark  # noqa: F401
    except ImportError:
        return "needs the extra spark: make test-spark installs it"
    try:
        java_program()
    except SparkError as error:
        return str(error)
    return None


pytestmark = pytest.mark.skipif(_missing() is not None, reason=str(_missing()))


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from retail_segments.spark_cluster import (
        ClusterSettings,
        start_cluster,
        stop_cluster,
    )

    folder = tmp_path_factory.mktemp("cluster")
    settings = ClusterSettings(folder=folder, port=PORT, web_port=0)
    started = start_cluster(settings)
    assert len(started) == 3
    assert start_cluster(settings) == []
    yield settings.url
    assert len(stop_cluster(folder)) == 3
    assert stop_cluster(folder) == []


def _demo(folder: Path) -> Path:
    landing = folder / "landing"
    command = [str(Path(sys.executable).parent / "retail-segments"), "demo"]
    customers = os.environ.get("SPARK_TEST_CUSTOMERS")
    if customers:
        command += ["--customers", customers]
    subprocess.run(
        command, cwd=folder, env=os.environ | {"LANDING_PATH": str(landing)}, check=True
    )
    return landing


def _real(folder: Path) -> Path:
    given = os.environ.get("RETAIL_SEGMENTS_REAL_DATA")
    data = Path(given or ROOT.parent / "shared/data/online_retail.parquet")
    if not data.exists():
        pytest.skip(f"{data} is not there; RETAIL_SEGMENTS_REAL_DATA says where it is")
    landing = folder / "landing"
    command = [str(Path(sys.executable).parent / "retail-segments"), "load", str(data)]
    subprocess.run(
        command, cwd=folder, env=os.environ | {"LANDING_PATH": str(landing)}, check=True
    )
    return landing


def _run_dbt(
    folder: Path, landing: Path, master: str, *command: str
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "LANDING_PATH": str(landing),
        "DUCKDB_PATH": str(folder / "duckdb.duckdb"),
        "SPARK_WAREHOUSE": str(folder / "spark"),
        "SPARK_MASTER_URL": master,
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    return subprocess.run(
        [str(Path(sys.executable).parent / "dbt"), *command],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )


def _build(folder: Path, landing: Path, target: str, master: str) -> None:
    built = _run_dbt(
        *(folder, landing, master, "--quiet", "--warn-error", "build"),
        *("--target", target, "--exclude-resource-type", "unit_test"),
    )
    assert built.returncode == 0, built.stdout


@pytest.mark.parametrize("deliver", [_demo, _real], ids=["demo", "real"])
def test_every_table_is_that_of_duckdb(
    deliver: object, master: str, tmp_path: Path
) -> None:
    landing = deliver(tmp_path)  # type: ignore[operator]
    _build(tmp_path, landing, "duckdb", master)
    _build(tmp_path, landing, "spark", master)

    comparisons = compare_warehouses(tmp_path / "duckdb.duckdb", tmp_path / "spark")

    for comparison in comparisons:
        print(comparison)
    unequal = [comparison for comparison in comparisons if comparison.problems]
    print(f"{len(comparisons) - len(unequal)} of {len(comparisons)} tables are equal")
    print(f"customers in the same cluster: {_agreement(tmp_path):.4%}")
    shutil.rmtree(tmp_path / "spark", ignore_errors=True)
    assert len(comparisons) > 90
    assert not unequal


def test_retry_goes_on_with_the_target_that_failed(master: str, tmp_path: Path) -> None:
    landing = _demo(tmp_path)
    gate = "reject_reasons,test_name:primary_key"
    gates = ("test", "--target", "spark", "-s", gate)
    assert _run_dbt(tmp_path, landing, master, *gates).returncode == 1, (
        "there is no table"
    )
    seed = ("seed", "--target", "spark", "--target-path", str(tmp_path / "seeded"))
    assert _run_dbt(tmp_path, landing, master, *seed).returncode == 0

    # It names no target: dbt takes that of the run before.
    retried = _run_dbt(tmp_path, landing, master, "retry")

    assert retried.returncode == 0, retried.stdout


@pytest.mark.parametrize(
    ("profile", "join"),
    [
        ({}, "SortMergeJoin"),
        ({"spark.sql.autoBroadcastJoinThreshold": "1g"}, "BroadcastHashJoin"),
    ],
)
def test_a_column_of_a_large_table_is_gathered_only_if_the_profile_says_so(
    tmp_path: Path, profile: dict[str, str], join: str
) -> None:
    from retail_segments.spark_session import open_session

    session = open_session(
        {"spark.master": "local[2]", "spark.sql.warehouse.dir": str(tmp_path)} | profile
    )
    texts = ", ".join(f"'the same text' as text_{number}" for number in range(9))
    session.sql(
        f"create table lines using parquet as select id, {texts} from range(1e7)"
    )
    question = "explain select id from range(1e5) left join lines using (id)"

    plan = session.sql(question).collect()[0][0]

    session.stop()
    assert join in plan


def _agreement(folder: Path) -> float:
    """Adjusted Rand index of the two partitions of the customers."""
    from sklearn.metrics import adjusted_rand_score

    files = folder / "spark" / "marts.db" / "dim_customer_segments" / "*.parquet"
    with duckdb.connect(str(folder / "duckdb.duckdb"), read_only=True) as connection:
        pairs = connection.execute(
            f"""
            select e.cluster_id, f.cluster_id
            from marts.dim_customer_segments as e
            inner join read_parquet('{files}') as f using (customer_id)
            where e.cluster_id is not null
            """
        ).fetchall()
    return float(adjusted_rand_score(*zip(*pairs, strict=True)))
