"""Lines that are in the warehouse already, and vars that cannot be used."""

import shutil
from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal

import duckdb
import pytest
from conftest import Warehouse, fetch_rows, run_dbt, write_landing

# The headers of the data set's second edition, with two columns of a shop's own.
COLUMNS = {
    "invoice_no": "Invoice",
    "stock_code": "StockCode",
    "description": "Description",
    "quantity": "Quantity",
    "invoice_date": "InvoiceDate",
    "unit_price": "Price",
    "customer_id": "Customer ID",
    "country": "Country",
}
TABLE = {"source_table": "shop.invoice_lines", "source_columns": COLUMNS}
# No var at its default, so that nothing hangs on one.
SETTINGS = {
    "purchase_basis": "textbook",
    "as_of_date": "2011-03-01",
    "cluster_count": 3,
    "cluster_count_min": 2,
    "cluster_count_max": 4,
    "cluster_smallest_share": 0.1,
    "cluster_smallest_jaccard": 0.7,
    "cluster_smallest_silhouette": 0.1,
    "cluster_largest_davies_bouldin": 2,
    "cluster_transform": "none",
    "cluster_features": ["frequency", "monetary_value"],
    "cluster_seed": 7,
    "cluster_starts": 3,
}
# What only a file has, and what a clock says.
LEFT_OUT = {"source_file", "source_row", "fit_seconds"}


