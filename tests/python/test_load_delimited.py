"""Loading: delimited text, of which no line is lost."""

import io
import re
from pathlib import Path

import pytest
from delivered_files import (
    HEADERS,
    LINE,
    column,
    elsewhere,  # noqa: F401
    few_examples,
    landed,
    line,
    load_one,
    write_csv,
)
from hypothesis import example, given, settings
from hypothesis import strategies as st
from retail_segments import records
from retail_segments.encodings import detect_encoding


def test_a_field_may_hold_quotes_delimiters_and_line_breaks():
    rows = [line(Description='5" nail, "new"\nbox\r\n\n'), line()]
    path = write_csv(Path("a.csv"), rows)
    load_one(path)
    assert landed("description, source_row") == [
        ('5" nail, "new"\nbox\r\n\n', 2),
        (LINE[2], 6),
    ]


def test_a_quote_within_a_plain_field_is_a_letter():
    text = ",".join(line(Description='12" x 10" FRAME'))
    Path("a.csv").write_text(",".join(HEADERS) + "\n" + text + "\n")
    assert column(Path("a.csv"), "description") == ['12" x 10" FRAME']


def test_a_line_that_does_not_fit_the_header_lands_as_its_text():
    good = ",".join(LINE)
    bad = ["1,2,3", good + ",more", 'a,"b', 'a,"b"c,d,e,f,g,h,i', '"' + good]
    Path("a.csv").write_text("\n".join([",".join(HEADERS), good, *bad, good]) + "\n")
    report = load_one(Path("a.csv"), max_unreadable=1)
    assert report.unreadable_count == 5
    assert landed("raw_line, source_row, invoice_no") == [
        (None, 2, "536365"),
        *((text, row, None) for row, text in enumerate(bad, 3)),
        (None, 8, "536365"),
    ]


def test_a_stray_quote_does_not_swallow_the_lines_behind_it():
    good = ",".join(LINE)
    lines = [",".join(HEADERS), '1,"2', *[good] * 500]
    Path("a.csv").write_text("\n".join(lines))
    report = load_one(Path("a.csv"))
    assert (report.line_count, report.unreadable_count) == (501, 1)


def test_a_line_with_broken_bytes_lands_as_its_text():
    lines = [",".join(HEADERS), *[",".join(line(Description="café"))] * 200]
    broken = ",".join(line(Description="caf")).encode() + b"\xe9\xff"
    Path("a.csv").write_bytes("\n".join(lines).encode() + b"\n" + broken + b"\n")
    report = load_one(Path("a.csv"))
    assert (report.line_count, report.unreadable_count) == (201, 1)
    assert landed("raw_line, source_row")[-1] == (
        broken.decode(errors="replace"),
        202,
    )


def test_blank_lines_are_no_rows_and_those_between_are_counted():
    good = ",".join(LINE)
    lines = ["", ",".join(HEADERS), good, "", ",,,,,,,", "  ", good, "", ",,,,,,,", ""]
    Path("a.csv").write_text("\n".join(lines))
    report = load_one(Path("a.csv"))
    assert landed("source_row") == [(3,), (7,)]
    assert report.notes == ("3 wholly blank rows between others were passed over.",)


@pytest.mark.parametrize(
    ("encoding", "notes"),
    [
        ("utf-8", ()),
        ("utf-8-sig", ()),
        ("utf-16", ()),
        ("utf-16-be", ()),
        ("cp1252", ("The text is not utf-8 and was read as cp1252.",)),
        ("latin-1", ("The text is not utf-8 and was read as latin-1.",)),
    ],
)
def test_every_usual_encoding_is_read(encoding, notes):
    description = "café \x81" if encoding == "latin-1" else "café £5"
    path = Path("a.csv")
    write_csv(path, [line(Description=description)], encoding=encoding)
    if encoding == "utf-16-be":
        path.write_bytes(b"\xfe\xff" + path.read_bytes())
    report = load_one(path)
    assert landed("description") == [(description,)]
    assert report.notes == notes


