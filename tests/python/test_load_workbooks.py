"""Loading: workbooks."""

import zipfile
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
from delivered_files import (
    AT,
    HEADERS,
    TYPED_LINE,
    column,
    elsewhere,  # noqa: F401
    landed,
    load_one,
    write_xlsx,
)
from retail_segments.landing import LoadError


def test_every_sheet_with_a_header_is_read_the_hidden_too():
    path = write_xlsx(
        Path("book.xlsx"),
        {
            "First": [HEADERS, TYPED_LINE],
            "Empty": [],
            "It's": [reversed(HEADERS), list(reversed(TYPED_LINE))],
        },
    )
    workbook = openpyxl.load_workbook(path)
    workbook["It's"].sheet_state = "hidden"
    workbook.save(path)
    load_one(path)
    assert landed("quantity, source_file, source_row") == [
        (6, "book.xlsx#First", 2),
        (6, "book.xlsx#It's", 2),
    ]


def test_source_row_is_the_number_at_the_left_of_the_row():
    rows = [[], [None, *HEADERS], [None, *TYPED_LINE], [], [None, *TYPED_LINE], ["  "]]
    report = load_one(write_xlsx(Path("a.xlsx"), {"A": rows}))
    assert landed("source_row") == [(3,), (5,)]
    assert report.notes == ("1 wholly blank row between others was passed over.",)


def test_cells_keep_what_a_person_sees():
    cells = [536365, 22423, True, 6.0, 40513.351388888885, 0.1 + 0.2, 17850.0, "UK"]
    errors = ["#N/A", "#DIV/0!", None, "#REF!", "#NUM!", "#VALUE!", "#NAME?", "UK"]
    path = write_xlsx(Path("a.xlsx"), {"A": [HEADERS, cells, errors]})
    load_one(path, max_unreadable=1)
    names = "invoice_no, stock_code, description, quantity, invoice_date, unit_price, "
    names += "customer_id, raw_quantity, raw_invoice_date, raw_unit_price"
    price = Decimal("0.3")
    assert landed(names) == [
        ("536365", "22423", "true", 6, AT, price, "17850", None, None, None),
        (
            *("#N/A", "#DIV/0!", None, None, None, None, "#NAME?"),
            *("#REF!", "#NUM!", "#VALUE!"),
        ),
    ]


def test_day_numbers_follow_the_workbooks_own_day_zero():
    workbook = openpyxl.Workbook()
    workbook.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    workbook.active.append(HEADERS)
    day_number = 40513.351388888885 - 1462
    workbook.active.append([*TYPED_LINE[:4], day_number, *TYPED_LINE[5:]])
    workbook.active.append(TYPED_LINE)
    workbook.save("a.xlsx")
    assert column(Path("a.xlsx"), "invoice_date") == [AT, AT]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "a.xlsx is not an Excel workbook, or it is cut off"),
        (
            b"PK\x03\x04" + b"x" * 99,
            "a.xlsx is not an Excel workbook, or it is cut off",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
            + "EncryptedPackage".encode("utf-16-le"),
            "a.xlsx is protected by a password. Open it",
        ),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "Workbook".encode("utf-16-le"),
            r"a.xlsx is in the old Excel format \(.xls\). Open it",
        ),
    ],
    ids=["text", "cut", "encrypted", "xls"],
)
def test_what_is_no_workbook_is_said_to_be_none(content, message):
    Path("a.xlsx").write_bytes(content)
    with pytest.raises(LoadError, match=message):
        load_one(Path("a.xlsx"))


def test_a_zip_archive_is_no_workbook():
    with zipfile.ZipFile("a.xlsx", "w") as archive:
        archive.writestr("lines.csv", "x")
    with pytest.raises(LoadError, match="zip archive but not an Excel workbook"):
        load_one(Path("a.xlsx"))


def test_a_damaged_workbook_is_refused_in_one_sentence():
    write_xlsx(Path("whole.xlsx"), {"A": [HEADERS, TYPED_LINE]})
    with (
        zipfile.ZipFile("whole.xlsx") as whole,
        zipfile.ZipFile("a.xlsx", "w") as damaged,
    ):
        for name in whole.namelist():
            content = whole.read(name)
            is_sheet = name.startswith("xl/worksheets/")
            damaged.writestr(
                name, content[: len(content) // 2] if is_sheet else content
            )
    with pytest.raises(LoadError, match=r"a\.xlsx cannot be read as a workbook"):
        load_one(Path("a.xlsx"))


def test_two_sheets_of_one_name_are_refused():
    """No spreadsheet program writes them; only the first could be read."""
    sheets = {"Lines": [HEADERS, TYPED_LINE], "Other": [HEADERS, TYPED_LINE]}
    path = write_xlsx(Path("a.xlsx"), sheets)
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["xl/workbook.xml"] = parts["xl/workbook.xml"].replace(b"Other", b"Lines")
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in parts.items():
            archive.writestr(name, part)
    with pytest.raises(LoadError, match="two of its sheets are called Lines"):
        load_one(path)


def test_a_workbook_of_empty_sheets_is_refused():
    path = write_xlsx(Path("a.xlsx"), {"A": [], "B": [["  "]]})
    with pytest.raises(LoadError, match=r"a\.xlsx has no sheet with a header"):
        load_one(path)


def test_a_sheet_without_the_columns_is_named():
    path = write_xlsx(
        Path("a.xlsx"), {"Lines": [HEADERS, TYPED_LINE], "Notes": [["Remarks"], ["x"]]}
    )
    with pytest.raises(LoadError, match=r"a\.xlsx#Notes has no column for invoice_no"):
        load_one(path)
