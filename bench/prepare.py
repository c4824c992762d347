"""Make the data of a benchmark: the lines as one Parquet file, and loaded.

Usage: ``python bench/prepare.py FOLDER COPIES [LINES.parquet]``, and for a day more
``python bench/prepare.py day LANDING``; ``bench/run.py`` calls it as a process of its
own, to stay small itself. Without a file the demo's lines are
made. Copies have customers and invoices of their own. Prints where the lines are, how
many they are, and the seconds that loading them took, as JSON.
"""

import json
import sys
import time
from pathlib import Path

import duckdb
from retail_segments.demo import write_demo
from retail_segments.load import load_files

COLUMNS = {
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
}


def check_columns(lines: Path) -> None:
    """Refuse a file that the yardsticks cannot read."""
    described = duckdb.sql(f"describe from '{lines}'").fetchall()
    missing = sorted(COLUMNS - {row[0] for row in described})
    if missing:
        sys.exit(f"{lines.name} lacks {', '.join(missing)}; name the columns so.")


def copy_lines(lines: Path, copies: int, target: Path) -> Path:
    """Write the lines several times, each time with new customers and invoices.

    The number of the copy is appended to both, so that a leading C or A stays in front.
    """
    width = len(str(copies))
    duckdb.execute("set preserve_insertion_order = false")
    duckdb.execute(f"""
        copy (
            select lines.* replace (
                InvoiceNo || suffix as InvoiceNo,
                cast(cast(CustomerID as bigint) || suffix as bigint) as CustomerID
            )
            from '{lines}' as lines
            cross join (
                select lpad(cast(copy as varchar), {width}, '0') as suffix
                from range({copies}) as copies(copy)
            )
        ) to '{target}' (format parquet, compression zstd)""")
    return target


def add_day(landing: Path) -> None:
    """Land one line in 360 once more: the last invoices, a day later, as new ones."""
    duckdb.execute(f"""
        copy (
            with lines as (from read_parquet('{landing}/*.parquet')),
            newest as (
                select * from lines where invoice_date is not null
                order by invoice_date desc, invoice_no, source_row
                limit (select count(*) // 360 from lines)
            )
            select * replace (
                concat(invoice_no, '9') as invoice_no,
                invoice_date + interval 1 day as invoice_date,
                'day.csv' as source_file, 'day' as source_hash
            )
            from newest
        ) to '{landing}/lines-day.parquet' (format parquet)""")


def main(folder: Path, copies: int, source: Path | None) -> None:
    """Make the lines, load them into ``FOLDER/landing``, and say so."""
    lines = source or write_demo(folder).lines
    check_columns(lines)
    if copies > 1:
        lines = copy_lines(lines, copies, folder / "lines.parquet")
    since = time.perf_counter()
    [report] = load_files([lines], landing=folder / "landing")
    seconds = time.perf_counter() - since
    facts = {"lines": str(lines), "line_count": report.line_count, "seconds": seconds}
    print(json.dumps(facts))


if __name__ == "__main__":
    if sys.argv[1] == "day":
        add_day(Path(sys.argv[2]))
        sys.exit()
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]),
        Path(sys.argv[3]) if len(sys.argv) > 3 else None,
    )
