"""Files made to break a loader: cells that attack, ways to write and damage files."""

import csv
import io
import random
import struct
import zipfile
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

import pyarrow as pa
import pyarrow.parquet as pq
from delivered_files import HEADERS, LINE
from hypothesis import strategies as st
from retail_segments.landing import ATTRIBUTES

# A file of this name appears where a cell, a name or a mapping has been executed.
CANARY = "CANARY"
ATTACKS = (
    *("NaN", "nan", "inf", "-Infinity", "1e308", "1e309", "-1e308", "1e-400"),
    *("-0", "-0.0", "+0", "0.00005", "9" * 45, "9223372036854775808", "2147483648"),
    *("9999999999.99995", "1_000", "0x10", "1,2", "1.234,5", "\u0663", "\uff11"),
    *("1899-12-31", "1900-02-29", "9999-12-31 23:59:59", "0000-00-00", "2011-02-30"),
    *("31/12/9999", "1/1/1", "60", "2958466", "2011-01-01T25:61", "infinity", "epoch"),
    *("2011-01-01 00:00:00+99:99", "99999-01-01", "-0001-01-01", "12:00"),
    *("\x00", "a\x00b", "\x1b[2J", "\x85", "\u2028", "\u202eevil", "\u200b", "\ufeff"),
    *("\ufffd", "\U0001f600" * 9, "e\u0301" * 50, "\t", " ", "\u00a0", "\u3000"),
    f"=cmd|'/c touch {CANARY}'!A1",
    f'=HYPERLINK("file:///{CANARY}","x")',
    "@SUM(1+1)*cmd",
    f"'; copy (select 1) to '{CANARY}'; --",
    f"'); copy (select 1) to '{CANARY}'; --",
    f"\"; attach '{CANARY}' as \"x",
    f"'||(select 1 from read_text('{CANARY}'))||'",
    "'; drop table delivered_lines; --",
    "{{ 7 * 7 }}",
    "{% for x in range(10**9) %}{% endfor %}",
    "${jndi:ldap://127.0.0.1/x}",
    f"`touch {CANARY}`",
    f"$(touch {CANARY})",
    "<script>alert(1)</script>",
    '<!DOCTYPE x [<!ENTITY e "e">]>&e;',
    "../../../etc/passwd",
    "/dev/zero",
    "C:\\con",
    *("\\", "\\N", "NULL", "null", "None", "true", "[]", "{}", "%s%n", "$$", "?"),
    *("'", '"', '""', '"""', "`", "a,b;c|d\te", "a\nb", "a\rb", "\r\n\r\n", "\n" * 120),
    "x" * 5_000,
    "y" * 140_000,
)
# The worst are drawn seldom, since each costs what it weighs.
HUGE = "W" * 1_000_000
BLANKS = " \t\r\n\u00a0"

attacks = st.sampled_from(ATTACKS) | st.text(max_size=8)
cells = st.one_of(attacks, attacks, st.just(""))


@st.composite
def lines(draw, values=cells, *, max_size=4):
    """Draw rows below the usual header, some of whose values are attacks."""
    rows = []
    for _ in range(draw(st.integers(1, max_size))):
        row = list(LINE)
        for place in draw(st.sets(st.integers(0, 7), max_size=8)):
            row[place] = draw(values)
        rows.append(row)
    if draw(st.integers(0, 60)) == 0:
        rows[0][2] = HUGE
    return rows


names = st.sampled_from(
    [
        *("plain", "-rf", "--help", "a'b", 'a"b', "a`b", "a;drop table x", "a b"),
        *(
            "{{ 7 * 7 }}",
            "{% x %}",
            "[a]",
            "*",
            "?",
            "**",
            "a%20b",
            "a#b",
            "~",
            "$HOME",
        ),
        *(
            "a\nb",
            "a\tb",
            "\x1b[2J",
            "\u202eevil",
            "\u00e9\u0301",
            "..",
            "...",
            "C:con",
        ),
        *("n" * 240, "a\\b", "a=b", "'; copy (select 1) to 'CANARY'; --", "\udcff"),
        *("file:", "s3:x", "hive=1", ".hidden"),
    ]
)
ENDINGS = (".csv", ".tsv", ".xlsx", ".parquet")


@dataclass(frozen=True)
class TextFile:
    """A delimited file, and the rows that a reader should find in it."""

    content: bytes
    rows: list[list[str]]
    # Where bytes can be read in more than one way, only the lines are counted.
    is_exact: bool


