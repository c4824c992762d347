"""Start and stop a standalone Spark cluster of this machine: a master and its workers.

The pip package of Spark has no start scripts, and those need a shell account at each
machine. This is for one machine, to try what a real cluster would do; a shop's own
cluster is named in ``SPARK_MASTER_URL``.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from retail_segments.spark_session import SparkError, java_program

_START_SECONDS = 60
_STOP_SECONDS = 20


@dataclass(frozen=True)
class ClusterSettings:
    """What the cluster is made of.

    Parameters
    ----------
    folder : Path
        Where process numbers, logs and the workers' scratch space are kept.
    workers : int
        How many workers, with one core each.
    worker_memory : str
        Memory that each has to give to builds, such as ``2g``.
    host : str
        Where the master listens.
    port, web_port : int
        Its ports; those of its page may be moved by Spark where taken.
    """

    folder: Path
    workers: int = 2
    worker_memory: str = "2g"
    host: str = "localhost"
    port: int = 7077
    web_port: int = 8080

    @property
    def url(self) -> str:
        """The address that ``SPARK_MASTER_URL`` takes."""
        return f"spark://{self.host}:{self.port}"


def start_cluster(settings: ClusterSettings) -> list[str]:
    """Start a master and its workers; what runs already is left as it is.

    Parameters
    ----------
    settings : ClusterSettings
        What to start.

    Returns
    -------
    list of str
        What was started, in words; empty where all of it ran.

    Raises
    ------
    SparkError
        If there is no Java, PySpark is not installed, the port is taken by something
        else, or a process ends while it starts.
    """
    spark_class = _spark_class()
    settings.folder.mkdir(parents=True, exist_ok=True)
    started = []
    if _process(settings.folder, "master") is None:
        if _listens(settings.host, settings.port):
            raise SparkError(
                f"Port {settings.port} of {settings.host} is taken, and not by a "
                "cluster that `make spark-up` started here. Build on it with "
                f"SPARK_MASTER_URL={settings.url}, or choose another port: "
                "make spark-up SPARK_PORT=7177."
            )
        _launch(
            settings.folder,
            "master",
            [
                spark_class,
                "org.apache.spark.deploy.master.Master",
                *("--host", settings.host, "--port", str(settings.port)),
                *("--webui-port", str(settings.web_port)),
            ],
            has_started=lambda: _listens(settings.host, settings.port),
        )
        started.append(f"master at {settings.url}")
    for number in range(1, settings.workers + 1):
        name = f"worker-{number}"
        if _process(settings.folder, name) is not None:
            continue
        log = settings.folder / f"{name}.log"
        _launch(
            settings.folder,
            name,
            [
                spark_class,
                "org.apache.spark.deploy.worker.Worker",
                *("--host", settings.host, "--cores", "1"),
                *("--memory", settings.worker_memory),
                *("--webui-port", "0"),
                *("--work-dir", str((settings.folder / name).absolute())),
                settings.url,
            ],
            has_started=lambda log=log: "registered with master" in log.read_text(),  # type: ignore[misc]
        )
        started.append(f"{name} with 1 core and {settings.worker_memory}")
    return started


def stop_cluster(folder: Path) -> list[str]:
    """Stop what `start_cluster` started, and nothing else.

    Parameters
    ----------
    folder : Path
        The settings' folder.

    Returns
    -------
    list of str
        Names of what was stopped; empty where nothing ran.

    Examples
    --------
    >>> stop_cluster(Path("no-such-folder"))
    []
    """
    stopped = []
    # Workers first: they would look for a master that is gone.
    for record in sorted(folder.glob("*.pid"), reverse=True):
        number = _process(folder, record.stem)
        if number is not None:
            os.kill(number, signal.SIGTERM)
            _wait(lambda: _process(folder, record.stem) is None, _STOP_SECONDS)  # noqa: B023
            if _process(folder, record.stem) is not None:
                os.kill(number, signal.SIGKILL)
            stopped.append(record.stem)
        record.unlink(missing_ok=True)
    return stopped


def _spark_class() -> str:
    """Return the program that starts Spark's processes."""
    try:
        import pyspark
    except ImportError:
        raise SparkError(
            "PySpark is not installed. `make spark-up` installs it; by hand: "
            "uv sync --extra spark."
        ) from None
    java_program()
    return str(Path(pyspark.__file__).parent / "bin" / "spark-class")


def _launch(
    folder: Path, name: str, command: list[str], *, has_started: Callable[[], bool]
) -> None:
    log = folder / f"{name}.log"
    environment = os.environ | {
        # Executors of the workers run Python functions; this one has our package.
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_NO_DAEMONIZE": "1",
        # A process that waits needs little; the default is 1 GB each.
        "SPARK_DAEMON_MEMORY": "512m",
    }
    with log.open("w") as output:
        process = subprocess.Popen(  # noqa: S603
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=environment,
            # It outlives the shell that started it.
            start_new_session=True,
        )
    (folder / f"{name}.pid").write_text(str(process.pid))
    _wait(lambda: process.poll() is not None or has_started(), _START_SECONDS)
    if process.poll() is not None or not has_started():
        stop_cluster(folder)
        raise SparkError(
            f"The Spark {name} did not start; {log} says why. Its last line: "
            f"{(log.read_text().strip().splitlines() or ['(nothing)'])[-1]}"
        )


def _process(folder: Path, name: str) -> int | None:
    """Return the number of a process that runs; numbers of others are not trusted."""
    try:
        number = int((folder / f"{name}.pid").read_text())
        # Gone at once if it has ended as a child of this process.
        os.waitpid(number, os.WNOHANG)
    except ChildProcessError:
        pass
    except (OSError, ValueError):
        return None
    return number if "spark.deploy" in _command(number) else None


def _command(number: int) -> str:
    """Return a process's command, since its number may have gone to another."""
    told = subprocess.run(  # noqa: S603
        ["ps", "-ww", "-o", "args=", "-p", str(number)],  # noqa: S607
        capture_output=True,
        text=True,
        check=False,
    )
    return told.stdout


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def _wait(is_over: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not is_over():
        time.sleep(0.2)
