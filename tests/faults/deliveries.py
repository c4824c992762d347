"""Files as they should not be delivered; `load` has to refuse each with a sentence."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

import openpyxl

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
LINES = [
    (
        str(536365 + number // 5),
        f"{84000 + number}A",
        "WHITE LANTERN",
        str(1 + number % 12),
        f"2010-12-{1 + number % 28:02} 08:26",
        f"{2 + number % 7}.55",
        str(17850 + number // 5),
        "France",
    )
    for number in range(100)
]


def an_empty_file(folder: Path, _demo: Path) -> Path:
    """Write no byte at all."""
    path = folder / "lines.csv"
    path.touch()
    return path


def headers_alone(folder: Path, _demo: Path) -> Path:
    """Write headers and nothing below them."""
    return _write(folder, HEADERS, [])


def lines_alone(folder: Path, _demo: Path) -> Path:
    """Leave out the headers."""
    return _write(folder, LINES[0], LINES[1:])


def shifted_headers(folder: Path, _demo: Path) -> Path:
    """Move the headers one column on, as a new column before them does."""
    return _write(folder, (*HEADERS[-1:], *HEADERS[:-1]), LINES)


def a_column_too_few(folder: Path, _demo: Path) -> Path:
    """Leave out the prices."""
    return _write(
        folder,
        [header for header in HEADERS if header != "UnitPrice"],
        [(*line[:5], *line[6:]) for line in LINES],
    )


def a_column_twice(folder: Path, _demo: Path) -> Path:
    """Have two columns for one thing, as a join in the shop system does."""
    return _write(
        folder, (*HEADERS, "Customer ID"), [(*line, "12345") for line in LINES]
    )


def swapped_columns(folder: Path, _demo: Path) -> Path:
    """Have prices below the quantity, and quantities below the price."""
    return _write(
        folder,
        HEADERS,
        [(*line[:3], line[5], line[4], line[3], *line[6:]) for line in LINES],
    )


def dates_in_words(folder: Path, _demo: Path) -> Path:
    """Write dates as no reader knows them."""
    return _write(
        folder,
        HEADERS,
        [(*line[:4], f"1st of December, {line[4][11:]}", *line[5:]) for line in LINES],
    )


def days_and_months_mixed(folder: Path, _demo: Path) -> Path:
    """Write half of the dates day first, and the others month first."""

    def mixed(number: int, day: str) -> str:
        return f"{day}/12/2010 8:26" if number % 2 else f"12/{day}/2010 8:26"

    return _write(
        folder,
        HEADERS,
        [
            (*line[:4], mixed(number, f"{13 + number % 15}"), *line[5:])
            for number, line in enumerate(LINES)
        ],
    )


def prices_with_words(folder: Path, _demo: Path) -> Path:
    """Write a currency into the prices."""
    return _write(
        folder, HEADERS, [(*line[:5], f"{line[5]} pounds", *line[6:]) for line in LINES]
    )


def wide_characters(folder: Path, _demo: Path) -> Path:
    """Write two bytes for each character, without saying so."""
    path = _write(folder, HEADERS, LINES)
    path.write_bytes(path.read_text().encode("utf-16-le"))
    return path


def an_error_page(folder: Path, _demo: Path) -> Path:
    """Save what a web server says in place of the file."""
    path = folder / "lines.csv"
    path.write_text("<!DOCTYPE html>\n<html><body>502 Bad Gateway</body></html>\n")
    return path


def half_a_file(folder: Path, demo: Path) -> Path:
    """Cut a copy off while it is under way."""
    path = folder / "lines.parquet"
    content = demo.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def half_a_workbook(folder: Path, _demo: Path) -> Path:
    """Cut a workbook off while it is under way."""
    path = folder / "lines.xlsx"
    workbook = openpyxl.Workbook()
    for row in (HEADERS, *LINES):
        workbook.worksheets[0].append(list(row))
    workbook.save(path)
    path.write_bytes(path.read_bytes()[:3_000])
    return path


def another_kind_of_file(folder: Path, demo: Path) -> Path:
    """Give a file the ending of another kind."""
    path = folder / "lines.csv"
    path.write_bytes(demo.read_bytes())
    return path


def _write(
    folder: Path, headers: Sequence[str], lines: Iterable[Sequence[str]]
) -> Path:
    path = folder / "lines.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([headers, *lines])
    return path
