"""Whoever is forgotten is in no file any more, and what was sold adds up as before."""

import shutil
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from conftest import landing_table, run_dbt
from hypothesis import given
from hypothesis import strategies as st
from retail_segments.audiences import read_audience, record_launch
from retail_segments.cli import main
from retail_segments.demo import write_demo
from retail_segments.extracts import write_extracts
from retail_segments.forgetting import ForgetError, compact, forget_customer
from retail_segments.forgotten import (
    ForgottenList,
    clean_id,
    read_forgotten,
    take_out_of_lines,
    write_forgotten,
)
from retail_segments.landing import LoadError
from retail_segments.load import load_files
from retail_segments.publishing import copy_warehouse, published_path

# Nothing else reads like it, so that it can be looked for in the bytes of files.
CUSTOMER = "ZQ7731X"
TOTALS = """
select country_name, stock_code, line_type, count(*), sum(quantity), sum(line_amount)
from marts.fct_invoice_lines group by all order by all
"""
REJECTED = """
select source_file, reject_reason, count(*), sum(line_amount)
from marts.fct_rejected_lines group by all order by all
"""
COUNT = "select count(*) from marts.dim_customers"


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A shop with a build, an export and a campaign, all of which know the customer."""
    folder = tmp_path_factory.mktemp("forgetting")
    landing = folder / "landing"
    elsewhere = tmp_path_factory.mktemp("delivered")
    load_files(
        [write_demo(elsewhere, customers=300).lines], landing=elsewhere, kind="demo"
    )
    landing.mkdir()
    [demo] = elsewhere.glob("demo-*.parquet")
    with duckdb.connect() as connection:
        busiest = "select mode(customer_id) from lines"
        connection.execute(f"create view lines as from read_parquet('{demo}')")
        connection.execute(
            f"copy (select * replace (case when customer_id = ({busiest}) then "
            f"'{CUSTOMER}.0' else customer_id end as customer_id) from lines) "
            f"to '{landing}/demo-0.parquet' (format parquet)"
        )
    unreadable = [{"raw_line": f"1;{CUSTOMER};x"}, {"raw_line": "2;3;x"}]
    aside = landing / "aside"
    aside.mkdir()
    for place in (landing / "demo-1.parquet", aside / "demo-2.parquet"):
        pq.write_table(landing_table(unreadable, source_hash=place.stem), place)
    shop = Shop(folder)
    shop.build()
    [(campaign,)] = shop.read(
        "select min(campaign_id) from marts.fct_campaign_audiences "
        f"where customer_id = '{CUSTOMER}'"
    )
    members = read_audience(shop.warehouse, campaign)
    record_launch(
        landing, members, launched_date=members[0]["audience_date"], window_days=30
    )
    write_extracts(shop.warehouse, folder / "export", key=None, with_hyper=False)
    return shop


class Shop:
    """The folders of a shop."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.landing = folder / "landing"
        self.warehouse = folder / "warehouse.duckdb"

    def build(self):
        """Build without gates, which others try, and publish in spite of that."""
        result = run_dbt(
            ["build", "--warn-error", "--exclude-resource-types", "unit_test", "test"],
            folder=self.folder,
            landing=self.landing,
        )
        assert result.returncode == 0, result.stdout + result.stderr
        copy_warehouse(self.warehouse, published_path(self.warehouse))

    def forget(self, customer=CUSTOMER):
        return forget_customer(
            customer,
            landing=self.landing,
            warehouse=self.warehouse,
            exports=self.folder / "export",
            build=self.build,
        )

    def read(self, query):
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.sql(query).fetchall()

    def found(self, text=CUSTOMER):
        """Look for a text in the bytes of all files, and in what is packed in them."""
        places = []
        for path in sorted(self.folder.rglob("*")):
            if not path.is_file() or path.is_symlink():
                continue
            if text.encode() in path.read_bytes():
                places.append(str(path))
            places += [f"{path} {place}" for place in _packed(path, text)]
        return places


def _packed(path, text):
    """Name the tables of a Parquet or DuckDB file that hold a text."""
    with duckdb.connect() as connection:
        if path.suffix == ".parquet":
            tables = [f"read_parquet('{path}')"]
        elif path.suffix == ".duckdb":
            connection.execute(f"attach '{path}' (read_only)")
            tables = [
                ".".join(row)
                for row in connection.execute(
                    "select database_name, schema_name, table_name from duckdb_tables()"
                ).fetchall()
            ]
        else:
            tables = []
        for table in tables:
            [(count,)] = connection.execute(
                f"select count(*) from {table} as line "
                "where contains(cast(line as varchar), ?)",
                [text],
            ).fetchall()
            if count:
                yield table


def test_a_customer_is_in_no_file_after_and_what_was_sold_stays(
    shop, tmp_path, record_property
):
    before = shop.read(TOTALS), shop.read(REJECTED)
    [(customers,)] = shop.read(COUNT)
    everywhere = "\n".join(shop.found())
    for place in ("landing", "campaigns", "aside", "export", "published", "ml."):
        assert place in everywhere

    forgotten = shop.forget(f" {CUSTOMER}.0 ")

    found = shop.found()
    record_property("places where a forgotten id was found", len(found))
    assert found == []
    assert len(forgotten.rows) == 4
    assert forgotten.leftovers == {}
    assert (shop.read(TOTALS), shop.read(REJECTED)) == before
    assert shop.read(COUNT) == [(customers - 1,)]
    assert not list((shop.folder / "export").iterdir())

    # Again: nothing is left to do, and nothing is built.
    built_at = shop.warehouse.stat().st_mtime_ns
    assert shop.forget().rows == {}
    assert shop.warehouse.stat().st_mtime_ns == built_at

    # Lines that come later do not bring the customer back.
    delivered = tmp_path / "later.csv"
    header = "Invoice,StockCode,Quantity,InvoiceDate,Price,Customer ID,Country\n"
    delivered.write_text(
        header + f"9,A,1,2024-01-02 10:00,1.5,{CUSTOMER},Italy\n"
        "9,B,1,2024-01-02 10:00,1.5,77,Italy\n" + f"9,{CUSTOMER},1,2,3,4,5,6,7,8\n" * 1
    )
    shutil.rmtree(shop.landing / ".loading", ignore_errors=True)
    elsewhere = tmp_path / "landing"
    elsewhere.mkdir()
    shutil.copy(shop.landing / "forgotten.json", elsewhere)
    [report] = load_files([delivered], landing=elsewhere, max_unreadable=1.0)
    rows = pq.read_table(report.landing_path).to_pylist()
    assert [row["customer_id"] for row in rows[:2]] == [None, "77"]
    assert CUSTOMER not in str(rows)
    assert len(rows) == 3


