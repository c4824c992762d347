"""A small shop that has something of everything the gates look at, built by dbt."""

import datetime
import sys
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "python"))

from conftest import run_dbt, write_landing
from hostile_lines import hostile_lines
from retail_segments.demo import write_demo
from retail_segments.load import load_files

CUSTOMERS = 400
# The demo's lines are of 2024.
YEARS_LATER = 13
LINE = {
    "invoice_no": "700001",
    "stock_code": "22423",
    "description": "CAKESTAND",
    "quantity": 2,
    "invoice_date": datetime.datetime(2024, 5, 6, 11, 30),
    "unit_price": Decimal("3.1250"),
    "customer_id": "70001",
    "country": "Malta",
    "currency": "EUR",
    "store": "Valletta",
}
# What is wrong with a line; the demo has copies, write-offs, free and bad-debt lines.
FLAWS = [
    {"raw_line": "700001;22423;CAKE"},
    {"raw_quantity": "two", "quantity": None},
    {"raw_invoice_date": "someday", "invoice_date": None},
    {"raw_unit_price": "dear", "unit_price": None},
    {"invoice_no": None},
    {"stock_code": " "},
    {"quantity": None},
    {"invoice_date": None},
    {"unit_price": None},
    {"quantity": 2_000_000_000, "unit_price": Decimal("9999999999")},
    {"quantity": 0},
    {"invoice_no": "C700001"},
    {"quantity": -1},
    {"quantity": -3, "unit_price": Decimal("0")},
    {"description": None},
    {"description": " cakestand "},
    {"stock_code": "m", "description": "Manual"},
    {"stock_code": "POST", "description": "POSTAGE"},
    {"invoice_no": "A700001", "stock_code": "B", "unit_price": Decimal("-5")},
    {"country": None},
    {"customer_id": None},
    {"customer_id": "70002"},
    {"customer_id": "70003", "country": "Mars"},
    {},
]


def build_shop(folder: Path) -> None:
    """Load the shop's lines and build the warehouse, with its gates.

    Parameters
    ----------
    folder : Path
        Gets `warehouse.duckdb`, and what dbt wrote in `build`.

    Raises
    ------
    RuntimeError
        The build fails as it is, without any mutant.
    """
    lines = [
        {**line, "invoice_date": _later(line["invoice_date"])}
        for line in hostile_lines()
    ]
    flawed = [{**LINE, **flaw} for flaw in FLAWS]
    landing = write_landing(folder / "landing", lines + flawed)
    demo = write_demo(folder / "demo", customers=CUSTOMERS)
    # The demo stands for lines of one's own here: demo lines mix with no others.
    load_files([demo.lines], landing=landing)
    _run(folder, "build", ["build", "--exclude-resource-types", "unit_test"])


def run_unit_tests(folder: Path, models: Sequence[str]) -> None:
    """Run the unit tests of some models, or of all; `unit` gets what dbt wrote.

    Raises
    ------
    RuntimeError
        A unit test fails as it is, without any mutant.
    """
    selected = [f"test_type:unit,{model}" for model in models] or ["test_type:unit"]
    _run(folder, "unit", ["test", "--select", *selected])


def _run(folder: Path, name: str, arguments: list[str]) -> None:
    done = run_dbt(
        [
            *arguments,
            "--warn-error-options",
            '{"error": "all", "silence": ["NoNodesForSelectionCriteria"]}',
        ],
        folder=folder / name,
        landing=folder / "landing",
        warehouse=folder / "warehouse.duckdb",
    )
    if done.returncode:
        raise RuntimeError(
            f"dbt {' '.join(arguments)} fails before any mutant is made:\n"
            f"{done.stdout}{done.stderr}"
        )


def _later(moment: datetime.datetime) -> datetime.datetime:
    # Dates beyond what is read stay where they are: they are to be set aside.
    is_read = 1900 <= moment.year < datetime.MAXYEAR
    return moment.replace(year=moment.year + YEARS_LATER) if is_read else moment