@st.composite
def text_files(draw):
    """Draw a well-formed delimited file of attacks."""
    encoding, mark, is_exact = draw(
        st.sampled_from(
            [
                ("utf-8", b"", True),
                ("utf-8", b"\xef\xbb\xbf", True),
                ("utf-16-le", b"\xff\xfe", True),
                ("utf-16-be", b"\xfe\xff", True),
                ("cp1252", b"", False),
                ("latin-1", b"", False),
            ]
        )
    )
    rows = draw(lines())
    # A lone surrogate, for one, is in no encoding.
    rows = [
        [cell.encode(encoding, "replace").decode(encoding) for cell in row]
        for row in rows
    ]
    extra = draw(st.integers(0, 3))
    # The writer leaves a line break of another kind bare, which would end the line.
    is_bare = not any(set(cell) & set("\r\n") for row in rows for cell in row)
    quotings = [csv.QUOTE_ALL, csv.QUOTE_MINIMAL][: 1 + is_bare]
    text = io.StringIO(newline="")
    writer = csv.writer(
        text,
        delimiter=draw(st.sampled_from(",;\t|")),
        lineterminator=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        quoting=draw(st.sampled_from(quotings)),
    )
    writer.writerow([*HEADERS, *(f"more {i}" for i in range(extra))])
    writer.writerows([*row, *[""] * extra] for row in rows)
    return TextFile(mark + text.getvalue().encode(encoding), rows, is_exact)


@st.composite
def damaged(draw, contents):
    """Damage a file: cut it, or write over, take out or repeat some of its bytes."""
    content = bytearray(draw(contents))
    chance = random.Random(draw(st.integers(0, 1 << 32)))
    for _ in range(draw(st.integers(1, 6))):
        place = chance.randrange(len(content) + 1)
        end = place + chance.choice([1, 1, 4, 40])
        way = chance.choice(["cut", "write", "write", "flip", "flip", "take", "repeat"])
        if way == "cut":
            del content[place:]
        elif way == "write":
            content[place:end] = chance.choice(
                [b"\0", b"\xff" * 4, b'"', b"\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\x80"]
            )
        elif way == "flip" and place < len(content):
            content[place] ^= 1 << chance.randrange(8)
        elif way == "take":
            del content[place:end]
        else:
            content[place:place] = content[place:end]
    return bytes(content)


# Workbooks, as archives of XML written by hand, so that they can be wrong.

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def workbook(sheets, *, shared=None, prolog="", properties=""):
    """Write a workbook of sheets, each a name, a state and its XML."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        write_workbook(
            archive, sheets, shared=shared, prolog=prolog, properties=properties
        )
    return buffer.getvalue()


def write_workbook(archive, sheets, *, shared=None, prolog="", properties=""):
    """Write a workbook's files; a sheet may come in blocks, as what is huge must."""
    listed = "".join(
        f"<sheet name={quoteattr(name)} state={quoteattr(state)} "
        f'sheetId="{i}" r:id="rId{i}"/>'
        for i, (name, state, _) in enumerate(sheets, 1)
    )
    links = "".join(
        f'<Relationship Id="rId{i}" Type="{_LINKS}/worksheet" '
        f'Target="worksheets/sheet{i}.xml"/>'
        for i in range(1, len(sheets) + 1)
    )
    if shared is not None:
        links += (
            f'<Relationship Id="rId0" Type="{_LINKS}/sharedStrings" '
            'Target="sharedStrings.xml"/>'
        )
    archive.writestr(
        "[Content_Types].xml",
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/'
        'vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/></Types>',
    )
    archive.writestr(
        "_rels/.rels",
        f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="rId1" '
        f'Type="{_LINKS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
    )
    archive.writestr(
        "xl/workbook.xml",
        f'{prolog}<workbook xmlns="{_MAIN}" xmlns:r="{_LINKS}">{properties}'
        f"<sheets>{listed}</sheets></workbook>",
    )
    archive.writestr(
        "xl/_rels/workbook.xml.rels",
        f'<Relationships xmlns="{_PACKAGE}/relationships">{links}</Relationships>',
    )
    if shared is not None:
        with archive.open("xl/sharedStrings.xml", "w", force_zip64=True) as file:
            file.write(f'{prolog}<sst xmlns="{_MAIN}">'.encode())
            for block in shared:
                file.write(block)
            file.write(b"</sst>")
    for i, (_, _, blocks) in enumerate(sheets, 1):
        name = f"xl/worksheets/sheet{i}.xml"
        with archive.open(name, "w", force_zip64=True) as file:
            file.write(f'{prolog}<worksheet xmlns="{_MAIN}"><sheetData>'.encode())
            for block in [blocks] if isinstance(blocks, bytes) else blocks:
                file.write(block)
            file.write(b"</sheetData></worksheet>")


