"""Loading: the landing folder, the command and the real data set."""

import datetime as dt
import io
import os
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from delivered_files import (
    HEADERS,
    LINE,
    elsewhere,  # noqa: F401
    landed,
    line,
    load,
    load_one,
    visible,
    write_csv,
)
from retail_segments import progress
from retail_segments.cli import main
from retail_segments.landing import (
    LoadError,
    has_lines,
    landed_kind,
    landing_path,
    working_folder,
)

# The landing folder.


def test_the_landing_folder_follows_the_environment(monkeypatch):
    assert landing_path() == Path("landing")
    monkeypatch.setenv("LANDING_PATH", "else/where")
    assert landing_path() == Path("else/where")
    monkeypatch.setenv("LANDING_PATH", "")
    assert landing_path() == Path("landing")


def test_a_landing_folder_is_for_owner_and_group_alone():
    load_one(write_csv(Path("a.csv"), [LINE]), landing=Path("new/landing"))
    assert Path("new/landing").stat().st_mode & 0o007 == 0


def test_the_same_file_again_adds_nothing_and_says_so():
    path = write_csv(Path("a.csv"), [LINE, LINE])
    first, again = load(path, path)
    renamed = load_one(path.rename("b.csv"))
    assert not first.already_loaded
    for report in (again, renamed):
        assert report.already_loaded
        assert report.line_count == 2
        assert report.notes[0].startswith(
            f"Already loaded as {first.landing_path.name}, 2 lines; nothing added."
        )
    assert visible() == [first.landing_path.name]


def test_an_error_keeps_what_was_loaded_before_it():
    good = write_csv(Path("good.csv"), [LINE])
    reports = []
    with pytest.raises(LoadError, match=r"no file no\.csv.*kept: good\.csv\.$"):
        load(good, Path("no.csv"), good, on_report=reports.append)
    assert len(reports) == len(visible()) == 1


def demo_file(name="demo.csv", price="1.00"):
    return write_csv(Path(name), [line(UnitPrice=price)])


def test_a_users_lines_put_the_demo_aside():
    assert landed_kind(Path("landing")) is None
    demo = load_one(demo_file(), kind="demo")
    assert demo.landing_path.name.startswith("demo-")
    assert landed_kind(Path("landing")) == "demo"
    assert not has_lines(Path("landing"))
    report = load_one(write_csv(Path("a.csv"), [LINE]))
    assert landed_kind(Path("landing")) == "lines"
    assert visible() == ["aside", report.landing_path.name]
    assert visible(Path("landing/aside")) == [demo.landing_path.name]
    assert report.notes == (
        f"The demo's {demo.landing_path.name} was put aside in landing/aside.",
    )


def test_another_demo_puts_the_first_aside_and_the_same_adds_nothing():
    first = load_one(demo_file(), kind="demo")
    assert load_one(demo_file(), kind="demo").already_loaded
    second = load_one(demo_file("other.csv", "2.00"), kind="demo")
    assert visible() == ["aside", second.landing_path.name]
    assert visible(Path("landing/aside")) == [first.landing_path.name]


def test_the_demo_is_refused_beside_a_users_lines():
    load_one(write_csv(Path("a.csv"), [LINE]))
    with pytest.raises(LoadError, match="demo lines never mix with them"):
        load_one(demo_file(), kind="demo")


def test_a_load_that_cannot_be_put_in_place_brings_the_demo_back(monkeypatch):
    demo = load_one(demo_file(), kind="demo")
    replace = os.replace

    def fail_in_the_end(source, target):
        if Path(target).name.startswith("lines-"):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", fail_in_the_end)
    with pytest.raises(LoadError, match=r"a\.csv could not be loaded: No space left"):
        load_one(write_csv(Path("a.csv"), [LINE]))
    assert visible() == ["aside", demo.landing_path.name]
    assert visible(Path("landing/aside")) == []


def test_an_interrupt_after_the_rename_does_not_bring_the_demo_back(monkeypatch):
    load_one(demo_file(), kind="demo")
    replace = os.replace

    def interrupt_in_the_end(source, target):
        replace(source, target)
        if Path(target).name.startswith("lines-"):
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt_in_the_end)
    with pytest.raises(KeyboardInterrupt):
        load_one(write_csv(Path("a.csv"), [LINE]))
    assert [name.split("-")[0] for name in visible()] == ["aside", "lines"]


DIE = "import os, signal; die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
LOAD = "load_files([Path('a.csv')], landing=Path('landing'), {})"
DEATHS = {
    "while reading": LOAD.format(
        "progress=lambda what, _: what == 'reading' and die()"
    ),
    "when written": LOAD.format("check=die"),
    "in between": "replace = os.replace; os.replace = lambda a, b: "
    "die() if Path(b).name.startswith('lines') else replace(a, b); " + LOAD.format(""),
}


