"""Open the Spark session that a build runs on, or say why there is none."""

import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from shutil import which
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from retail_segments.errors import ExitCode, SpokenError

_LOCK = Lock()
_TIMEOUT_SECONDS = 5

# What the models rely on; a profile cannot change it.
_REQUIRED = {
    # A timestamp is printed, truncated and compared as it was delivered.
    "spark.sql.session.timeZone": "UTC",
    # dbt-spark asks for it, so that Spark 3 and 4 agree.
    "spark.sql.ansi.enabled": "false",
    # Frames go to and from Python by Arrow, not row by row.
    "spark.sql.execution.arrow.pyspark.enabled": "true",
}

# Where the profile does not say otherwise. From the size of compressed files Spark
# takes a column of ten million numbers for eight megabytes, and its limit of ten would
# have the driver gather it for every worker. What a shuffle has counted is nearer the
# truth.
_DEFAULTS = {
    "spark.sql.autoBroadcastJoinThreshold": "1m",
    "spark.sql.adaptive.autoBroadcastJoinThreshold": "10m",
}


class SparkError(SpokenError):
    """Spark cannot be used; the message says why, and what to do."""

    exit_code = ExitCode.UNUSABLE


def java_program() -> str:
    """Return the Java that Spark would run on.

    Returns
    -------
    str
        The program below ``JAVA_HOME``, or else the one on the path.

    Raises
    ------
    SparkError
        If there is none.
    """
    home = os.environ.get("JAVA_HOME")
    program = which(str(Path(home, "bin", "java"))) if home else which("java")
    if program is None:
        where = f"JAVA_HOME is {home}, which has none" if home else "none was found"
        raise SparkError(
            f"Spark runs on Java 17 or later, and {where}. Install it (on Debian and "
            "Ubuntu: apt-get install openjdk-17-jre-headless), or build on DuckDB, "
            "which needs no Java: make build."
        )
    return program


def check_master(url: str) -> None:
    """Check that a standalone master listens.

    Parameters
    ----------
    url : str
        What ``spark.master`` says. Only ``spark://host:port`` is looked into: others,
        such as ``local[2]``, ``yarn`` or ``k8s://...``, are Spark's own business.

    Raises
    ------
    SparkError
        If nobody listens at any of its addresses.

    Examples
    --------
    >>> check_master("local[2]")
    """
    if not url.startswith("spark://"):
        return
    addresses = [urlsplit(f"//{part}") for part in url[len("spark://") :].split(",")]
    for address in addresses:
        place = (address.hostname or "localhost", address.port or 7077)
        try:
            with socket.create_connection(place, timeout=_TIMEOUT_SECONDS):
                return
        except OSError:
            continue
    raise SparkError(
        f"No Spark cluster answers at {url}. Start one with `make spark-up`, or name "
        "yours in SPARK_MASTER_URL (`local[2]` needs no cluster)."
    )


def open_session(settings: Mapping[str, str]) -> Any:
    """Return the session of this process; the first call opens it.

    Parameters
    ----------
    settings : mapping of str to str
        Spark's own, from the profile. ``spark.sql.warehouse.dir`` may be relative to
        the current folder, and holds the catalog too unless the settings say where one
        is.

    Returns
    -------
    pyspark.sql.SparkSession
        With Hive's catalog, so that tables are there at the next build, and for others.

    Raises
    ------
    SparkError
        If there is no Java, no cluster, or Spark does not start.
    """
    from pyspark.errors import PySparkException
    from pyspark.sql import SparkSession

    with _LOCK:
        active = SparkSession.getActiveSession()
        if active is not None:
            return active
        master = settings.get("spark.master", "local[*]")
        java_program()
        check_master(master)
        # The executors unpickle what this interpreter has pickled.
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
        builder = SparkSession.builder.enableHiveSupport()
        for key, value in (_DEFAULTS | _with_places(settings) | _REQUIRED).items():
            builder = builder.config(key, value)
        try:
            return builder.getOrCreate()
        except (PySparkException, OSError) as error:
            raise SparkError(
                f"Spark did not start with master {master}: {error} What Java said "
                "stands above."
            ) from error


def has_files(spark: Any, pattern: str) -> bool:
    """Tell whether any file matches, on whatever file system Spark reads.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        The session.
    pattern : str
        A path as Hadoop reads it, such as ``landing/*.parquet`` or ``s3a://...``.

    Returns
    -------
    bool
        False also where the folder is not there.
    """
    path = spark._jvm.org.apache.hadoop.fs.Path(pattern)
    system = path.getFileSystem(spark._jsc.hadoopConfiguration())
    return len(system.globStatus(path) or ()) > 0


def _with_places(settings: Mapping[str, str]) -> dict[str, str]:
    """Make a local warehouse folder absolute, and put the catalog into it."""
    placed = dict(settings)
    warehouse = placed.get("spark.sql.warehouse.dir", "warehouse/spark")
    if "://" in warehouse or warehouse.startswith("file:"):
        return placed
    folder = Path(warehouse).absolute()
    folder.mkdir(parents=True, exist_ok=True)
    placed["spark.sql.warehouse.dir"] = str(folder)
    placed.setdefault(
        "spark.hadoop.javax.jdo.option.ConnectionURL",
        f"jdbc:derby:;databaseName={folder / 'metastore'};create=true",
    )
    options = placed.get("spark.driver.extraJavaOptions", "")
    placed["spark.driver.extraJavaOptions"] = (
        f"{options} -Dderby.stream.error.file={folder / 'derby.log'}"
    ).strip()
    return placed
