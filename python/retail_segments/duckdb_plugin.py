"""A dbt-duckdb plugin: the folder of the warehouse file is made on demand."""

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.credentials import DuckDBCredentials
from dbt.adapters.duckdb.plugins import BasePlugin


class Plugin(BasePlugin):
    """Prepare the place that dbt-duckdb is about to open."""

    def update_connection_config(
        self,
        creds: DuckDBCredentials,
        config: dict[str, Any],  # noqa: ARG002
    ) -> None:
        """Make the parent folder of the warehouse file, if it is a file."""
        if creds.path != ":memory:" and not creds.is_motherduck:
            Path(creds.path).parent.mkdir(parents=True, exist_ok=True)
