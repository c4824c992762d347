"""What dbt-spark lacks: a session that is opened with care, and Python models on it."""

from typing import Any

from dbt.adapters.base.impl import PythonJobHelper
from dbt.adapters.base.meta import available
from dbt.adapters.contracts.connection import Connection, ConnectionState
from dbt.adapters.factory import FACTORY
from dbt.adapters.spark import impl, session
from dbt.adapters.spark.connections import (
    SparkConnectionManager,
    SparkConnectionMethod,
)
from dbt_common.exceptions import DbtRuntimeError
from pyspark.errors import PySparkException

from retail_segments.spark_session import SparkError, has_files, open_session


class SessionCursor(session.Cursor):
    """A cursor that tells what went wrong in a line, not in a Java stack trace."""

    def execute(self, sql: str, *parameters: Any) -> None:
        """Run a statement."""
        try:
            super().execute(sql, *parameters)
        except PySparkException as error:
            raise DbtRuntimeError(str(error)) from None

    def fetchall(self) -> Any:
        """Return all rows of the last statement."""
        try:
            return super().fetchall()
        except PySparkException as error:
            raise DbtRuntimeError(str(error)) from None


class SessionConnection(session.Connection):
    """A connection whose session is opened by us, before the first statement.

    dbt-spark would open it at the first statement too, but wait for minutes where no
    cluster answers, and say nothing of use where there is no Java.
    """

    def cursor(self) -> session.Cursor:
        """Return a cursor on the one session of this process."""
        _open(self.server_side_parameters)
        # No settings: dbt-spark would hand them to the session before each statement.
        return SessionCursor()


class SessionConnectionManager(SparkConnectionManager):
    """Connections to a session of ours; all others are dbt-spark's."""

    @classmethod
    def open(cls, connection: Connection) -> Connection:
        """Open a connection as the profile says."""
        credentials = connection.credentials
        if (
            connection.state == ConnectionState.OPEN
            or credentials.method != SparkConnectionMethod.SESSION
        ):
            return super().open(connection)
        connection.handle = session.SessionConnectionWrapper(
            SessionConnection(server_side_parameters=credentials.server_side_parameters)
        )
        connection.state = ConnectionState.OPEN
        return connection


class SessionPythonJobHelper(PythonJobHelper):
    """Run a Python model in this process, on the session that the SQL models use."""

    def __init__(self, parsed_model: dict[str, Any], credentials: Any) -> None:
        self._name = parsed_model["name"]
        self._settings = credentials.server_side_parameters

    def submit(self, compiled_code: str) -> Any:
        """Run the compiled model; the macro `py_write_table` says what that is."""
        code = compile(compiled_code, f"<dbt model {self._name}>", "exec")
        namespace = {"__name__": self._name, "spark": _open(self._settings)}
        exec(code, namespace)  # noqa: S102


class SparkAdapter(impl.SparkAdapter):
    """dbt-spark's adapter, with Python models on the session.

    The name stays, since dbt finds the adapter's macros by it.
    """

    ConnectionManager = SessionConnectionManager

    @property
    def default_python_submission_method(self) -> str:
        """The session where there is one; Databricks' clusters otherwise."""
        if self.has_session():
            return "session"
        method: str = super().default_python_submission_method
        return method

    @property
    def python_submission_helpers(self) -> dict[str, type[PythonJobHelper]]:
        """dbt-spark's ways to run a Python model, and ours."""
        return {**super().python_submission_helpers, "session": SessionPythonJobHelper}

    @available
    def has_session(self) -> bool:
        """Tell whether the profile says ``method: session``."""
        return bool(self.config.credentials.method == SparkConnectionMethod.SESSION)

    @available
    def has_files(self, pattern: str) -> bool:
        """Tell whether any file matches, on whatever file system Spark reads."""
        settings = self.config.credentials.server_side_parameters
        return has_files(_open(settings), pattern)


def register() -> None:
    """Have dbt use this adapter for profiles of the type spark."""
    FACTORY.plugins["spark"].adapter = SparkAdapter


def _open(settings: dict[str, str]) -> Any:
    try:
        return open_session(settings)
    except SparkError as error:
        raise DbtRuntimeError(str(error)) from None
