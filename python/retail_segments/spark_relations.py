"""Spark tables by the few words of a DuckDB relation that the Python models use.

So one model runs on both engines. Rows stay in Spark until ``df`` or ``to_arrow_table``
asks for them; what a model asks for is a sample, or of the size of one.
"""

from dataclasses import dataclass
from typing import Any, Self

import duckdb
import pandas as pd
import pyarrow as pa

# A model's own table is put aside under its name and this: see the macro keep_previous.
PREVIOUS = "__previous"


class SparkRelation:
    """A Spark frame that answers like a DuckDB relation.

    Parameters
    ----------
    frame : pyspark.sql.DataFrame
        The rows.
    """

    def __init__(self, frame: Any) -> None:
        self.frame = frame

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        return list(self.frame.columns)

    def filter(self, condition: str) -> Self:
        """Keep the rows for which an SQL condition holds."""
        # In DuckDB's texts a backslash is a character like any other.
        return self._like(self.frame.where(condition.replace("\\", "\\\\")))

    def order(self, columns: str) -> Self:
        """Sort by SQL expressions, with commas between them."""
        from pyspark.sql.functions import expr

        return self._like(self.frame.orderBy(*map(expr, split_at_commas(columns))))

    def limit(self, count: int) -> Self:
        """Keep the first rows."""
        return self._like(self.frame.limit(count))

    def project(self, *expressions: str) -> Self:
        """Compute columns from SQL expressions, with commas between them."""
        parts = [part for text in expressions for part in split_at_commas(text)]
        return self._like(self.frame.selectExpr(*parts))

    def distinct(self) -> Self:
        """Keep one of equal rows."""
        return self._like(self.frame.distinct())

    def join(self, other: Self, condition: str, how: str = "inner") -> Self:
        """Join on columns that both have, with commas between them."""
        return self._like(self.frame.join(other.frame, split_at_commas(condition), how))

    def aggregate(self, expressions: str) -> Self:
        """Compute aggregates by the columns that are named alone."""
        from pyspark.sql.functions import expr

        parts = split_at_commas(expressions)
        keys = [part for part in parts if part.isidentifier()]
        measures = [expr(part) for part in parts if not part.isidentifier()]
        return self._like(
            self.frame.groupBy(*keys)
            .agg(*measures)
            .select(*(part.rsplit(" as ", 1)[-1] for part in parts))
        )

    def to_arrow_table(self) -> pa.Table:
        """Fetch the rows, times without a zone as DuckDB has them."""
        table = self.frame.toArrow()
        fields = [
            pa.field(field.name, pa.timestamp("us"))
            if pa.types.is_timestamp(field.type)
            else field
            for field in table.schema
        ]
        return table.cast(pa.schema(fields))

    def df(self) -> pd.DataFrame:
        """Fetch the rows as pandas would get them from DuckDB."""
        return to_pandas(self.to_arrow_table())

    def _like(self, frame: Any) -> Self:
        return type(self)(frame)


@dataclass(frozen=True)
class SparkConnection:
    """What dbt hands to a Python model on Spark in place of a DuckDB connection.

    Parameters
    ----------
    spark : pyspark.sql.SparkSession
        The session.
    """

    spark: Any

    def table(self, name: str) -> SparkRelation:
        """Return a table or view."""
        return SparkRelation(self.spark.table(name))

    def previous(self, name: str) -> SparkRelation | None:
        """Return a model's own table as the build before left it."""
        kept = name + PREVIOUS
        return self.table(kept) if self.spark.catalog.tableExists(kept) else None

    def write(self, result: object, name: str) -> None:
        """Write what a model returned as a table.

        Parameters
        ----------
        result : SparkRelation, pyspark.sql.DataFrame, DataFrame or DuckDB relation
            Rows that are in Spark already are written where they are.
        name : str
            The table.
        """
        if isinstance(result, SparkRelation):
            frame = result.frame
        elif isinstance(result, pd.DataFrame):
            # By way of DuckDB, so that columns get the types that they have there. One
            # file, since rows of several come back in another order.
            frame = self.spark.createDataFrame(to_spark_types(result)).coalesce(1)
        else:
            frame = result
        frame.write.mode("overwrite").format("parquet").saveAsTable(name)


def to_pandas(table: pa.Table | pa.RecordBatch) -> pd.DataFrame:
    """Turn rows into what pandas would get of them from DuckDB.

    Each call has a connection of its own: models run in several threads, and DuckDB's
    common one refuses a second at a time.

    Parameters
    ----------
    table : pyarrow.Table or pyarrow.RecordBatch
        Rows.

    Returns
    -------
    DataFrame
        The same rows.

    Examples
    --------
    >>> to_pandas(pa.table({"frequency": [1, 2]}))["frequency"].tolist()
    [1, 2]
    """
    with duckdb.connect() as connection:
        frame: pd.DataFrame = connection.from_arrow(table).df()
    return frame


def to_spark_types(frame: pd.DataFrame) -> pa.Table:
    """Give times the zone that the session has, so that they stay as they are.

    Parameters
    ----------
    frame : DataFrame
        Rows, small enough to hold.

    Returns
    -------
    pyarrow.Table
        As Spark takes it, other columns with the types that they have in DuckDB.

    Examples
    --------
    >>> rows = pd.DataFrame({"seen_at": pd.to_datetime(["2011-12-09 12:50:00"])})
    >>> str(to_spark_types(rows).schema.field("seen_at").type)
    'timestamp[us, tz=UTC]'
    """
    with duckdb.connect() as connection:
        table = connection.from_df(frame).to_arrow_table()
    fields = [
        pa.field(field.name, pa.timestamp("us", "UTC"))
        if pa.types.is_timestamp(field.type)
        else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))


def split_at_commas(text: str) -> list[str]:
    """Split at the commas that stand in no parentheses.

    Parameters
    ----------
    text : str
        SQL expressions with commas between them.

    Returns
    -------
    list of str
        The expressions.

    Examples
    --------
    >>> split_at_commas("customer_id, cast(amount as decimal(18, 4)) as amount")
    ['customer_id', 'cast(amount as decimal(18, 4)) as amount']
    """
    depth, start, parts = 0, 0, []
    for place, sign in enumerate(text):
        depth += (sign == "(") - (sign == ")")
        if sign == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [*parts, text[start:].strip()]
