"""Read Parquet files, of any size, without going through text."""

from collections.abc import Mapping
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from retail_segments.delivery import Delivery, Progress, delivered_view
from retail_segments.headers import resolve_columns
from retail_segments.landing import LoadError
from retail_segments.sql import file_pattern, identifier, literal

# What DuckDB adds to a file's columns.
_ROW_NUMBER = "file_row_number"


def read_parquet(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    *,
    mapping: Mapping[str, str],
    source_file: str,
    progress: Progress,
) -> Delivery:
    """Present a Parquet file as the view ``delivered``, without reading it yet.

    ``source_row`` is the number of the row, the first being 1.

    Parameters
    ----------
    connection : DuckDBPyConnection
        Where the view is made.
    path : Path
        The file.
    mapping : mapping of str to str
        The user's own header for some attributes.
    source_file : str
        The file's name.
    progress : callable
        Told that the reading begins.

    Returns
    -------
    Delivery
        How the values are written.

    Raises
    ------
    LoadError
        If the file is not Parquet, or lacks a needed column.
    """
    progress("reading", None)
    try:
        headers = pq.read_schema(path).names
    except (pa.ArrowException, OSError) as error:
        raise LoadError(
            f"{source_file} is not a Parquet file, or it is cut off. "
            "Write or copy it anew."
        ) from error
    if _ROW_NUMBER in map(str.lower, headers):
        raise LoadError(
            f"{source_file} has a column {_ROW_NUMBER}, a name that is needed to tell "
            "its rows apart. Rename or leave out that column."
        )
    positions = resolve_columns(headers, mapping, source_file)
    place = literal(file_pattern(path.absolute()))
    source = f"read_parquet({place}, hive_partitioning = false, {_ROW_NUMBER} = true)"
    # Columns are matched by position: DuckDB renames those that differ only in case.
    names = [row[0] for row in connection.execute(f"describe from {source}").fetchall()]
    columns = {
        attribute: identifier(names[position])
        for attribute, position in positions.items()
    }
    columns["source_row"] = f"{_ROW_NUMBER} + 1"
    connection.execute(delivered_view(source, columns, source_file=source_file))
    return Delivery()
