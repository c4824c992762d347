"""A dbt-duckdb plugin: makes the folder of the warehouse file, and publishes the file.

It also says in a sentence why the file, or one of the landing folder, cannot be read,
where dbt would print a traceback or an engine's words.
"""

import os
from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError
from duckdb.sqltypes import VARCHAR

from retail_segments.landing import say_damage
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
        folder = Path(creds.path).parent
        try:
            # What customers bought is for the file's owner and group alone.
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            if Path(creds.path).exists():
                duckdb.connect(creds.path).close()
            elif not os.access(folder, os.W_OK):
                raise PermissionError(f"{folder} may not be written to")
        except (OSError, duckdb.Error) as error:
            if isinstance(error, duckdb.Error) and is_in_use(error):
                raise DbtRuntimeError(say_in_use(creds.path, error)) from error
            reason = str(error).rstrip(".!")
            raise DbtRuntimeError(
                f"The warehouse {creds.path} cannot be opened: {reason}. Set "
                "DUCKDB_PATH to a file that you may write to; move a damaged one away "
                "and build anew."
            ) from error

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Give SQL the functions that macros call."""
        conn.create_function(
            "landing_damage",
            # A function that is given something may not return nothing.
            lambda folder: say_damage(Path(folder)) or "",
            [VARCHAR],
            VARCHAR,
            side_effects=True,
        )
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
