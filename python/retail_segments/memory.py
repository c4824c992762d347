"""What the last build left behind: a model's own table, read before it is replaced."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa

from retail_segments.spark_relations import SparkConnection

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
    before = _previous(session, relation)
    if before is None:
        return None
    frame: pd.DataFrame = before.to_arrow_table().to_pandas(types_mapper=_TYPES.get)
    return frame


def recall_unchanged(session: Any, relation: str, fingerprint: str) -> Any:
    """Return a model's own table, where it came from the same data and method.

    The table, not a frame, which forgets the types of columns without a value.

    Parameters
    ----------
    session : duckdb.DuckDBPyConnection
        The connection that dbt hands to a Python model.
    relation : str
        The quoted name of the table: what ``dbt.this`` prints.
    fingerprint : str
        What `take_fingerprint` says today.

    Returns
    -------
    DuckDBPyRelation or None
        None where there is no such table, it is empty or came from something else.

    Examples
    --------
    >>> session = duckdb.connect()
    >>> _ = session.execute("create table kept as select 'a' as fingerprint")
    >>> recall_unchanged(session, '"main"."kept"', "a").fetchall()
    [('a',)]
    >>> recall_unchanged(session, '"main"."kept"', "b") is None
    True
    """
    before = _previous(session, relation)
    if before is None or "fingerprint" not in before.columns:
        return None
    found = before.project("fingerprint").distinct().to_arrow_table()
    if found.column("fingerprint").to_pylist() != [fingerprint]:
        return None
    return before


def _previous(session: Any, relation: str) -> Any:
    """Return a model's own table; Spark has put it aside under another name."""
    if isinstance(session, SparkConnection):
        return session.previous(relation)
    try:
        return session.sql(f"select * from {relation}")  # noqa: S608
    except duckdb.CatalogException:
        return None


def take_fingerprint(
    *frames: pd.DataFrame,
    settings: Mapping[str, Any],
    methods: Sequence[str],
    libraries: Sequence[str],
) -> str:
    """Name the data, the settings and the method that a table comes from.

    Parameters
    ----------
    *frames : DataFrame
        The data. The order of rows counts, so give sorted ones.
    settings : mapping
        All else that decides the result, as JSON can write it.
    methods : sequence of str
        Modules of this package that compute it: their source counts.
    libraries : sequence of str
        Distributions that it is computed with: their versions count.

    Returns
    -------
    str
        16 hexadecimal digits of a SHA-256.

    Examples
    --------
    >>> customers = pd.DataFrame({"customer_id": ["a"], "frequency": [1]})
    >>> kept = {"methods": ["clustering"], "libraries": ["numpy"]}
    >>> one = take_fingerprint(customers, settings={"k": 2}, **kept)
    >>> len(one), one == take_fingerprint(customers, settings={"k": 3}, **kept)
    (16, False)
    """
    versions = {name: version(name) for name in libraries}
    digest = hashlib.sha256(json.dumps([settings, versions], sort_keys=True).encode())
    for module in methods:
        digest.update((Path(__file__).parent / f"{module}.py").read_bytes())
    for frame in frames:
        digest.update(str(frame.dtypes.to_dict()).encode())
        hashes = pd.util.hash_pandas_object(frame, index=False)
        digest.update(hashes.to_numpy().tobytes())
    return digest.hexdigest()[:16]


def keep(previous: pd.DataFrame | None, types: Mapping[str, str]) -> pd.DataFrame:
    """Return what `recall` found, where the var ``cluster_model`` is ``frozen``.

    Parameters
    ----------
    previous : DataFrame or None
        What `recall` found.
    types : mapping of str to str
        The columns that the table has today, and their types.

    Returns
    -------
    DataFrame
        `previous` with the columns of today; those it lacks are missing.

    Raises
    ------
    ValueError
        If there is no table.

    Examples
    --------
    >>> keep(pd.DataFrame({"k": [5]}), {"k": "Int64", "gap": "Float64"})
       k   gap
    0  5  <NA>
    """
    if previous is None:
        raise ValueError(
            "cluster_model is frozen but no model has been fitted yet in this "
            "warehouse; build once with cluster_model: refit"
        )
    return previous.reindex(columns=list(types)).astype(dict(types))
