"""Extracts for BI tools, read back by the tools' own libraries."""

import csv
import shutil
import subprocess
import sys
from collections import Counter

import duckdb
import pytest
from click.testing import CliRunner
from conftest import Warehouse
from hostile_lines import CUSTOMER, NAMES
from retail_segments import extracts as module
from retail_segments.audiences import KEY_VARIABLE, pseudonym
from retail_segments.build import WarehouseBusyError
from retail_segments.cli import main
from retail_segments.errors import ExitCode
from retail_segments.extracts import (
    DICTIONARY,
    PARQUET,
    SERVING,
    SPREADSHEET,
    TABLEAU,
    ExtractBusyError,
    ExtractError,
    write_extracts,
)
from retail_segments.folders import FolderError, hold
from retail_segments.hyper_files import OTHERS, RELATIONS, SCHEMA

# Longer than a block of SHA-256, which HMAC treats in a way of its own.
KEY = "the shop's own key " * 5
HELD = (
    "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print(1, flush=True); input()"
)


@pytest.fixture(scope="module")
def demo_extracts(demo_net, tmp_path_factory):
    return write_extracts(
        demo_net.path, tmp_path_factory.mktemp("demo") / "export", key=KEY
    )


@pytest.fixture(scope="module")
def hostile_extracts(hostile_net, tmp_path_factory):
    return write_extracts(
        hostile_net.path, tmp_path_factory.mktemp("hostile") / "export", key=KEY
    )


@pytest.fixture(scope="module")
def serving(demo_extracts):
    return Warehouse(demo_extracts.folder / SERVING)


@pytest.fixture(scope="module")
def hyper():
    """Open .hyper files with Tableau's own library."""
    api = pytest.importorskip("tableauhyperapi")
    with api.HyperProcess(
        api.Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
        parameters={"log_config": ""},
    ) as process:

        def query(file, text):
            with api.Connection(process.endpoint, file) as connection:
                return connection.execute_list_query(text)

        yield query


def test_every_mart_is_there_row_by_row(demo_net, demo_extracts, serving):
    tables = demo_net.tables("marts")

    assert list(demo_extracts.row_counts) == serving.tables("marts") == tables
    for table in tables:
        described = f"select column_name, column_type from (describe marts.{table})"
        columns = serving.rows(described)
        assert columns == demo_net.rows(described), table
        kept = ", ".join(
            f'"{column["column_name"]}"'
            for column in columns
            if not column["column_name"].endswith(("_id", "raw_line", "control_bucket"))
        )
        hidden = (
            " where column_name <> 'customer_id'"
            if table == "rpt_column_profiles"
            else ""
        )
        query = f"select {kept} from marts.{table}{hidden} order by all"
        expected = demo_net.arrow(query)
        assert serving.arrow(query).equals(expected), table
        file = demo_extracts.folder / PARQUET / f"{table}.parquet"
        of_file = duckdb.sql(query.replace(f"marts.{table}", f"'{file}'"))
        assert of_file.to_arrow_table().equals(expected), table


def test_columns_say_what_they_mean(demo_net, demo_extracts, serving):
    query = (
        "select table_name, column_name, comment from duckdb_columns() "
        "where schema_name = 'marts' order by all"
    )

    comments = serving.rows(query)

    assert comments == demo_net.rows(query)
    assert all(row["comment"] for row in comments)
    with (demo_extracts.folder / DICTIONARY).open(encoding="utf-8-sig") as file:
        words = {(row["table"], row["column"]) for row in csv.DictReader(file)}
    assert {(row["table_name"], row["column_name"]) for row in comments} < words


def test_pseudonyms_are_those_of_audiences_and_join(demo_net, serving):
    query = "select customer_id from marts.dim_customer_segments"
    named = {pseudonym(each, KEY) for each in demo_net.values(query)}
    joins = (
        "select count(*) from marts.fct_return_allocations as allocations "
        "inner join marts.fct_invoice_lines as lines "
        "on allocations.purchase_line_id = lines.invoice_line_id "
        "and allocations.customer_id = lines.customer_id"
    )

    assert set(serving.values(query)) == named
    assert serving.value(joins) == demo_net.value(joins) > 0


def test_nothing_is_left_by_which_ids_could_be_tried(demo_net, serving):
    """A number that a customer draws by a known hash gives the customer away."""
    query = "select count(control_bucket) from marts.fct_campaign_audiences"

    assert demo_net.value(query) > 0
    assert serving.value(query) == 0


def test_the_order_of_rows_does_not_tell_who_it_is(demo_net, serving):
    ids = demo_net.values("select customer_id from marts.dim_customers order by 1")

    named = serving.values("select customer_id from marts.dim_customers")

    assert named != [pseudonym(each, KEY) for each in ids]
    assert named == serving.values(
        "select customer_id from marts.dim_customers "
        "order by columns(* exclude customer_id), customer_id"
    )


