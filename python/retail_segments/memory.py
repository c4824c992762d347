"""Look up what a model wrote the last time. Stand-in."""

from typing import Any

import pandas as pd


def recall(session: Any, relation: str) -> pd.DataFrame | None:
    """Fetch the rows of a relation, or None where it does not exist.

    Parameters
    ----------
    session : DuckDBPyConnection
        The session that dbt hands to a Python model.
    relation : str
        Name of the relation as ``str(dbt.this)`` gives it.

    Returns
    -------
    DataFrame or None
        All rows.

    Examples
    --------
    >>> import duckdb
    >>> session = duckdb.connect()
    >>> recall(session, '"memory"."main"."ml_models"') is None
    True
    """
    name = relation.replace('"', "").split(".")[-2:]
    known = session.execute(
        "select 1 from information_schema.tables "
        "where table_schema = ? and table_name = ?",
        name,
    ).fetchall()
    if not known:
        return None
    rows: pd.DataFrame = session.sql(f"select * from {relation}").df()  # noqa: S608
    return rows