def test_who_is_unknown_cannot_be_forgotten(shop):
    listed = (shop.landing / "forgotten.json").exists()
    with pytest.raises(ForgetError, match=r"is about a customer 'nobody'"):
        shop.forget("nobody")
    known = read_forgotten(shop.landing)
    assert known.digest("nobody") not in known.finished
    assert listed == (len(known.finished) > 0)


def test_what_was_interrupted_is_finished(tmp_path):
    shop = Shop(tmp_path)
    shop.landing.mkdir()
    rows = [{"customer_id": CUSTOMER}, {"customer_id": "77"}]
    pq.write_table(landing_table(rows), shop.landing / "lines-0.parquet")

    def fail():
        raise ForgetError("a gate failed")

    def forget(build):
        return forget_customer(
            CUSTOMER,
            landing=shop.landing,
            warehouse=shop.warehouse,
            exports=tmp_path / "export",
            build=build,
        )

    def build():
        built.append(True)
        duckdb.connect(str(shop.warehouse)).close()

    built = []
    with pytest.raises(ForgetError, match="a gate failed"):
        forget(fail)
    assert forget(build).rows == {}
    assert forget(build).rows == {}
    assert built == [True]


def test_a_compact_warehouse_holds_no_deleted_bytes_and_all_else(tmp_path):
    warehouse = tmp_path / "shop.duckdb"
    with duckdb.connect(
        str(warehouse), config={"storage_compatibility_version": "v1.4.0"}
    ) as connection:
        connection.execute("create table names (name varchar not null)")
        connection.execute("create view known as select * from shop.names")
        connection.execute("comment on column names.name is 'of whom'")
        connection.execute("insert into names select 'Ann ' || i from range(5000) r(i)")
        connection.execute(f"insert into names values ('{CUSTOMER}')")
        connection.execute("checkpoint")
        connection.execute(f"delete from names where name = '{CUSTOMER}'")
    assert CUSTOMER.encode() in warehouse.read_bytes()
    published = published_path(warehouse)
    published.parent.mkdir()
    published.write_bytes(warehouse.read_bytes())

    compact(warehouse)

    for path in (warehouse, published):
        assert CUSTOMER.encode() not in path.read_bytes()
        with duckdb.connect(str(path), read_only=True) as connection:
            described = connection.sql(
                "select count(*), (select any_value(comment) from duckdb_columns() "
                "where table_name = 'names'), (select tags['storage_version'] from "
                "duckdb_databases() where database_name = 'shop') from known"
            ).fetchall()
        assert described == [(5000, "of whom", "v1.4.0+")]


@given(st.text(alphabet="0. a7", max_size=8))
def test_ids_are_read_as_staging_reads_them(text):
    with duckdb.connect() as connection:
        [(cleaned,)] = connection.execute(
            "select regexp_replace(trim(?), '[.]0+$', '')", [text]
        ).fetchall()
    assert clean_id(text) == cleaned


def test_a_list_that_cannot_be_read_stops_a_load(tmp_path):
    known = ForgottenList().marked("0", is_finished=True)
    write_forgotten(tmp_path, known)
    assert read_forgotten(tmp_path) == known
    assert (tmp_path / "forgotten.json").stat().st_mode & 0o777 == 0o600

    (tmp_path / "forgotten.json").write_text("{")
    with pytest.raises(LoadError, match=r"forgotten\.json.*cannot be read"):
        read_forgotten(tmp_path)


def test_lines_of_others_stay_as_they_are(tmp_path):
    path = tmp_path / "lines-0.parquet"
    table = landing_table([{"customer_id": "a-7"}, {"raw_line": "a-7,1"}, {}])
    pq.write_table(table, path)
    before = path.read_bytes()
    assert take_out_of_lines(path, "7", tmp_path / "new") == 1
    assert pq.read_table(path)["customer_id"].to_pylist() == ["a-7", None, None]
    path.write_bytes(before)
    assert take_out_of_lines(path, "a", tmp_path / "new") == 1
    path.write_bytes(before)
    assert take_out_of_lines(path, "b", tmp_path / "new") == 0
    assert path.read_bytes() == before


def test_the_command_asks_first_and_needs_a_project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = CliRunner().invoke(main, ["forget", "77", "--yes"])
    assert refused.exit_code == 2
    assert "holds no dbt_project.yml" in refused.output
    (tmp_path / "dbt_project.yml").touch()
    stopped = CliRunner().invoke(main, ["forget", "77"], input="n\n")
    assert stopped.exit_code == 1
    assert "It cannot be undone" in stopped.output
    unknown = CliRunner().invoke(main, ["forget", "77", "--yes"])
    assert unknown.exit_code == 2
    assert "is about a customer '77'" in unknown.output