def test_nobody_can_be_recognised(hostile_net, hostile_extracts, hyper):
    """Neither by an id, nor by an order that is named after a customer."""
    orders = hostile_net.values("select order_id from marts.fct_orders")
    lines = hostile_net.values("select invoice_line_id from marts.fct_invoice_lines")
    assert sum(CUSTOMER in order for order in orders) == 2

    served = Warehouse(hostile_extracts.folder / SERVING)
    texts = [
        str(value)
        for table in served.tables("marts")
        for row in served.rows(f"from marts.{table}")
        for value in row.values()
    ]
    for file in hostile_extracts.folder.glob(f"{TABLEAU}/*.hyper"):
        names = hyper(
            file,
            f"select tablename from pg_catalog.pg_tables where schemaname='{SCHEMA}'",
        )
        for [name] in names:
            texts += [
                str(row) for row in hyper(file, f'select * from "{SCHEMA}"."{name}"')
            ]
    for file in hostile_extracts.folder.glob(f"{SPREADSHEET}/*.csv"):
        texts.append(file.read_text(encoding="utf-8-sig"))

    assert not [text for text in texts if CUSTOMER in text]
    assert not set(lines) & set(texts)


def test_text_from_the_data_stays_text(hostile_extracts, hyper):
    # Beside the shop's own products there are those of guests' hostile codes.
    query = (
        "select product_name from {} where stock_code like '1000_' order by stock_code"
    )
    file = hostile_extracts.folder / SPREADSHEET / "dim_products.csv"
    with file.open(encoding="utf-8-sig", newline="") as rows:
        products = list(csv.DictReader(rows))
    cells = [
        row["product_name"] for row in products if row["stock_code"].startswith("1000")
    ]
    served = Warehouse(hostile_extracts.folder / SERVING)
    extract = hostile_extracts.folder / TABLEAU / "lines.hyper"

    assert served.values(query.format("marts.dim_products")) == NAMES
    assert [
        row[0] for row in hyper(extract, query.format(f'"{SCHEMA}".dim_products'))
    ] == (NAMES)
    assert [cell.removeprefix("'") for cell in cells] == NAMES
    assert cells[2].startswith("'=")
    every_cell = [cell for row in products for cell in row.values()]
    assert not [cell for cell in every_cell if cell.startswith(("=", "+", "@"))]


def test_hyper_files_hold_the_marts_and_their_relations(demo_net, demo_extracts, hyper):
    counted = {}
    for name in (*RELATIONS, OTHERS):
        file = demo_extracts.folder / TABLEAU / f"{name}.hyper"
        tables = hyper(
            file,
            f"select tablename from pg_catalog.pg_tables where schemaname='{SCHEMA}'",
        )
        for [table] in tables:
            query = f'select count(*) from "{SCHEMA}"."{table}"'
            counted[table] = hyper(file, query)[0][0]
        if name in RELATIONS:
            roots = {source for source, _, _ in RELATIONS[name]} - {
                target for _, _, target in RELATIONS[name]
            }
            assert len(roots) == 1
    total = hyper(
        demo_extracts.folder / TABLEAU / "orders.hyper",
        "select sum(orders.net_amount), segments.segment_name "
        'from "Extract".fct_orders as orders '
        'inner join "Extract".dim_customer_segments as segments '
        "on orders.customer_id = segments.customer_id group by 2 order by 2",
    )

    assert counted == demo_extracts.row_counts
    assert [(row[1], row[0]) for row in total] == [
        (row["segment_name"], row["net_amount"])
        for row in demo_net.rows(
            "select segments.segment_name, sum(orders.net_amount) as net_amount "
            "from marts.fct_orders as orders "
            "inner join marts.dim_customer_segments as segments "
            "on orders.customer_id = segments.customer_id group by 1 order by 1"
        )
    ]


def test_hyper_knows_the_keys(demo_extracts, hyper):
    found = Counter(
        kind
        for [kind] in hyper(
            demo_extracts.folder / TABLEAU / "orders.hyper",
            "select contype from pg_catalog.pg_constraint",
        )
    )
    relations = RELATIONS["orders"]

    assert found["f"] == len(relations)
    assert found["p"] == len({target for _, _, target in relations})


def test_relations_hold_in_the_data(demo_net):
    for source, column, target in {r for each in RELATIONS.values() for r in each}:
        twice = demo_net.values(
            f"select {column} from marts.{target} where {column} is not null "
            "group by 1 having count(*) > 1"
        )
        strays = demo_net.values(
            f"select {column} from marts.{source} where {column} is not null "
            f"except select {column} from marts.{target}"
        )
        optional = target in ("rpt_customer_rhythms", "rpt_segment_reasons")
        assert twice == [], target
        assert strays == [] or optional, (source, target)


