"""Fetching: a real server on this machine, and all that it may do wrong."""

import hashlib
import io
import struct
import threading
import zipfile
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from retail_segments import download
from retail_segments.cli import main
from retail_segments.download import check_content, download_data_set
from retail_segments.landing import LoadError
from retail_segments.load import load_files

LINES = (
    "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n"
    "536365,85123A,HEART,6,12/1/2010 8:26,2.55,17850,United Kingdom\n"
    "536366,22423,STAND,2,12/1/2010 8:28,12.75,17850,United Kingdom\n"
)


def archive(members, **settings):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in members.items():
            file.writestr(name, text, **settings)
    return content.getvalue()


GOOD = archive({"Online Retail.csv": LINES, "readme.txt": "hello"})


class Server(ThreadingHTTPServer):
    """Serves what a test puts into `answers`: status, body, and claimed length."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers = {}
        self.requests = []

    def serve(self, path, body=b"", *, status=200, length=None):
        self.answers[path] = [(status, body, length)]
        return self.url(path)

    def url(self, path):
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        answers = self.server.answers[self.path]
        status, body, length = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(length or len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments):
        """Stay quiet."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LANDING_PATH", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def known(monkeypatch):
    """Take the lines above for the known data set."""
    monkeypatch.setattr(download, "KNOWN_LINE_COUNT", 2)
    monkeypatch.setattr(download, "KNOWN_AMOUNT", Decimal("40.80"))


def fetch(url, **options):
    return download_data_set(url, folder=Path("data"), pause=0, **options)


def failure(url, **options):
    """Fetch what cannot be fetched; nothing may stay behind."""
    with pytest.raises(LoadError) as stopped:
        fetch(url, **options)
    assert list(Path().iterdir()) == []
    message = str(stopped.value)
    assert "\n" not in message
    return message


def test_a_good_archive_is_fetched_and_its_data_file_unpacked(server):
    shares = []
    fetched = fetch(
        server.serve("/online+retail.zip", GOOD),
        progress=lambda what, share: shares.append((what, share)),
    )
    assert fetched.sha256 == hashlib.sha256(GOOD).hexdigest()
    assert fetched.archive.read_bytes() == GOOD
    assert fetched.archive.name.startswith("online-retail-")
    assert fetched.data_file == Path("data/Online Retail.csv")
    assert fetched.data_file.read_text() == LINES
    assert not fetched.was_there
    assert shares[-1] == ("downloading", 1.0)
    assert sorted(Path("data").iterdir()) == [fetched.data_file, fetched.archive]


def test_an_archive_that_is_there_is_not_fetched_again(server):
    url = server.serve("/a.zip", GOOD)
    first = fetch(url)
    first.data_file.unlink()
    again = fetch(url, sha256=first.sha256.upper())
    assert again.was_there
    assert again.data_file.exists()
    assert len(server.requests) == 1


def test_two_addresses_do_not_share_an_archive(server):
    one, other = server.serve("/one/a.zip", GOOD), server.serve("/two/a.zip", GOOD)
    assert fetch(one).archive != fetch(other).archive


def test_a_wrong_checksum_names_both(server):
    url = server.serve("/a.zip", GOOD)
    found = hashlib.sha256(GOOD).hexdigest()
    expected = "0" * 64
    message = failure(url, sha256=expected)
    assert f"expected sha256 {expected}, found {found}" in message
    assert f"The checksum of {url} is not the expected one" in message


def test_a_wrong_checksum_discards_what_was_fetched_before(server):
    fetched = fetch(server.serve("/a.zip", GOOD))
    with pytest.raises(LoadError, match="fetched before, is not the expected one"):
        fetch(server.url("/a.zip"), sha256="0" * 64)
    assert not fetched.archive.exists()


def test_a_cut_connection_leaves_nothing_behind(server):
    url = server.serve("/a.zip", GOOD[:50], length=len(GOOD))
    message = failure(url)
    assert f"{url} could not be fetched in 3 attempts: the connection failed" in message
    assert len(server.requests) == 3


def test_a_failure_that_passes_is_tried_again(server):
    url = server.serve("/a.zip", GOOD)
    server.answers["/a.zip"] = [
        (503, b"", None),
        (200, GOOD[:50], len(GOOD)),
        (200, GOOD, None),
    ]
    assert fetch(url).archive.read_bytes() == GOOD


def test_an_address_that_is_not_there_is_asked_once(server):
    url = server.serve("/a.zip", status=404)
    message = failure(url)
    assert f"{url} could not be fetched: the server answered 404" in message
    assert len(server.requests) == 1


def test_a_server_that_is_down_is_named(server):
    server.serve("/a.zip")
    message = failure("http://127.0.0.1:1/a.zip", attempts=1)
    assert "http://127.0.0.1:1/a.zip could not be fetched: the connection" in message


