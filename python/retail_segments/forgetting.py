"""Forget a customer: in landing files, campaign records, warehouse and exports."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb

from retail_segments.build import WarehouseBusyError, read_warehouse
from retail_segments.errors import ExitCode, SpokenError
from retail_segments.folders import flush, remove_versions
from retail_segments.forgotten import (
    clean_id,
    read_forgotten,
    rewrite_landing,
    write_forgotten,
)
from retail_segments.landing import working_folder
from retail_segments.locks import closed_to_duckdb, is_in_use, say_in_use
from retail_segments.publishing import copy_warehouse, published_path
from retail_segments.sql import identifier, literal, query


class ForgetError(SpokenError):
    """Why nobody is forgotten."""

    exit_code = ExitCode.UNUSABLE


@dataclass(frozen=True)
class Forgotten:
    """What was found of a customer, and taken away.

    Attributes
    ----------
    customer_id : str
        Whom, as the tables wrote it.
    rows : dict of str to int
        Rows by landing file and campaign record.
    sources : tuple of str
        The files that their lines were delivered in, which are not this project's.
    removed : tuple of Path
        Exports that held the customer's rows.
    leftovers : dict of str to int
        Rows by column of the warehouse in which a text still reads like the id.
    """

    customer_id: str
    rows: dict[str, int]
    sources: tuple[str, ...]
    removed: tuple[Path, ...]
    leftovers: dict[str, int]


def forget_customer(
    customer: str,
    *,
    landing: Path,
    warehouse: Path,
    exports: Path,
    build: Callable[[], None],
) -> Forgotten:
    """Forget a customer everywhere, and keep what was sold.

    Their lines stay as lines without a customer, so that sales, products and countries
    add up as before; their rows in campaign records go, and so do exports. It can be
    called again: what was interrupted is finished, and what is done stays done.

    Parameters
    ----------
    customer : str
        The id, as it was delivered or as the tables have it.
    landing : Path
        The landing folder.
    warehouse : Path
        The DuckDB file that builds write to.
    exports : Path
        The folder of the exports, which need not exist.
    build : callable
        Builds the warehouse with all gates; it raises where one fails.

    Returns
    -------
    Forgotten
        What was found. Nothing where the customer had been forgotten already.

    Raises
    ------
    ForgetError
        If nothing here is about such a customer.
    LoadError
        If the landing folder cannot be worked in.
    WarehouseBusyError
        If another process has the warehouse. Call it again when that has ended.
    """
    customer_id = clean_id(customer)
    if not customer_id or not landing.is_dir():
        raise _nobody(customer)
    with working_folder(landing) as work:
        known = read_forgotten(landing)
        digest = known.digest(customer_id)
        is_finished = known.finished.get(digest, False)
        if not is_finished:
            # First of all, so that nothing that is loaded from now on brings them back.
            write_forgotten(landing, known.marked(digest, is_finished=False))
        rows, sources = rewrite_landing(landing, customer_id, work)
        if not rows and is_finished:
            return Forgotten(customer_id, {}, (), (), {})
        is_new = digest not in known.finished
        if not rows and is_new and not _is_in_warehouse(warehouse, customer_id):
            write_forgotten(landing, known)
            raise _nobody(customer)
    build()
    compact(warehouse)
    removed = remove_versions(exports)
    with working_folder(landing):
        write_forgotten(
            landing, read_forgotten(landing).marked(digest, is_finished=True)
        )
    leftovers = dict(_leftovers(warehouse, customer_id))
    return Forgotten(customer_id, rows, tuple(sources), removed, leftovers)


def compact(warehouse: Path) -> None:
    """Write a warehouse anew without the blocks of what was deleted, and publish it.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file, whose last build has passed every gate.

    Raises
    ------
    WarehouseBusyError
        If another process has it.
    """
    # DuckDB names a database for its file, and views name their database.
    unfinished = warehouse.parent / ".unfinished" / warehouse.name
    shutil.rmtree(unfinished.parent, ignore_errors=True)
    unfinished.parent.mkdir(mode=0o700)
    try:
        with duckdb.connect() as connection:
            connection.execute(f"attach {literal(str(warehouse))} as old")
            # What is still in its log would be taken for a log of the new file.
            connection.execute("checkpoint old")
            [(version,)] = connection.execute(
                "select rtrim(tags['storage_version'], '+') from duckdb_databases() "
                "where database_name = 'old'"
            ).fetchall()
            connection.execute(
                f"attach {literal(str(unfinished))} as new "
                f"(storage_version {literal(version)})"
            )
            connection.execute("copy from database old to new")
        with closed_to_duckdb(unfinished):
            unfinished.replace(warehouse)
        flush(warehouse.parent)
    except duckdb.IOException as error:
        if not is_in_use(error):
            raise
        raise WarehouseBusyError(say_in_use(str(warehouse), error)) from error
    finally:
        shutil.rmtree(unfinished.parent, ignore_errors=True)
    published = published_path(warehouse)
    if published.exists():
        copy_warehouse(warehouse, published)


def _is_in_warehouse(warehouse: Path, customer_id: str) -> bool:
    """Tell whether a table has such a customer."""
    if not warehouse.exists():
        return False
    with read_warehouse(warehouse) as connection:
        return any(
            connection.execute(
                query("count(*)", place, "cast(customer_id as varchar) = ?"),
                [customer_id],
            ).fetchall()
            != [(0,)]
            for place, column in _text_columns(connection)
            if column == "customer_id"
        )


def _text_columns(
    connection: duckdb.DuckDBPyConnection,
) -> Iterator[tuple[str, str]]:
    """Name the columns of text, with their tables."""
    columns = connection.execute(
        "select schema_name, table_name, column_name from duckdb_columns() "
        "where data_type = 'VARCHAR' and not internal order by all"
    ).fetchall()
    for schema, table, column in columns:
        yield f"{identifier(schema)}.{identifier(table)}", column


def _nobody(customer: str) -> ForgetError:
    return ForgetError(
        f"No line, campaign or table here is about a customer {customer!r}. Ids are "
        "written as in marts.dim_customers; nothing was changed."
    )


def _leftovers(warehouse: Path, customer_id: str) -> Iterator[tuple[str, int]]:
    """Count texts that read like the id, by column."""
    pattern = "'(^|[^0-9A-Za-z])' || regexp_escape($id) || '([^0-9A-Za-z]|$)'"
    with read_warehouse(warehouse) as connection:
        for place, column in _text_columns(connection):
            name = identifier(column)
            reads_like_it = (
                f"contains({name}, $id) and regexp_matches({name}, {pattern})"
            )
            [(count,)] = connection.execute(
                query("count(*)", place, reads_like_it), {"id": customer_id}
            ).fetchall()
            if count:
                yield f"{place}.{name}".replace('"', ""), count
