"""The worst files we know of, each given to the command in a process of its own.

Each ends in seconds, within 2 GB of memory, with a sentence or with its lines landed.
"""

import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from delivered_files import HEADERS, LINE
from hostile_files import (
    parquet_bytes,
    row_xml,
    with_footer_size,
    write_workbook,
)

HEADER_TEXT, LINE_TEXT = ",".join(HEADERS) + "\n", ",".join(LINE) + "\n"
GOOD_ROWS = row_xml(1, HEADERS) + row_xml(2, LINE)
# A load that takes longer is taken for one that never ends.
PATIENCE = 120
MEMORY = 2_000_000_000
# What getrusage counts in, on Linux.
KIBIBYTE = 1024
TOO_LARGE = "cannot be read: it takes more than 1.375 GiB of memory"


@dataclass(frozen=True)
class Ending:
    """How a load ended."""

    exit_code: int
    stdout: str
    stderr: str
    # Of the process and of those that it waited for.
    peak_bytes: int


def run_load(path, *options):
    """Load a file in a process of its own, which counts its memory."""
    # What the system says of a process itself includes what the tests' process had when
    # it started this one; what it says of the memory it has now does not.
    script = (
        "import re, resource, sys; from retail_segments.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally:\n"
        "    own = re.search(r'VmHWM:\\s*(\\d+)', open('/proc/self/status').read())\n"
        "    used = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss\n"
        "    print('peak', int(own[1]) + used, flush=True)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script, "load", *options, "--", str(path)],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    stdout, _, peak = ended.stdout.rpartition("peak ")
    return Ending(ended.returncode, stdout, ended.stderr, int(peak) * KIBIBYTE)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANDING_PATH", str(tmp_path / "landing"))


def book(path, rows, **parts):
    """Write a workbook of one sheet, whose rows may come in blocks."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        write_workbook(archive, [("A", "visible", rows)], **parts)


def same_row_bomb(path):
    row = b"<row>" + b"<c><v>1</v></c>" * 8 + b"</row>"
    book(path, [row_xml(1, HEADERS), *[row * 20_000] * 250])


def blank_bomb(path):
    book(path, [GOOD_ROWS, *[b" " * 10_000_000] * 220])


def long_text_bomb(path):
    text = [b"<row><c t='inlineStr'><is><t>", *[b"W" * 10_000_000] * 190]
    book(path, [GOOD_ROWS, *text, b"</t></is></c></row>"])


def shared_string_bomb(path):
    row = b"<row>" + b'<c t="s"><v>0</v></c>' * 8 + b"</row>"
    text = b"<si><t>" + b"W" * 1_000_000 + b"</t></si>"
    book(path, [row_xml(1, HEADERS), row * 9_000], shared=[text])


def far_cell_bomb(path):
    far = b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'
    book(path, [GOOD_ROWS, far])


def empty_cells_bomb(path):
    far = b"<row>" + b"<c/>" * 5_000_000 + b"<c><v>1</v></c></row>"
    book(path, [GOOD_ROWS, far, b'<row r="5000"><c><v>1</v></c></row>'])


def entity_bomb(path):
    entities = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10)
    )
    rows = GOOD_ROWS + row_xml(3, LINE).replace(b"536365", b"&a9;")
    book(path, rows, prolog=f"<!DOCTYPE x [{entities}]>")


def external_entity(path):
    rows = GOOD_ROWS + row_xml(3, LINE).replace(b"536365", b"&e;")
    book(path, rows, prolog='<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>')


def many_entries(path):
    book(path, GOOD_ROWS)
    with zipfile.ZipFile(path, "a") as archive:
        for i in range(100_000):
            archive.writestr(f"{i}", "")


def lying_sizes(path):
    """Have the archive state sizes of one byte for all that it holds."""
    sheet = [GOOD_ROWS, *[b" " * 10_000_000] * 110]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        write_workbook(archive, [("A", "visible", sheet), ("B", "visible", sheet)])
    content = bytearray(path.read_bytes())
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + 24 : place + 28] = b"\1\0\0\0"
        place = content.find(b"PK\x01\x02", place + 4)
    path.write_bytes(content)


def deep_cells(path):
    book(path, [GOOD_ROWS, b"<row>" + b"<c><is>" * 1_000_000])


def wide_sheet(path):
    more = [f"more {i}" for i in range(10_000)]
    book(path, row_xml(1, [*HEADERS, *more]) + row_xml(2, LINE))


def merged_and_computed(path):
    """Lines of a hidden kind: formulas with the values they had, and merged cells."""
    formula = b'<c r="A3" t="str"><f>CMD("touch CANARY")</f><v>536366</v></c>'
    row = row_xml(3, LINE).replace(
        row_xml(3, LINE[:1])[len(b'<row r="3">') : -len(b"</row>")], formula
    )
    merged = b'</sheetData><mergeCells><mergeCell ref="H2:H3"/></mergeCells><sheetData>'
    book(path, GOOD_ROWS + row + merged)


def line_without_end(path):
    with path.open("w") as file:
        file.write(HEADER_TEXT + LINE_TEXT)
        for _ in range(300):
            file.write("x" * 1_000_000)


def sparse_nuls(path):
    with path.open("wb") as file:
        file.write((HEADER_TEXT + LINE_TEXT).encode())
        file.truncate(1_000_000_000)


def header_without_end(path):
    path.write_bytes(HEADER_TEXT[:-1].encode() + b"," * 50_000_000)


def wide_lines(path):
    more = ",".join(f"more {i}" for i in range(10_000))
    path.write_text(
        f"{HEADER_TEXT[:-1]},{more}\n" + f"{LINE_TEXT[:-1]}{',' * 10_000}\n" * 200
    )


def unknown_wide_header(path):
    path.write_text(",".join("h" * 70 + str(i) for i in range(10_000)) + "\n1\n")


def large_cells(path):
    path.write_text(
        HEADER_TEXT
        + LINE_TEXT * 9_900
        + LINE_TEXT.replace(LINE[2], "W" * 1_000_000) * 90
    )


def quotes_never_closed(path):
    path.write_text(HEADER_TEXT + ('"' + LINE_TEXT) * 20_000)


def gzip_bytes(path):
    path.write_bytes(b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + bytes(range(256)) * 40)


def zip_bytes(path):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lines.csv", HEADER_TEXT + LINE_TEXT)


def folder(path):
    path.mkdir()


def pipe(path):
    os.mkfifo(path)


def endless_device(path):
    path.symlink_to("/dev/zero")


def link_loop(path):
    path.symlink_to(path)


def footer_too_large(path):
    table = pa.table({name: [value] for name, value in zip(HEADERS, LINE, strict=True)})
    path.write_bytes(with_footer_size(parquet_bytes(table), 0x7FFFFFFF))


def repeated_value_bomb(path):
    """A hundred thousand times a megabyte, in a file of some kilobytes."""
    places = pa.array(np.zeros(100_000, np.int32))
    columns = {
        name: pa.DictionaryArray.from_arrays(places, pa.array([value]))
        for name, value in zip(HEADERS, LINE, strict=True)
    }
    columns["Description"] = pa.DictionaryArray.from_arrays(
        places, pa.array(["W" * 1_000_000])
    )
    path.write_bytes(parquet_bytes(pa.table(columns)))


def many_columns(path):
    columns = {name: [value] for name, value in zip(HEADERS, LINE, strict=True)}
    columns |= {f"more {i}": [None] for i in range(10_000)}
    path.write_bytes(parquet_bytes(pa.table(columns)))


REFUSED = [
    (same_row_bomb, ".xlsx", 1, TOO_LARGE),
    (blank_bomb, ".xlsx", 1, "unpacks to more than 2 GiB"),
    (lying_sizes, ".xlsx", 1, "unpacks to more than 2 GiB"),
    (long_text_bomb, ".xlsx", 1, TOO_LARGE),
    (shared_string_bomb, ".xlsx", 1, TOO_LARGE),
    (far_cell_bomb, ".xlsx", 1, TOO_LARGE),
    (empty_cells_bomb, ".xlsx", 1, TOO_LARGE),
    (entity_bomb, ".xlsx", 1, "cannot be read as a workbook"),
    (external_entity, ".xlsx", 1, "cannot be read as a workbook"),
    (many_entries, ".xlsx", 1, "is an archive of 100,005 files, more than the 10,000"),
    (deep_cells, ".xlsx", 1, "cannot be read as a workbook"),
    (line_without_end, ".csv", 1, "without a line break from line 3 on"),
    (sparse_nuls, ".csv", 1, "without a line break from line 3 on"),
    (header_without_end, ".csv", 1, "without a line break from line 1 on"),
    (unknown_wide_header, ".csv", 1, "and 9,960 more"),
    (quotes_never_closed, ".csv", 1, "20,000 of its 20,000 lines (100.0%) hold"),
    (gzip_bytes, ".csv", 1, "is a gzip archive, not delimited text"),
    (zip_bytes, ".csv", 1, "is a spreadsheet or zip archive, not delimited text"),
    (folder, ".csv", 2, "is a folder. Name the files in it"),
    (pipe, ".csv", 2, "is a pipe or a device"),
    (endless_device, ".csv", 2, "is a pipe or a device"),
    (link_loop, ".csv", 2, "There is no file"),
    (footer_too_large, ".parquet", 1, "is not a Parquet file, or it is cut off"),
    (repeated_value_bomb, ".parquet", 1, "takes more memory than a load may have"),
]
LANDED = [
    (wide_sheet, ".xlsx", 1, 0),
    (merged_and_computed, ".xlsx", 2, 0),
    (wide_lines, ".csv", 200, 0),
    (large_cells, ".csv", 9_990, 90),
    (many_columns, ".parquet", 1, 0),
]


def names_of(cases):
    return [f"{make.__name__}{ending}" for make, ending, *_ in cases]


@pytest.mark.parametrize(
    ("make", "ending", "exit_code", "sentence"), REFUSED, ids=names_of(REFUSED)
)
def test_a_file_that_cannot_be_loaded_is_refused_in_a_sentence(
    make, ending, exit_code, sentence
):
    path = Path(f"delivered{ending}")
    make(path)
    ended = run_load(path)
    assert ended.stderr.startswith("Error: ")
    assert "delivered" in ended.stderr
    assert sentence in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert len(ended.stderr) < 5_000
    assert ended.exit_code == exit_code
    assert ended.peak_bytes < MEMORY
    assert {entry.name for entry in Path().iterdir()} <= {path.name, "landing"}
    assert not list(Path("landing").glob("*.parquet"))


@pytest.mark.parametrize(
    ("make", "ending", "line_count", "unreadable_count"), LANDED, ids=names_of(LANDED)
)
def test_a_file_that_is_only_odd_is_loaded(make, ending, line_count, unreadable_count):
    path = Path(f"delivered{ending}")
    make(path)
    ended = run_load(path)
    assert ended.exit_code == 0, ended.stderr
    assert f"{line_count:,} lines" in ended.stdout
    unreadable = (
        f"{unreadable_count} unreadable" if unreadable_count else "all readable"
    )
    assert unreadable in ended.stdout
    assert ended.peak_bytes < MEMORY
    assert {entry.name for entry in Path().iterdir()} == {path.name, "landing"}