def test_a_cut_utf_16_file_loses_nothing():
    path = write_csv(Path("a.csv"), [line(), line()], encoding="utf-16")
    path.write_bytes(path.read_bytes()[:-5])
    report = load_one(path, max_unreadable=1)
    assert (report.line_count, report.unreadable_count) == (2, 1)


def test_records_are_split_alike_wherever_a_batch_ends(monkeypatch):
    monkeypatch.setattr(records, "_BATCH_LINES", 7)
    monkeypatch.setattr(records, "MAX_SPAN", 3)
    descriptions = ["a\nb", "plain", 'q"', "x\ny\nz", "plain"] * 20
    rows = [line(Description=text) for text in descriptions]
    report = load_one(write_csv(Path("a.csv"), rows))
    assert [text for (text,) in landed("description")] == descriptions
    assert report.unreadable_count == 0


garbage_lines = st.lists(
    st.one_of(
        st.binary(max_size=30),
        st.text('ab",;\n\r\t \x00é\ufffd', max_size=30).map(str.encode),
        st.just(",".join(LINE).encode()),
        st.just(b'1,2,"a\nb",3,4,5,6,7'),
    ),
    max_size=12,
)
newlines = st.sampled_from([b"\n", b"\r\n", b"\r"])


def holds_nothing(text):
    return not text.replace(",", "").replace('"', "").strip()


def lines_of_record(row, fields):
    breaks = len(re.findall("\r\n|\r|\n", "".join(fields)))
    return set(range(row, row + breaks + 1))


@settings(few_examples, max_examples=300)
@given(parts=garbage_lines, newline=newlines, width=st.integers(1, 4))
@example(parts=[b'"', b'"', b'"'], newline=b"\n", width=2)
def test_every_line_is_a_record_or_its_text_or_blank(parts, newline, width):
    text = newline.join(parts).decode(errors="replace")
    lines = io.StringIO(text, newline="").readlines()
    seen = set()
    for batch in records.split_records(
        records.NumberedLines(io.StringIO(text, newline="")),
        delimiter=",",
        width=width,
        has_invalid_bytes="\ufffd" in text,
    ):
        for row, fields, raw_line in zip(
            batch.rows, batch.fields, batch.raw_lines, strict=True
        ):
            assert len(fields) == width
            assert row not in seen
            if raw_line is None:
                assert "\ufffd" not in "".join(fields)
                seen |= lines_of_record(row, fields)
            else:
                assert raw_line == lines[row - 1].rstrip("\r\n")
                seen.add(row)
        assert not seen & set(batch.blank_rows)
        assert all(holds_nothing(lines[row - 1]) for row in batch.blank_rows)
        seen |= set(batch.blank_rows)
    missed = set(range(1, len(lines) + 1)) - seen
    assert all(holds_nothing(lines[row - 1]) for row in missed)


@settings(few_examples, max_examples=30)
@given(parts=garbage_lines, newline=newlines)
def test_no_line_of_a_garbage_file_is_lost(parts, newline, tmp_path_factory):
    folder = tmp_path_factory.mktemp("garbage")
    path = folder / "a.csv"
    parts = [",".join(LINE).encode(), *parts]
    path.write_bytes(newline.join([",".join(HEADERS).encode(), *parts]))
    encoding = detect_encoding(path)
    text = path.read_bytes().decode(encoding.name, errors="replace")
    lines = io.StringIO(text, newline="").readlines()
    load_one(path, landing=folder / "landing", max_unreadable=1)
    texts = ("invoice_no", "stock_code", "description", "raw_quantity")
    texts += ("raw_invoice_date", "raw_unit_price", "customer_id", "country")
    fields = ", ".join(f"coalesce({name}, '')" for name in texts)
    seen = {1}
    for row, raw_line, *values in landed(
        f"source_row, raw_line, {fields}", folder / "landing"
    ):
        assert row not in seen
        if raw_line is None:
            seen |= lines_of_record(row, values)
        else:
            assert raw_line == lines[row - 1].rstrip("\r\n")
            seen.add(row)
    missed = set(range(1, len(lines) + 1)) - seen
    assert all(holds_nothing(lines[row - 1]) for row in missed)