def row_xml(number, values):
    """Write a row of text cells."""
    return (
        f'<row r="{number}">'
        + "".join(
            f'<c r="{column_name(i)}{number}" t="inlineStr"><is>'
            f'<t xml:space="preserve">{escape(value)}</t></is></c>'
            for i, value in enumerate(values)
        )
        + "</row>"
    ).encode()


def column_name(position):
    """Name a column as a spreadsheet does: A, B, ..., Z, AA."""
    name = ""
    position += 1
    while position:
        position, letter = divmod(position - 1, 26)
        name = chr(65 + letter) + name
    return name


def xml_text(text):
    """Leave out what XML 1.0 has no way to write, and what a parser would change."""
    return (
        "".join(
            letter
            for letter in text.replace("\r", "")
            if letter in "\t\n" or (letter >= " " and letter not in "\ufffe\uffff")
        )
        .encode("utf-8", "ignore")
        .decode()
    )


@st.composite
def sheet_rows(draw):
    """Draw rows that a workbook can hold as text."""
    rows = draw(lines(max_size=3))
    return [[xml_text(cell) for cell in row] for row in rows]


_odd_cells = st.builds(
    "".join,
    st.lists(
        st.one_of(
            st.builds(
                "<c{}{}>{}<v>{}</v></c>".format,
                st.sampled_from(
                    [
                        *("", ' r="A2"', ' r="H3"', ' r="XFD9"', ' r="a2"', ' r="2A"'),
                        *(' r="A0"', ' r="AAAA1"', ' r=""', ' r="A99999"', ' r="A-1"'),
                    ]
                ),
                st.sampled_from(
                    ["", *(f' t="{kind}"' for kind in ("s", "str", "b", "e", "d", "n"))]
                ),
                st.sampled_from(
                    [
                        "",
                        f"<f>SYSTEM(&quot;touch {CANARY}&quot;)</f>",
                        '<f t="array" ref="A1:XFD1048576">1</f>',
                        '<f t="shared" si="99999999">A1</f>',
                    ]
                ),
                st.one_of(
                    st.sampled_from(["0", "1", "99999999", "-1", "#REF!", "#NOPE", ""]),
                    attacks.map(xml_text).map(escape),
                ),
            ),
            st.sampled_from(
                [
                    "<row r='99'>",
                    "</row><row>",
                    "<c/>" * 30,
                    "&e;",
                    "<!-- -- -->",
                    "<![CDATA[<c>]]>",
                    "<?php x ?>",
                    '<c t="inlineStr"><is><r><t>a</t></r><rPh><t>b</t></rPh></is></c>',
                ]
            ),
        ),
        max_size=9,
    ),
)


@st.composite
def odd_workbooks(draw):
    """Draw a workbook whose XML is odd or wrong, with formulas and hidden sheets."""
    sheets = []
    for name in draw(
        st.lists(attacks.map(xml_text).filter(bool), min_size=1, max_size=3)
    ):
        header = row_xml(1, HEADERS) if draw(st.integers(0, 4)) else b""
        body = f"<row>{draw(_odd_cells)}</row>".encode()
        merged = (
            b'</sheetData><mergeCells><mergeCell ref="A1:XFD1048576"/></mergeCells>'
        )
        sheets.append(
            (
                name[:300],
                draw(st.sampled_from(["visible", "hidden", "veryHidden"])),
                header + row_xml(2, LINE) + body + merged * draw(st.booleans()),
            )
        )
    shared = draw(
        st.none()
        | st.just([b"<si><t>a</t></si>", b'<si><t xml:space="preserve"> </t></si>'])
    )
    prolog = draw(
        st.sampled_from(
            [
                "",
                '<?xml version="1.0" encoding="UTF-8"?>',
                '<?xml version="1.0" encoding="utf-7"?>',
                '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>',
            ]
        )
    )
    return workbook(sheets, shared=shared, prolog=prolog)


# Parquet files.

