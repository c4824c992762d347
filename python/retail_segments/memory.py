"""What the last build left behind: a model's own table, read before it is replaced."""

from collections.abc import Sequence
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

# Types that tell a missing value from a number, so that a table goes back as it came.
_TYPES = {
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.string(): pd.StringDtype(),
}


def recall(session: Any, relation: str) -> pd.DataFrame | None:
    """Read a table as an earlier build left it.

    Parameters
    ----------
    session : duckdb.DuckDBPyConnection
        The connection that dbt hands to a Python model.
    relation : str
        The quoted name of the table: what ``dbt.this`` prints.

    Returns
    -------
    DataFrame or None
        All rows in the order they were written, or None where there is no such table.

    Examples
    --------
    >>> session = duckdb.connect()
    >>> recall(session, '"main"."models"') is None
    True
    >>> _ = session.execute("create table models as select 7 as k, null::bigint as n")
    >>> recall(session, '"main"."models"')
       k     n
    0  7  <NA>
    """
    try:
        table = session.sql(f"select * from {relation}").to_arrow_table()  # noqa: S608
    except duckdb.CatalogException:
        return None
    frame: pd.DataFrame = table.to_pandas(types_mapper=_TYPES.get)
    return frame


def keep(previous: pd.DataFrame | None, columns: Sequence[str]) -> pd.DataFrame:
    """Return what `recall` found, where the var ``cluster_model`` is ``frozen``.

    Parameters
    ----------
    previous : DataFrame or None
        What `recall` found.
    columns : sequence of str
        The columns that the table has today.

    Returns
    -------
    DataFrame
        `previous`, as it is.

    Raises
    ------
    ValueError
        If there is no table, or one with other columns.

    Examples
    --------
    >>> keep(pd.DataFrame({"k": [5]}), ["k"])["k"].tolist()
    [5]
    """
    advice = "build once with cluster_model: refit"
    if previous is None:
        raise ValueError(
            "cluster_model is frozen but no model has been fitted yet in this "
            f"warehouse; {advice}"
        )
    if list(previous.columns) != list(columns):
        other = sorted(set(previous.columns) ^ set(columns))
        raise ValueError(
            "cluster_model is frozen but the model in this warehouse was fitted by "
            f"another version of the project (columns that differ: {other}); {advice}"
        )
    return previous
