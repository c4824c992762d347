"""Tableau's .hyper files, made of Parquet files by Tableau's own Hyper."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from tableauhyperapi import (
    NOT_NULLABLE,
    NULLABLE,
    Connection,
    CreateMode,
    HyperException,
    HyperProcess,
    Name,
    SqlType,
    TableDefinition,
    TableName,
    Telemetry,
    TypeTag,
    escape_string_literal,
)

from retail_segments.errors import SpokenError

SCHEMA = "Extract"

Relations = tuple[tuple[str, str, str], ...]

# Each of these is a tree with one table of facts at its root, as Tableau asks for when
# a file is published: table, its column, the table that has one row for each.
_OF_CUSTOMERS = (
    ("dim_customers", "customer_id", "dim_customer_segments"),
    ("dim_customers", "customer_id", "rpt_customer_forecast"),
    ("dim_customers", "customer_id", "rpt_customer_rhythms"),
    ("dim_customers", "customer_id", "rpt_segment_reasons"),
    ("dim_customer_segments", "cluster_id", "dim_segments"),
)
RELATIONS: Mapping[str, Relations] = MappingProxyType(
    {
        "orders": (
            ("fct_orders", "customer_id", "dim_customers"),
            *_OF_CUSTOMERS,
        ),
        "lines": (
            ("fct_invoice_lines", "stock_code", "dim_products"),
            ("fct_invoice_lines", "customer_id", "dim_customers"),
            *_OF_CUSTOMERS,
        ),
    }
)
# Everything else, table by table.
OTHERS = "reports"

# The version of the format that every supported Tableau reads, and no file of logs.
_PARAMETERS = {"default_database_version": "2", "log_config": ""}
# What a decimal has at most in that version.
_DIGITS = 18


class HyperFileError(SpokenError):
    """What Hyper would not do."""


def write_hyper_files(folder: Path, tables: Mapping[str, Path]) -> list[Path]:
    """Write one .hyper file per tree of tables, and one for all others.

    Parameters
    ----------
    folder : Path
        Where to; it is made.
    tables : dict of str to Path
        Parquet files by name of table.

    Returns
    -------
    list of Path
        The files, none of them without a table.

    Raises
    ------
    HyperFileError
        If Hyper cannot be started or refuses a file.

    References
    ----------
    Tableau, Publish to Tableau Cloud / Server: relationships are made of foreign keys.
    https://tableau.github.io/hyper-db/docs/guides/hyper_file/publish
    """
    folder.mkdir()
    related = {
        name
        for relations in RELATIONS.values()
        for source, _, target in relations
        for name in (source, target)
    }
    groups = {
        name: [
            table
            for table in tables
            if any(table in (source, target) for source, _, target in relations)
        ]
        for name, relations in RELATIONS.items()
    }
    groups[OTHERS] = [table for table in tables if table not in related]
    written = []
    try:
        with HyperProcess(
            Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
            "retail_segments",
            parameters=_PARAMETERS,
        ) as process:
            for name, members in groups.items():
                if not members:
                    continue
                target = folder / f"{name}.hyper"
                with Connection(
                    process.endpoint, target, CreateMode.CREATE_AND_REPLACE
                ) as connection:
                    connection.catalog.create_schema(SCHEMA)
                    relations = tuple(
                        relation
                        for relation in RELATIONS.get(name, ())
                        if relation[0] in members and relation[2] in members
                    )
                    for member in members:
                        _copy(connection, member, tables[member], relations)
                    _relate(connection, relations)
                written.append(target)
    except HyperException as error:
        reason = error.main_message or str(error)
        raise HyperFileError(
            f"Hyper could not write the .hyper files: {reason.strip()} "
            "--no-hyper leaves them out."
        ) from error
    return written


def _copy(
    connection: Connection, table: str, source: Path, relations: Relations
) -> None:
    """Copy a Parquet file, with its names and types, and what it is known by."""
    file = escape_string_literal(str(source.resolve()))
    source_rows = f"external({file}, format => 'parquet')"
    keys = {column for _, column, target in relations if target == table}
    with connection.execute_query(f"select * from {source_rows} limit 0") as result:  # noqa: S608
        columns = [
            TableDefinition.Column(
                column.name,
                _stored(column.type),
                NOT_NULLABLE if column.name.unescaped in keys else NULLABLE,
            )
            for column in result.schema.columns
        ]
    cells = ", ".join(
        f"cast({column.name} as double precision)"
        if column.type == SqlType.double()
        else str(column.name)
        for column in columns
    )
    place = TableName(SCHEMA, table)
    connection.catalog.create_table(TableDefinition(place, columns))
    connection.execute_command(
        f"insert into {place} (select {cells} from {source_rows})"  # noqa: S608
    )
    for key in keys:
        connection.execute_command(
            f"alter table {place} add assumed primary key ({Name(key)})"
        )


def _stored(found: SqlType) -> SqlType:
    """Make floats of decimals that are too long: totals of totals, not amounts."""
    is_long = found.tag == TypeTag.NUMERIC and found.precision > _DIGITS
    return SqlType.double() if is_long else found


def _relate(connection: Connection, relations: Relations) -> None:
    """Say which table has one row for each value of which column.

    Hyper takes keys as said, since it does not check them; dbt has.
    """
    for source, column, target in relations:
        connection.execute_command(
            f"alter table {TableName(SCHEMA, source)} add assumed foreign key "
            f"({Name(column)}) references {TableName(SCHEMA, target)} ({Name(column)})"
        )