def make_lines():
    """Make a small shop, some of whose lines cannot be read or used."""
    start = datetime(2011, 1, 3, 9, 0)
    lines = [
        {
            "invoice_no": f"{500_000 + 10 * customer + order}",
            "stock_code": f"{20_000 + (customer + item) % 7}",
            "description": f"Item {(customer + item) % 7} ",
            "quantity": 1 + (customer * order + item) % 9,
            "invoice_date": start + timedelta(days=11 * order + customer, minutes=item),
            "unit_price": Decimal(1 + item) + Decimal("0.45"),
            "customer_id": str(12_346 + customer),
            "country": "United Kingdom" if customer % 3 else "EIRE",
        }
        for customer in range(24)
        for order in range(1 + customer % 5)
        for item in range(3)
    ]
    returns = [
        {
            **line,
            "invoice_no": f"C{line['invoice_no']}",
            "quantity": -((line["quantity"] + 1) // 2),
            "invoice_date": line["invoice_date"] + timedelta(days=2),
        }
        for line in lines[::9]
    ]
    plain = lines[0]
    odd = [
        {**plain, "customer_id": None},
        {**plain, "stock_code": "POST", "description": "POSTAGE"},
        {**plain, "stock_code": None},
        {**plain, "description": None, "country": "  "},
        {**plain, "quantity": None, "raw_quantity": "six"},
        {**plain, "quantity": None, "raw_quantity": "1.5"},
        {**plain, "quantity": None, "raw_quantity": "3000000000"},
        {**plain, "invoice_date": None, "raw_invoice_date": "30/30/2011"},
        {**plain, "invoice_date": None, "raw_invoice_date": "1899-12-30 00:00:00"},
        {**plain, "unit_price": None, "raw_unit_price": "gratis"},
        {**plain, "quantity": None},
        {**plain, "unit_price": Decimal("0.001")},
        {**plain, "unit_price": Decimal(0)},
    ]
    return lines + returns + odd + lines[:5]


def write_table(path, lines):
    """Write lines as a shop's own table: numbers as text, ids as floating point."""
    rows = [
        (
            line["invoice_no"],
            line["stock_code"],
            line["description"],
            line.get("raw_quantity") or as_text(line["quantity"]),
            line.get("raw_invoice_date") or as_text(line["invoice_date"]),
            line.get("raw_unit_price") or as_text(line["unit_price"]),
            line["customer_id"] and float(line["customer_id"]),
            line["country"],
        )
        for line in lines
    ]
    with duckdb.connect(str(path)) as connection:
        connection.execute("create schema shop")
        connection.execute(
            "create table shop.invoice_lines (Invoice varchar, StockCode varchar, "
            "Description varchar, Quantity varchar, InvoiceDate varchar, "
            "Price varchar, "
            '"Customer ID" double, Country varchar)'
        )
        connection.executemany(
            "insert into shop.invoice_lines values (?, ?, ?, ?, ?, ?, ?, ?)", rows
        )


def as_text(value):
    return None if value is None else str(value)


def dump(warehouse, table):
    """Count the rows of a table, without what only a file has or a clock says."""
    return Counter(
        tuple((name, value) for name, value in row.items() if name not in LEFT_OUT)
        for row in warehouse.rows(f"select * from marts.{table}")
    )


@pytest.fixture(scope="module")
def lines():
    return make_lines()


@pytest.fixture(scope="module")
def from_landing(lines, build_warehouse, tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop") / "landing"
    return build_warehouse(write_landing(folder, lines), with_gates=False, **SETTINGS)


@pytest.fixture(scope="module")
def from_table(lines, tmp_path_factory):
    folder = tmp_path_factory.mktemp("table")
    path = folder / "warehouse.duckdb"
    write_table(path, lines)
    # The landing folder is not read, so what lies there is no matter.
    (folder / "landing").mkdir()
    (folder / "landing" / "stray.parquet").touch()
    result = run_dbt(
        ["build", "--warn-error", "--exclude-resource-type", "unit_test"],
        folder=folder,
        landing=folder / "landing",
        variables=SETTINGS | TABLE,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return Warehouse(path)


def test_a_table_gives_what_the_same_lines_in_files_give(from_table, from_landing):
    tables = from_landing.tables("marts")

    assert tables == from_table.tables("marts")
    assert len(tables) >= 10
    without_rows = []
    for table in tables:
        found, expected = dump(from_table, table), dump(from_landing, table)
        assert found == expected, table
        if not expected:
            without_rows.append(table)
    # Nothing was launched, one model has replaced none, and the shop is too young to
    # try recommendations on.
    assert without_rows == [
        "rpt_campaign_results",
        "rpt_cluster_promotion",
        "rpt_recommendation_scoreboard",
    ]


def test_a_table_s_unreadable_values_are_set_aside(from_table, lines):
    found = Counter(
        from_table.values("select reject_reason from marts.fct_rejected_lines")
    )

    assert found["unreadable_quantity"] == 3
    assert found["unreadable_invoice_date"] == 2
    assert found["unreadable_unit_price"] == 1
    assert found["missing_quantity"] == found["missing_stock_code"] == 1
    assert found["non_positive_price"] == 1
    assert found["exact_duplicate"] == 5
    assert from_table.value(
        "select count(*) from staging.stg_online_retail__lines"
    ) == len(lines)


def test_a_table_s_lines_name_it_as_their_source(from_table):
    assert from_table.values(
        "select distinct source_file from marts.fct_invoice_lines"
    ) == ["shop.invoice_lines"]


def test_a_table_s_floating_customer_numbers_are_whole(from_table):
    assert (
        from_table.value(
            "select count(*) from marts.dim_customers where customer_id like '%.%'"
        )
        == 0
    )


def test_columns_of_the_same_name_need_no_mapping(from_table, tmp_path):
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(from_table.path, warehouse)
    differing = {
        name: header for name, header in COLUMNS.items() if header.lower() != name
    }

    result = run_dbt(
        ["run", "--select", "stg_online_retail__lines"],
        folder=tmp_path,
        landing=tmp_path / "no-landing",
        warehouse=warehouse,
        variables=TABLE | {"source_columns": differing},
    )

    assert result.returncode == 0, result.stdout + result.stderr
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        query = (
            "select content_fingerprint, product_description, country_name "
            "from staging.stg_online_retail__lines order by all"
        )
        assert fetch_rows(connection, query) == from_table.rows(query)


def test_unit_tests_hold_whatever_the_vars(from_table, tmp_path):
    """They are part of each `dbt build`, so a user's vars must not fail them."""
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(from_table.path, warehouse)

    result = run_dbt(
        ["test", "--select", "test_type:unit"],
        folder=tmp_path,
        landing=tmp_path / "no-landing",
        warehouse=warehouse,
        variables=SETTINGS | TABLE,
    )

    assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture
def refuse(tmp_path):
    """Run a build that must fail, and return what it says."""
    warehouse = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("create schema shop")
        connection.execute("create table shop.lines as select 42 as kept")

    def run(variables, landing=tmp_path / "no-landing"):
        result = run_dbt(
            ["build", "--warn-error"],
            folder=tmp_path,
            landing=landing,
            variables=variables,
        )
        said = result.stdout + result.stderr
        assert result.returncode != 0, said
        assert "Traceback" not in said
        with duckdb.connect(str(warehouse), read_only=True) as connection:
            tables = fetch_rows(
                connection,
                "select table_schema, table_name from information_schema.tables",
            )
            assert tables == [{"table_schema": "shop", "table_name": "lines"}]
            assert fetch_rows(connection, "from shop.lines") == [{"kept": 42}]
        return said

    return run


def test_without_lines_the_build_says_how_to_load_some(refuse, tmp_path):
    said = refuse({})

    assert f"No invoice lines are loaded: '{tmp_path / 'no-landing'}'" in said
    assert "retail-segments load FILE" in said


@pytest.mark.parametrize("folder", ["", "campaigns"])
def test_a_landing_file_that_is_no_parquet_is_named(folder, refuse, tmp_path):
    landing = write_landing(tmp_path / "landing [1]", make_lines())
    foreign = landing / folder / "mine's.parquet"
    foreign.parent.mkdir(exist_ok=True)
    foreign.write_text("InvoiceNo,StockCode")

    said = " ".join(refuse({}, landing).split())

    assert f"'{foreign}' cannot be read as Parquet (" in said
    assert "move this one away, and load what it was made of" in said


@pytest.mark.parametrize(
    "problems",
    [
        {
            "purchase_bases": ("net", "var 'purchase_bases' is unknown; known are"),
            "as_of_date": ("2011-02-29", "as_of_date is '2011-02-29'; give a day as"),
            "purchase_basis": ("gross", "purchase_basis is 'gross'; give net or"),
            "cluster_count": (11, "cluster_count is '11'; give auto or a whole number"),
            "cluster_count_min": (1, "cluster_count_min is '1'; give a whole number"),
            "cluster_smallest_share": (0.6, "cluster_smallest_share is '0.6'; give a"),
            "cluster_smallest_jaccard": (
                1.1,
                "cluster_smallest_jaccard is '1.1'; give a number from 0 to 1",
            ),
            "cluster_model": ("keep", "cluster_model is 'keep'; give refit or frozen"),
            "cluster_transform": ("log", "cluster_transform is 'log'; give log1p or"),
            "cluster_features": (
                ["recency"],
                "cluster_features is '['recency']'; give a list of one or more of",
            ),
            "cluster_seed": (-1, "cluster_seed is '-1'; give a whole number from 0"),
            "cluster_starts": (0, "cluster_starts is '0'; give a whole number from 1"),
            "basket_smallest_support": (
                0,
                "basket_smallest_support is '0'; give a share from 0.0001 to 1",
            ),
            "basket_smallest_confidence": (
                1.5,
                "basket_smallest_confidence is '1.5'; give a number from 0 to 1",
            ),
            "basket_largest_size": (
                1,
                "basket_largest_size is '1'; give a whole number from 2",
            ),
            "campaign_control_share": (
                1,
                "campaign_control_share is '1'; give a number from 0 to 0.9",
            ),
            "campaign_salt": (
                "it's",
                "campaign_salt is 'it's'; give a word of letters, digits and",
            ),
            "plan_target": (-1, "plan_target is '-1'; give a number from 0 to 10"),
            "plan_margin": (1.5, "plan_margin is '1.5'; give a number from 0 to 1"),
            "plan_service_multiple": (
                0.5,
                "plan_service_multiple is '0.5'; give a number from 1 to 1000",
            ),
            "plan_effects": (
                {"win_back": 0},
                "plan_effects gives 'win_back' the effect '0'; give one or more",
            ),
            "source_table": (
                "shop.lines; drop table shop.lines",
                "source_table is 'shop.lines; drop table shop.lines'; give table,",
            ),
            "source_columns": (
                {"invoice": "Invoice"},
                "source_columns maps 'invoice' to 'Invoice'; map one or more of",
            ),
        },
        {
            "as_of_date": ("2011-01-01' as date) --", "as_of_date is '2011-01-01' as"),
            "purchase_basis": (1, "purchase_basis is '1'; give net or textbook"),
            "cluster_count": ("four", "cluster_count is 'four'; give auto or a whole"),
            "cluster_count_max": ("10", "cluster_count_max is '10'; give a whole"),
            "cluster_smallest_silhouette": (
                "high",
                "cluster_smallest_silhouette is 'high'; give a number from -1 to 1",
            ),
            "cluster_largest_davies_bouldin": (
                True,
                "cluster_largest_davies_bouldin is 'True'; give a number from 0",
            ),
            "cluster_features": (
                "recency_days",
                "cluster_features is 'recency_days'; give a list",
            ),
            "basket_smallest_support": (
                "1 %",
                "basket_smallest_support is '1 %'; give a share",
            ),
            "basket_largest_size": (2.5, "basket_largest_size is '2.5'; give a whole"),
            "campaign_control_share": ("0.2", "campaign_control_share is '0.2'; give"),
            "campaign_salt": (2024, "campaign_salt is '2024'; give a word of letters"),
            "plan_contact_cost": (
                "low",
                "plan_contact_cost is 'low'; give a number from 0",
            ),
            "plan_effects": (0.1, "plan_effects is '0.1'; give a mapping such as"),
            "source_table": (5, "source_table is '5'; give table, schema.table or"),
            "source_columns": (
                {"invoice_no": 5},
                "source_columns maps 'invoice_no' to '5'; map one or more of",
            ),
        },
        {
            "as_of_date": (20110909, "as_of_date is '20110909'; give a day as"),
            "cluster_count": (
                8,
                "cluster_count is 8, above cluster_count_max, which is 6",
            ),
            "cluster_count_min": (
                7,
                "cluster_count_min is 7, above cluster_count_max, which is 6",
            ),
            "cluster_count_max": (6, ""),
            "cluster_features": (
                ["frequency", "frequency"],
                "cluster_features is '['frequency', 'frequency']'; give a list",
            ),
            "source_table": ('shop."lines"', "source_table is 'shop.\"lines\"'; give"),
        },
    ],
    ids=["wrong values", "wrong types", "nearly right values"],
)
def test_vars_that_cannot_be_used_are_named_all_at_once(refuse, problems):
    said = refuse({name: value for name, (value, _) in problems.items()})

    for _, sentence in problems.values():
        assert sentence in said


def test_source_columns_that_are_no_mapping_are_refused(refuse):
    said = refuse({"source_columns": "Invoice"})

    assert "source_columns is 'Invoice'; give a mapping such as" in said
