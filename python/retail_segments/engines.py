"""What a Python model does differently where its rows are in Spark.

DuckDB runs in the process of the model, so that it hands everything over. Of Spark only
a sample leaves the cluster, and customers are scored where they are.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pandas as pd

from retail_segments.cluster_models import Fitter
from retail_segments.spark_relations import SparkRelation, to_pandas, to_spark_types

_SPARK_TYPES = {"string": "string", "int64": "bigint", "Float64": "double"}


def draw(relation: Any, size: int, *, key: str = "customer_id") -> pd.DataFrame:
    """Fetch rows in the order of their key; from Spark at most a sample.

    Parameters
    ----------
    relation : DuckDB relation or SparkRelation
        Rows, one per key.
    size : int
        How many rows may leave Spark: those whose key has the smallest MD5, which is a
        sample that stays the same from build to build.
    key : str
        The column that identifies a row.

    Returns
    -------
    DataFrame
        Sorted by `key`; all rows where there are no more than `size`, or on DuckDB.

    Examples
    --------
    >>> import duckdb
    >>> rows = duckdb.sql("select * from (values ('b'), ('a')) as t (customer_id)")
    >>> draw(rows, 1)["customer_id"].tolist()
    ['a', 'b']
    """
    if isinstance(relation, SparkRelation):
        relation = relation.order(f"md5({key}), {key}").limit(size)
    frame: pd.DataFrame = relation.order(key).df()
    return frame


def restrict(relation: Any, condition: str, *, on_spark: str) -> Any:
    """Keep the rows that a model learns from: on Spark, where they are a sample.

    Parameters
    ----------
    relation : DuckDB relation or SparkRelation
        Rows.
    condition : str
        Which of them are kept on DuckDB, in SQL.
    on_spark : str
        Which on Spark: so few that they may leave it.

    Returns
    -------
    DuckDB relation or SparkRelation
        The rows.

    Examples
    --------
    >>> import duckdb
    >>> rows = duckdb.sql("select 1 as place union all select 2")
    >>> len(restrict(rows, "place < 9", on_spark="place < 2").df())
    2
    """
    is_there = isinstance(relation, SparkRelation)
    return relation.filter(on_spark if is_there else condition)


def fitter(relation: Any) -> Fitter | None:
    """Return what fits clusters to these customers.

    Parameters
    ----------
    relation : DuckDB relation or SparkRelation
        All customers.

    Returns
    -------
    callable or None
        Spark's MLlib where they are in Spark; None for what is usual.

    Examples
    --------
    >>> import duckdb
    >>> fitter(duckdb.sql("select 1 as frequency")) is None
    True
    """
    if not isinstance(relation, SparkRelation):
        return None
    # Imported late: it needs Spark.
    from retail_segments.spark_kmeans import fit_on_spark

    return partial(fit_on_spark, relation)


def score(
    relation: Any,
    function: Callable[[pd.DataFrame], pd.DataFrame],
    types: Mapping[str, str],
) -> Any:
    """Apply a function to rows: at once on DuckDB, in batches where they are on Spark.

    Parameters
    ----------
    relation : DuckDB relation or SparkRelation
        Rows, one per key.
    function : callable
        Takes and returns a frame; what it says of a row depends on that row alone.
    types : mapping of str to str
        The columns that it returns, as pandas calls their types.

    Returns
    -------
    DataFrame or SparkRelation
        What `function` returned.

    Examples
    --------
    >>> import duckdb
    >>> rows = duckdb.sql("select 'a' as customer_id, 2 as n")
    >>> score(rows, lambda batch: batch * 2, {"customer_id": "string", "n": "int64"})
      customer_id  n
    0          aa  4
    """
    if not isinstance(relation, SparkRelation):
        return function(relation.df())

    def in_batches(batches: Iterator[Any]) -> Iterator[Any]:
        for batch in batches:
            # By way of DuckDB, so that the function gets the types that it gets there.
            yield from to_spark_types(function(to_pandas(batch))).to_batches()

    schema = ", ".join(f"{name} {_SPARK_TYPES[types[name]]}" for name in types)
    return SparkRelation(relation.frame.mapInArrow(in_batches, schema))