@pytest.mark.parametrize(
    "name",
    ["../evil.csv", "a/../../evil.csv", "/evil.csv", "..\\evil.csv", "C:evil.csv"],
)
def test_a_member_that_reaches_out_is_refused(server, name):
    message = failure(server.serve("/a.zip", archive({"good.csv": LINES, name: "x"})))
    assert f"member {name!r} that would be written outside its folder" in message
    assert not Path("../evil.csv").exists()


def test_a_data_file_in_a_folder_of_the_archive_is_unpacked_flat(server):
    fetched = fetch(server.serve("/a.zip", archive({"in/side/Lines.CSV": LINES})))
    assert fetched.data_file == Path("data/Lines.CSV")


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({}, "holds 0 of them; it has nothing."),
        ({"run.sh": "x"}, "holds 0 of them; it has run.sh."),
        ({"a.csv": "x", "b.xlsx": "y"}, "holds 2 of them; it has a.csv, b.xlsx."),
    ],
)
def test_an_archive_holds_one_data_file(server, members, message):
    found = failure(server.serve("/a.zip", archive(members)))
    assert "should hold one .xlsx or .csv file" in found
    assert message in found


def test_what_is_no_zip_archive_is_refused(server):
    message = failure(server.serve("/a.zip", b"<html>Sorry</html>"))
    assert "is not a zip archive that can be unpacked" in message


def damaged():
    start = GOOD.index(b"Online Retail.csv") + len(b"Online Retail.csv")
    return GOOD[:start] + bytes(20) + GOOD[start + 20 :]


def encrypted():
    """Mark the members as encrypted, in the directory and before each of them."""
    content = bytearray(GOOD)
    for magic, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = content.find(magic)
        while start >= 0:
            struct.pack_into("<H", content, start + offset, 1)
            start = content.find(magic, start + 1)
    return bytes(content)


@pytest.mark.parametrize("content", [damaged(), encrypted(), GOOD[:-30]])
def test_an_archive_that_cannot_be_unpacked_is_refused(server, content):
    message = failure(server.serve("/a.zip", content))
    assert "is not a zip archive that can be unpacked" in message


def test_an_archive_that_swells_is_stopped(server):
    content = archive({"bomb.csv": "0" * 5_000_000})
    message = failure(server.serve("/a.zip", content), max_unpacked_bytes=2_000_000)
    assert "bomb.csv in the archive unpacks to more than 2,000,000 bytes" in message


@pytest.mark.parametrize("url", ["ftp://host/a.zip", "file:///etc/passwd", "a.zip"])
def test_only_web_addresses_are_fetched(server, url):
    assert f"{url} is not a web address" in failure(url)
    assert server.requests == []


def test_a_checksum_has_sixty_four_digits(server):
    url = server.serve("/a.zip", GOOD)
    assert "abc is not a SHA-256" in failure(url, sha256="abc")


@pytest.mark.usefixtures("known")
def test_content_is_checked_to_the_penny(tmp_path, monkeypatch):
    path = tmp_path / "lines.csv"
    path.write_text(LINES)
    load_files([path], landing=tmp_path / "good", check=check_content)
    monkeypatch.setattr(download, "KNOWN_AMOUNT", Decimal("40.81"))
    with pytest.raises(LoadError, match=r"2 lines that sum to 40\.800"):
        load_files([path], landing=tmp_path / "bad", check=check_content)
    assert list((tmp_path / "bad").iterdir()) == []


# The command.


def run(*arguments):
    return CliRunner().invoke(main, ["download", *arguments])


@pytest.mark.usefixtures("known")
def test_the_command_fetches_checks_and_loads(server):
    url = server.serve("/a.zip", GOOD)
    result = run("--url", url)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("Fetched data/a-")
    assert lines[0].endswith(f"sha256 {hashlib.sha256(GOOD).hexdigest()}.")
    assert lines[1] == "Unpacked data/Online Retail.csv."
    assert lines[2].startswith("Online Retail.csv            2 lines  all readable")
    assert len(list(Path("landing").glob("lines-*.parquet"))) == 1
    again = run("--url", url)
    assert again.stdout.startswith("Found data/a-")
    assert "Already loaded" in again.stdout


def test_the_command_refuses_other_content_and_keeps_nothing(server):
    result = run("--url", server.serve("/a.zip", GOOD))
    assert result.exit_code == 1
    assert "is not the known data set, and nothing was loaded: it has 2 lines" in (
        result.stderr
    )
    assert "541,909 lines that sum to 9,747,747.934 are expected" in result.stderr
    assert list(Path("landing").iterdir()) == []
    assert not Path("data").exists()


def test_the_command_only_fetches_if_told_so(server):
    url = server.serve("/a.zip", GOOD)
    result = run("--url", url, "--no-load", "--to", "there")
    assert result.exit_code == 0
    assert Path("there/Online Retail.csv").exists()
    assert not Path("landing").exists()


def test_the_command_says_what_stopped_it_without_a_traceback(server):
    result = run("--url", server.serve("/a.zip", status=404))
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: http://127.0.0.1")
    assert "Traceback" not in result.output
