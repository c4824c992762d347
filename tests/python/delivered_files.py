"""Files as users deliver them, loading them, and what has landed."""

import csv
import datetime as dt
from decimal import Decimal
from pathlib import Path

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, settings
from retail_segments.load import load_files

HEADERS = (
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
)
LINE = (
    "536365",
    "85123A",
    "WHITE HANGING HEART",
    "6",
    "2010-12-01 08:26:00",
    "2.55",
    "17850",
    "United Kingdom",
)
AT = dt.datetime(2010, 12, 1, 8, 26)
TYPED_LINE = (*LINE[:3], 6, AT, Decimal("2.55"), *LINE[6:])
few_examples = settings(
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, with the landing folder in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANDING_PATH", raising=False)


def line(**changes):
    """A line as text, with some values changed by header."""
    return [
        changes.get(header, value) for header, value in zip(HEADERS, LINE, strict=True)
    ]


def write_csv(
    path, rows, headers=HEADERS, *, delimiter=",", encoding="utf-8", end="\n"
):
    with path.open("w", encoding=encoding, newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, lineterminator=end)
        writer.writerow(headers)
        writer.writerows(rows)
    return path


def write_xlsx(path, sheets):
    """Write sheets, each a list of rows of which the first is the header."""
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, rows in sheets.items():
        sheet = workbook.create_sheet(name)
        for i, row in enumerate(rows, 1):
            for j, value in enumerate(row, 1):
                if value is not None:
                    cell = sheet.cell(i, j)
                    cell.value = value
                    if isinstance(value, str) and not value.startswith("#"):
                        cell.data_type = "s"
    workbook.save(path)
    return path


def write_parquet(path, columns):
    pq.write_table(pa.table(columns), path)
    return path


def typed_columns(rows):
    types = [pa.string()] * 3 + [pa.int32(), pa.timestamp("us"), pa.decimal128(18, 4)]
    types += [pa.string()] * 2
    by_column = list(zip(*rows, strict=True))
    return {
        header: pa.array(values, type_)
        for header, values, type_ in zip(HEADERS, by_column, types, strict=True)
    }


def load(*paths, landing=Path("landing"), **options):
    return load_files(list(paths), landing=landing, **options)


def load_one(path, **options):
    [report] = load(path, **options)
    return report


def landed(columns, landing=Path("landing")):
    """All landed lines, in the order in which they lie there."""
    return duckdb.execute(
        f"select {columns} from read_parquet(?)", [f"{landing}/*.parquet"]
    ).fetchall()


def column(path, name, **options):
    """Load a file that must land, and return one column of it."""
    load_one(path, **options)
    return [value for (value,) in landed(name)]


def visible(landing=Path("landing")):
    return sorted(path.name for path in landing.glob("*"))