_strings = st.lists(attacks, min_size=3, max_size=3).map(
    lambda texts: [text.encode("utf-8", "ignore").decode() for text in texts]
)
_nan = float("nan")
_odd_arrays = st.one_of(
    _strings.map(lambda texts: pa.array(texts, pa.string())),
    _strings.map(lambda texts: pa.array(texts, pa.large_string())),
    _strings.map(lambda texts: pa.array(texts).dictionary_encode()),
    st.lists(st.binary(max_size=9), min_size=3, max_size=3).map(pa.array),
    st.lists(st.floats(width=64), min_size=3, max_size=3).map(pa.array),
    st.lists(st.integers(-(2**63), 2**63 - 1), min_size=3, max_size=3).map(
        lambda values: pa.array(values, pa.int64())
    ),
    st.lists(st.integers(0, 2**64 - 1), min_size=3, max_size=3).map(
        lambda values: pa.array(values, pa.uint64())
    ),
    st.sampled_from(
        [
            pa.nulls(3),
            pa.array([_nan, float("inf"), -0.0], pa.float32()),
            pa.array([1.0, _nan, 65504.0], pa.float16()),
            pa.array([1e308, -1e308, 5e-324]),
            pa.array([True, False, None]),
            pa.array([[1], [], None]),
            pa.array([[["a"]], [[]], None]),
            pa.array([{"a": 1}, {"a": None}, None]),
            pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int32())),
            pa.array([1, -1, None], pa.decimal128(38, 0)),
            pa.array(["9" * 38, "-" + "9" * 38, "0"]).cast(pa.decimal128(38, 0)),
            pa.array(["0." + "9" * 38, "0", "-0.1"]).cast(pa.decimal128(38, 38)),
            pa.array(["9" * 70, "1", None]).cast(pa.decimal256(76, 0)),
            pa.array([-(2**31), 2**31 - 1, 0], pa.date32()),
            pa.array([-(2**62), 2**62, 0], pa.timestamp("us")),
            pa.array([-(2**63) + 1, 2**63 - 1, 0], pa.timestamp("ns")),
            pa.array([-(2**50), 2**50, 0], pa.timestamp("ms", tz="Asia/Kathmandu")),
            pa.array([0, 1, 2], pa.timestamp("us", tz="UTC")),
            pa.array([0, 1, None], pa.time64("us")),
            pa.array([0, 2**40, None], pa.duration("us")),
            pa.array([b"\xff" * 4, b"\0" * 4, None], pa.binary(4)),
            pa.array([b"\xff\xfe", b"a\0b", b""]),
        ]
    ),
)
_columns = st.sampled_from(
    [
        *("x'y", 'x"y', "x y", "", "a\nb", "{{ 7 }}", "invoiceno", "INVOICENO"),
        *(
            "filename",
            "file_row_number",
            "source_row",
            "raw_line",
            "quantity",
            "q" * 999,
        ),
        *("Currency", "Store", "\u202e", "a.b", "*", "1"),
    ]
)


@st.composite
def tables(draw):
    """Draw a table with the usual headers, of odd types and with odd columns beside."""
    arrays = [pa.array([value] * 3) for value in LINE]
    headers = list(HEADERS)
    for place in draw(st.sets(st.integers(0, 7), min_size=1, max_size=5)):
        arrays[place] = draw(_odd_arrays)
    for name in draw(st.lists(_columns, max_size=4)):
        headers.append(name)
        arrays.append(draw(_odd_arrays))
    if not draw(st.integers(0, 40)):
        headers += [f"column {i}" for i in range(3_000)]
        arrays += [pa.array([1, 2, 3])] * 3_000
    return pa.Table.from_arrays(arrays, names=headers)


def parquet_bytes(table, **options):
    """Write a table as the bytes of a Parquet file."""
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **options)
    return buffer.getvalue()


def with_footer_size(content, size):
    """Have a Parquet file say that its footer has another size."""
    return content[:-8] + struct.pack("<I", size) + content[-4:]


# What a user may say about columns, of which hardly anything is in the file.
_attributes = st.sampled_from(ATTRIBUTES)
_no_attributes = st.sampled_from(["source_row", "", "store; drop table x", "a\0"])
mappings = st.dictionaries(
    st.one_of(*[_attributes] * 9, _no_attributes | st.text(max_size=5)),
    st.sampled_from([*HEADERS, *HEADERS, *ATTACKS, HUGE]) | st.text(max_size=5),
    min_size=1,
    max_size=4,
)