def test_the_same_build_gives_the_same_bytes(demo_net, demo_extracts, tmp_path):
    again = write_extracts(demo_net.path, tmp_path / "export", key=KEY)

    for folder in (PARQUET, SPREADSHEET):
        for file in (demo_extracts.folder / folder).iterdir():
            other = again.folder / folder / file.name
            assert file.read_bytes() == other.read_bytes(), file.name


def export(warehouse, folder, **settings):
    options = {"key": None, "only": ["dim_segments"], "with_hyper": False}
    return write_extracts(warehouse, folder, **(options | settings))


def test_the_last_two_exports_stay_and_the_link_turns(hostile_net, tmp_path):
    seen = []
    for _ in range(3):
        export(hostile_net.path, tmp_path)
        seen.append((tmp_path / "current").readlink().name)

    assert len(set(seen)) == 3
    assert {path.name for path in tmp_path.iterdir()} == {*seen[1:], "current"}


def test_an_export_that_fails_leaves_the_last_one(hostile_net, tmp_path, monkeypatch):
    export(hostile_net.path, tmp_path)
    before = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*"))

    def fail(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write_dictionary", fail)
    with pytest.raises(KeyboardInterrupt):
        export(hostile_net.path, tmp_path)

    assert sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*")) == before


def test_one_export_at_a_time(hostile_net, tmp_path):
    with (
        hold(tmp_path, ExtractBusyError("held")),
        pytest.raises(ExtractBusyError, match="Another export is at work"),
    ):
        export(hostile_net.path, tmp_path)


def test_what_was_not_made_here_is_left_alone(hostile_net, tmp_path):
    (tmp_path / "current").mkdir()
    (tmp_path / "current" / "mine.txt").write_text("mine")

    with pytest.raises(FolderError, match="not made here"):
        export(hostile_net.path, tmp_path)

    assert (tmp_path / "current" / "mine.txt").read_text() == "mine"


def test_files_are_read_only_and_private_where_they_tell_who_it_is(
    hostile_net, hostile_extracts, tmp_path
):
    told = export(hostile_net.path, tmp_path)

    def modes(folder):
        return {path.stat().st_mode & 0o777 for path in folder.rglob("*.*")}

    assert all(mode & 0o222 == 0 for mode in modes(hostile_extracts.folder))
    assert all(mode & 0o227 == 0 for mode in modes(told.folder))


def test_readers_of_an_export_do_not_meet_the_writer(hostile_net, tmp_path):
    warehouse = tmp_path / hostile_net.path.name
    shutil.copy(hostile_net.path, warehouse)
    told = export(warehouse, tmp_path / "export")
    writer = subprocess.Popen(
        [sys.executable, "-c", HELD, str(warehouse)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        writer.stdout.readline()
        with duckdb.connect(str(told.folder / SERVING), read_only=True) as reader:
            rows = reader.sql("select count(*) from marts.dim_segments").fetchall()
        with pytest.raises(WarehouseBusyError):
            export(warehouse, tmp_path / "export")
    finally:
        writer.communicate(b"\n")

    assert rows == [(hostile_net.value("select count(*) from marts.dim_segments"),)]


def test_what_duckdb_cannot_do_is_said(hostile_net, tmp_path, monkeypatch):
    monkeypatch.setenv("DUCKDB_MEMORY_LIMIT", "plenty")

    with pytest.raises(ExtractError, match="could not be written: Parser Error"):
        export(hostile_net.path, tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_tables_that_are_not_there_are_named(hostile_net, tmp_path):
    with pytest.raises(ExtractError, match="no mart rpt_weather"):
        export(hostile_net.path, tmp_path, only=["rpt_weather"])


def test_without_the_extra_everything_else_is_written(
    hostile_net, tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "find_spec", lambda _name: None)

    told = export(hostile_net.path, tmp_path, with_hyper=None)

    assert "tableau" in told.left_out
    assert (told.folder / SERVING).exists()
    with pytest.raises(ExtractError, match="make export"):
        export(hostile_net.path, tmp_path, with_hyper=True)


def test_the_command_asks_for_a_key_and_says_what_it_wrote(
    hostile_net, tmp_path, monkeypatch
):
    monkeypatch.setenv("DUCKDB_PATH", str(hostile_net.path))
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    command = ["export", "-o", str(tmp_path / "out"), "--table", "dim_segments"]

    refused = CliRunner().invoke(main, command)
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    done = CliRunner().invoke(main, command)

    assert refused.exit_code == ExitCode.UNUSABLE
    assert KEY_VARIABLE in refused.output
    assert done.exit_code == ExitCode.GREEN
    assert done.output.startswith("1 table, ")
    assert SERVING in done.output