@pytest.mark.parametrize("moment", DEATHS)
def test_a_load_that_is_killed_leaves_nothing_that_could_be_taken_for_lines(moment):
    load_one(demo_file(), kind="demo")
    path = write_csv(Path("a.csv"), [LINE])
    script = (
        f"{DIE}; from pathlib import Path; "
        f"from retail_segments.load import load_files; {DEATHS[moment]}"
    )
    died = subprocess.run([sys.executable, "-c", script], check=False)
    assert died.returncode == -signal.SIGKILL
    left = [file.name for file in Path("landing").glob("*.parquet")]
    assert all(name.startswith("demo-") for name in left)
    assert len(left) == (0 if moment == "in between" else 1)
    assert ".loading" in visible()
    load_one(path)
    assert [name.split("-")[0] for name in visible()] == ["aside", "lines"]


def test_one_load_at_a_time_works_in_a_landing_folder():
    path = write_csv(Path("a.csv"), [LINE])
    with (
        working_folder(Path("landing")),
        pytest.raises(LoadError, match="Another load is at work in landing"),
    ):
        load_one(path)
    assert load_one(path).line_count == 1


def test_a_landing_path_that_is_a_file_is_refused():
    Path("landing").write_text("x")
    with pytest.raises(LoadError, match="The landing folder landing is a file"):
        load_one(write_csv(Path("a.csv"), [LINE]))


def test_a_file_that_the_caller_refuses_does_not_land():
    def refuse(written):
        assert pq.read_metadata(written).num_rows == 1
        raise LoadError("not this one")

    with pytest.raises(LoadError, match="not this one"):
        load_one(write_csv(Path("a.csv"), [LINE]), check=refuse)
    assert visible() == []


# The command.


def run(*arguments):
    return CliRunner().invoke(main, ["load", *map(str, arguments)])


def test_the_command_reports_each_file_in_columns():
    write_csv(Path("a.csv"), [LINE] * 2000)
    write_csv(Path("longer.csv"), [line(InvoiceDate="1/3/2011")])
    result = run("a.csv", "longer.csv", "a.csv")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "a.csv             2,000 lines  all readable"
    assert lines[1] == "longer.csv            1 lines  all readable"
    assert lines[2].startswith("            Dates with slashes can be read")
    assert lines[3].startswith("a.csv       Already loaded as lines-")


def test_the_command_says_what_stopped_it_without_a_traceback():
    write_csv(Path("a.csv"), [LINE])
    result = run("a.csv", "no.csv")
    assert result.exit_code == 2
    assert result.stdout.startswith("a.csv")
    assert result.stderr.startswith("Error: There is no file no.csv.")
    assert "Traceback" not in result.output
    assert run().exit_code == 2


def test_the_command_takes_columns_from_file_and_options():
    headers = ["Rechnung", *HEADERS[1:5], "Preis", *HEADERS[6:]]
    write_csv(Path("a.csv"), [LINE], headers)
    Path("columns.yml").write_text("columns: {invoice_no: Rechnung, unit_price: X}")
    assert run("a.csv", "--column", "unit_price=Preis").exit_code == 0
    Path("my.yml").write_text("columns: {invoice_no: Rechnung, unit_price: Preis}")
    result = run("a.csv", "--columns-file", "my.yml")
    assert "Already loaded" in result.stdout
    Path("columns.yml").unlink()
    write_csv(Path("b.csv"), [LINE, LINE], headers)
    assert "columns: {invoice_no: HEADER, unit_price: HEADER}" in run("b.csv").stderr


@pytest.mark.parametrize(
    "text", ["columns: 2011-99-99", "[" * 5_000, "columns: " + "9" * 5_000]
)
def test_the_command_says_that_a_columns_file_is_none(text):
    write_csv(Path("a.csv"), [LINE])
    Path("columns.yml").write_text(text)
    result = run("a.csv")
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: columns.yml ")


def test_the_command_writes_control_characters_as_codes():
    Path("a\x1b[2J\n.csv").write_text("no,\x1b[31mheader\n1,2\n")
    said = run("a\x1b[2J\n.csv").stderr
    assert said.startswith(r"Error: a\x1b[2J\n.csv has no column")
    assert said.endswith("\n")
    assert said[:-1].isprintable()


def test_the_command_passes_its_settings_on():
    write_csv(Path("a.csv"), [line(InvoiceDate="01|02|2011"), line(InvoiceDate="?")])
    options = ["--date-format", "%d|%m|%Y", "--max-unreadable", "0.5"]
    result = run("a.csv", *options)
    assert result.exit_code == 0
    assert "1 unreadable" in result.stdout
    assert landed("invoice_date")[0] == (dt.datetime(2011, 2, 1),)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_bar_appears_at_a_terminal_once_it_takes_long(monkeypatch):
    for stream, patience, is_shown in [
        (Terminal(), 0.0, True),
        (Terminal(), 60.0, False),
        (io.StringIO(), 0.0, False),
    ]:
        monkeypatch.setattr(sys, "stderr", stream)
        with progress.LateBar(patience) as bar:
            bar("checking", 0.5)
            bar("reading", None)
        assert ("reading" in stream.getvalue()) == is_shown


# The real data set, where it lies beside the project.


def test_the_real_data_set_lands_whole(real_file):
    report = load_one(real_file)
    assert (report.line_count, report.unreadable_count, report.notes) == (541909, 0, ())
    assert landed(
        "sum(quantity * unit_price), count(*) filter (customer_id is null), "
        "count(distinct invoice_no), count(distinct stock_code)"
    ) == [(Decimal("9747747.9340"), 135080, 25900, 4070)]
