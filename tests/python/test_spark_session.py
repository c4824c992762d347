"""What is said where Spark cannot be used; none of it needs Spark."""

import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pandas as pd
import pytest
from click.testing import CliRunner
from retail_segments import cli, spark_cluster
from retail_segments.spark_cluster import ClusterSettings, start_cluster, stop_cluster
from retail_segments.spark_relations import (
    split_at_commas,
    to_pandas,
    to_spark_types,
)
from retail_segments.spark_session import SparkError, check_master, java_program


def test_no_java_is_told_in_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(SparkError, match=r"Java 17 or later.*Install it"):
        java_program()

    monkeypatch.delenv("JAVA_HOME")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SparkError, match="none was found"):
        java_program()


def test_a_cluster_that_is_not_there_is_told_at_once():
    with socket.socket() as free:
        free.bind(("localhost", 0))
        url = f"spark://localhost:{free.getsockname()[1]}"
        with pytest.raises(SparkError, match="make spark-up"):
            check_master(url)


def test_one_of_several_masters_is_enough():
    with socket.create_server(("localhost", 0)) as there:
        check_master(f"spark://localhost:1,localhost:{there.getsockname()[1]}")


def test_a_taken_port_is_left_alone(monkeypatch, tmp_path):
    monkeypatch.setattr(spark_cluster, "_spark_class", lambda: "spark-class")
    with socket.create_server(("localhost", 0)) as there:
        settings = ClusterSettings(folder=tmp_path, port=there.getsockname()[1])
        with pytest.raises(SparkError, match="is taken"):
            start_cluster(settings)
    assert list(tmp_path.iterdir()) == []


def test_a_process_that_took_over_a_number_is_not_stopped(tmp_path):
    """The number on record may be another process's by now."""
    with subprocess.Popen(["sleep", "60"]) as other:
        (tmp_path / "master.pid").write_text(str(other.pid))

        assert stop_cluster(tmp_path) == []

        assert other.poll() is None
        other.kill()
    assert not (tmp_path / "master.pid").exists()


def test_stopping_nothing_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "_CLUSTER_FOLDER", tmp_path)

    result = CliRunner().invoke(cli.main, ["spark-down"])

    assert result.exit_code == 0
    assert "No cluster is up" in result.output


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", ["a"]),
        ("a, b", ["a", "b"]),
        ("cast(a as decimal(18, 4)) as a, md5(b), c", None),
    ],
)
def test_commas_within_parentheses_part_nothing(text, parts):
    expected = parts or ["cast(a as decimal(18, 4)) as a", "md5(b)", "c"]
    assert split_at_commas(text) == expected


def test_models_in_several_threads_are_in_nobody_s_way():
    rows = pd.DataFrame({"n": range(200_000), "text": [str(n) for n in range(200_000)]})

    def there_and_back(_):
        return to_pandas(to_spark_types(rows))

    with ThreadPoolExecutor(3) as threads:
        for frame in threads.map(there_and_back, range(12)):
            pd.testing.assert_frame_equal(frame, rows, check_dtype=False)
