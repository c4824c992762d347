"""A dbt-duckdb plugin: the folder of the warehouse file is made on demand.

It also says in a sentence that another process has the file, where dbt would print a
traceback.
"""

from pathlib import Path
from typing import Any

import duckdb
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt_common.exceptions import DbtRuntimeError

from retail_segments.locks import is_in_use, say_in_use


class Plugin(BasePlugin):
    """Prepare the place that dbt-duckdb is about to open."""

    def update_connection_config(
        self,
        creds: DuckDBCredentials,
        config: dict[str, Any],  # noqa: ARG002
    ) -> None:
        """Make the parent folder of the warehouse file, if it is a file."""
        if creds.path == ":memory:" or creds.is_motherduck:
            return
        Path(creds.path).parent.mkdir(parents=True, exist_ok=True)
        if not Path(creds.path).exists():
            return
        try:
            duckdb.connect(creds.path).close()
        except duckdb.Error as error:
            # Whatever else is wrong with the file, dbt-duckdb is about to say.
            if is_in_use(error):
                raise DbtRuntimeError(say_in_use(creds.path, error)) from error
