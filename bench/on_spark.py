"""Run a command on a Spark cluster of this machine that is up for it alone.

Usage: ``python bench/on_spark.py FOLDER COMMAND...``; ``bench/run.py`` calls it as a
process of its own. Master, workers and executors are its children, so that the
operating system adds up what they took. `SPARK_MASTER_URL` and the memory of executors
are set for the command. Prints the command's seconds, the cluster's start not among
them, as JSON, and ends as the command does.
"""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from retail_segments.spark_cluster import ClusterSettings, start_cluster, stop_cluster
from retail_segments.spark_session import SparkError

MEMORY = "4g"


def free_port() -> int:
    """Find a port that nobody listens on: a cluster of the user's own may be up."""
    with socket.create_server(("localhost", 0)) as server:
        return server.getsockname()[1]


def main() -> int:
    """Start the cluster, run the command, stop the cluster."""
    settings = ClusterSettings(
        Path(sys.argv[1]), worker_memory=MEMORY, port=free_port(), web_port=0
    )
    try:
        start_cluster(settings)
        since = time.perf_counter()
        finished = subprocess.run(
            sys.argv[2:],
            env=os.environ
            | {"SPARK_MASTER_URL": settings.url, "SPARK_EXECUTOR_MEMORY": MEMORY},
            check=False,
        )
        seconds = time.perf_counter() - since
    except SparkError as error:
        sys.exit(str(error))
    finally:
        stop_cluster(settings.folder)
    print(json.dumps({"seconds": seconds}))
    return finished.returncode


if __name__ == "__main__":
    sys.exit(main())
