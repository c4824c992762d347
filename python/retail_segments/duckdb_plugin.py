"""A dbt-duckdb plugin: makes the folder of the warehouse file, and publishes the file.

It also says in a sentence that another process has the file, where dbt would print a
traceback.
"""

from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError
from duckdb.sqltypes import VARCHAR

from retail_segments.locks import is_in_use, say_in_use
from retail_segments.publishing import publish


class Plugin(BasePlugin):
    """Prepare the place that dbt-duckdb is about to open."""

    def update_connection_config(
        self,
        creds: DuckDBCredentials,
        config: dict[str, Any],  # noqa: ARG002
    ) -> None:
        """Make the parent folder of the warehouse file, if it is a file."""
        if not _is_file(creds):
            return
        # What customers bought is for the file's owner and group alone.
        Path(creds.path).parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if not Path(creds.path).exists():
            return
        try:
            duckdb.connect(creds.path).close()
        except duckdb.Error as error:
            # Whatever else is wrong with the file, dbt-duckdb is about to say.
            if is_in_use(error):
                raise DbtRuntimeError(say_in_use(creds.path, error)) from error

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Give SQL the function that macros/publish.sql calls."""
        creds = self.creds
        if creds is not None and _is_file(creds):
            conn.create_function(
                "publish_warehouse",
                lambda: publish(Path(creds.path)),
                [],
                VARCHAR,
                side_effects=True,
            )


def _is_file(creds: DuckDBCredentials) -> bool:
    return creds.path != ":memory:" and not creds.is_motherduck
