"""Day after day with dbt itself: what stands at last equals a build from nothing."""

import itertools
import json
import shutil
import threading

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from conftest import Warehouse, run_dbt
from retail_segments.locks import is_in_use
from retail_segments.publishing import published_path

SCHEMAS = ("intermediate", "ml", "marts")
WITHOUT_GATES = ["--exclude-resource-types", "test", "unit_test"]
WITHOUT_FITS = ["--exclude-resource-types", "unit_test", "--exclude", "tag:weekly"]

FIGURES = "select max(snapshot_date), sum(frequency) from marts.dim_customer_segments"


class BiServer(threading.Thread):
    """Opens what is published again and again, while dbt builds and publishes."""

    def __init__(self, warehouse):
        super().__init__(daemon=True)
        self.file = published_path(warehouse)
        self.seen, self.refused, self.faults = [], [], []
        self.stopped = threading.Event()

    def run(self):
        while not self.stopped.wait(0.2):
            try:
                with duckdb.connect(str(self.file), read_only=True) as connection:
                    self.seen += connection.sql(FIGURES).fetchall()
            except duckdb.Error as error:
                # Whoever opens the copy at the moment of its swap opens it again.
                (self.refused if is_in_use(error) else self.faults).append(str(error))


@pytest.fixture(scope="module")
def days(demo_folder, tmp_path_factory):
    """Build three times as lines arrive, and once more from nothing."""
    folder = tmp_path_factory.mktemp("days")
    landing = folder / "landing"
    landing.mkdir()
    [demo] = (demo_folder / "landing").glob("demo-*.parquet")
    lines = pq.read_table(demo)
    dates = sorted(filter(None, lines["invoice_date"].to_pylist()))
    known = pc.less(lines["invoice_date"], dates[len(dates) * 8 // 10])
    early = lines.filter(pc.fill_null(known, fill_value=True))
    rest = lines.filter(pc.fill_null(pc.invert(known), fill_value=False))
    # Half of what is left comes late, and a file is delivered once more at last.
    late = rest.slice(0, len(rest) // 2)

    def land(name, table):
        hashed = table.set_column(
            table.schema.get_field_index("source_hash"),
            "source_hash",
            pa.array([name] * len(table), pa.string()),
        )
        pq.write_table(hashed, landing / f"lines-{name}.parquet")

    def build(warehouse, options, **variables):
        result = run_dbt(
            ["build", "--warn-error", *options],
            folder=folder,
            landing=landing,
            warehouse=warehouse,
            variables=variables,
        )
        assert result.returncode == 0, result.stdout + result.stderr

    daily = folder / "daily.duckdb"
    land("a", early)
    build(daily, ["--exclude-resource-types", "unit_test"])
    reader = BiServer(daily)
    reader.start()
    land("b", rest.slice(len(late)))
    in_between = str(dates[len(dates) * 9 // 10].date())
    build(daily, WITHOUT_FITS, as_of_date=in_between, purchase_basis="textbook")
    land("c", late)
    land("d", late)
    build(daily, ["--exclude-resource-types", "unit_test"])
    reader.stopped.wait(1)
    reader.stopped.set()
    reader.join()
    again = folder / "again" / "daily.duckdb"
    again.parent.mkdir()
    shutil.copy(daily, again)
    build(again, [*WITHOUT_GATES, "--full-refresh"])
    return Warehouse(daily), Warehouse(again), reader


def test_bi_tools_read_on_during_builds_and_see_one_or_the_next(days, record_property):
    daily, _, reader = days
    in_order = [figures for figures, _ in itertools.groupby(reader.seen)]

    assert reader.faults == []
    assert len(reader.seen) > 20 * len(reader.refused)
    assert len(reader.seen) > 20
    assert len(in_order) == 3
    assert in_order[-1:] == [tuple(row.values()) for row in daily.rows(FIGURES)]
    record_property("reads during builds", len(reader.seen))
    record_property("reads refused during a swap", len(reader.refused))
    record_property("wrong reads during builds", len(reader.faults))


def test_every_table_equals_that_of_a_full_build(days):
    daily, again, _ = days
    for schema in SCHEMAS:
        tables = daily.tables(schema)
        assert tables == again.tables(schema)
        for table in tables:
            query = f"select * from {schema}.{table} order by all"
            assert daily.arrow(query).equals(again.arrow(query)), table


def scans(plan, table):
    """Yield what each scan of a table has let through, from DuckDB's profile."""
    if isinstance(plan, list):
        for step in plan:
            yield from scans(step, table)
    elif isinstance(plan, dict):
        if str(plan.get("extra_info", {}).get("Table", "")).endswith(table):
            yield plan["intermediate_rows"]
        yield from scans(list(plan.values()), table)


def test_lines_of_others_are_left_out_before_returns_are_joined(days):
    daily, _, _ = days
    [explained] = daily.rows("""
        explain (analyze, format json)
        select sum(netted.net_amount)
        from intermediate.int_lines_netted as netted
        inner join (
            select distinct change_group
            from intermediate.int_orders_versioned
            order by change_group
            limit 9
        ) as few on netted.change_group = few.change_group""")
    [read] = scans(json.loads(explained["explain_value"]), "int_lines_classified")
    assert read < daily.value("select count(*) from intermediate.int_lines_netted") / 2


def test_lines_that_came_twice_are_set_aside(days):
    daily, _, _ = days
    copies = daily.value(
        "select count(*) from marts.fct_rejected_lines "
        "where reject_reason = 'exact_duplicate' and source_file is not null"
    )
    late = daily.value(
        "select count(*) from (select 1 from intermediate.int_lines_classified "
        "group by source_file, source_row having count(*) = 2)"
    )
    assert copies >= late > 0
