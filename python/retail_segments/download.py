"""Fetch the public data set from its home.

The archive's own checksum is not published, so what is checked by default is what is
known of the content: how many lines it has and what they sum to. Whoever knows the
archive's SHA-256 can pin it.
"""

import hashlib
import logging
import os
import re
import shutil
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import duckdb
import pooch

from retail_segments.delivery import Progress
from retail_segments.landing import LoadError, OptionError
from retail_segments.sql import file_pattern

# UCI Online Retail, donor Daqing Chen, DOI 10.24432/C5BW33, CC BY 4.0.
DATA_SET_URL = "https://archive.ics.uci.edu/static/public/352/online+retail.zip"
KNOWN_LINE_COUNT = 541_909
KNOWN_AMOUNT = Decimal("9747747.934")

_DATA_ENDINGS = (".xlsx", ".csv")
_WORKING = ".downloading"
_BLOCK_BYTES = 1 << 20
_MAX_UNPACKED_BYTES = 1 << 30
# What the zip module raises for damaged, cut, encrypted or exotic archives.
_BROKEN_ARCHIVE = (
    zipfile.BadZipFile,
    zlib.error,
    RuntimeError,
    NotImplementedError,
    EOFError,
)
_TIMEOUT_SECONDS = (10, 60)
_TOO_MANY_REQUESTS = 429
_SERVER_ERROR = 500


class ContentError(LoadError):
    """What was fetched is whole, but is not the known data set."""


@dataclass(frozen=True)
class Download:
    """What was fetched.

    Attributes
    ----------
    archive : Path
        The archive as it came.
    sha256 : str
        Its checksum in hexadecimal.
    data_file : Path
        The data file unpacked from it.
    was_there : bool
        True if the archive had been fetched before.
    """

    archive: Path
    sha256: str
    data_file: Path
    was_there: bool


def download_data_set(
    url: str = DATA_SET_URL,
    *,
    folder: Path,
    sha256: str | None = None,
    attempts: int = 3,
    pause: float = 2.0,
    max_unpacked_bytes: int = _MAX_UNPACKED_BYTES,
    progress: Progress | None = None,
) -> Download:
    """Fetch an archive and unpack the one data file in it.

    An archive that was fetched before is not fetched again. Whatever fails leaves
    nothing behind.

    Parameters
    ----------
    url : str
        Where the archive is, by http or https.
    folder : Path
        Where to put the archive and the data file, made if need be.
    sha256 : str, optional
        What the archive's checksum must be, in hexadecimal.
    attempts : int, default 3
        How often to try if the connection or the server fails.
    pause : float, default 2
        Seconds between attempts.
    max_unpacked_bytes : int, default 2**30
        The most that the data file may unpack to.
    progress : callable, optional
        Told the share of the archive that has come.

    Returns
    -------
    Download
        The files, and the archive's checksum.

    Raises
    ------
    LoadError
        If the archive cannot be fetched, has another checksum, or does not hold one
        data file of sensible size.
    """
    _check_request(url, sha256)
    archive = folder / _file_name(url)
    was_there = archive.exists()
    with _working_folder(folder) as work:
        if was_there:
            fetched = archive
        else:
            fetched = _fetch(url, work / archive.name, attempts, pause, progress)
        found = pooch.file_hash(str(fetched), alg="sha256")
        if sha256 is not None and found != sha256.lower():
            what = f"{archive}, fetched before," if was_there else url
            archive.unlink(missing_ok=True)
            raise LoadError(
                f"The checksum of {what} is not the expected one, and the file was "
                f"discarded: expected sha256 {sha256.lower()}, found {found}. Correct "
                "--sha256, or try again if the file may have come damaged."
            )
        try:
            unpacked = _unpack(fetched, work, url, max_unpacked_bytes)
        except LoadError:
            archive.unlink(missing_ok=True)
            raise
        data_file = folder / unpacked.name
        unpacked.replace(data_file)
        fetched.replace(archive)
    return Download(archive, found, data_file, was_there)


def check_content(landed: Path) -> None:
    """Refuse a landing file that is not the known data set.

    Parameters
    ----------
    landed : Path
        A landing file, put in place or not.

    Raises
    ------
    ContentError
        If its lines, or the sum of quantity times price, are not the known ones.
    """
    with duckdb.connect() as connection:
        [(line_count, amount)] = connection.execute(
            "select count(*), coalesce(sum(quantity * unit_price), 0) "
            "from read_parquet(?)",
            [file_pattern(landed)],
        ).fetchall()
    if (line_count, amount) != (KNOWN_LINE_COUNT, KNOWN_AMOUNT):
        raise ContentError(
            "What was fetched is not the known data set, and nothing was loaded: it "
            f"has {line_count:,} lines that sum to {amount:,.3f}, where "
            f"{KNOWN_LINE_COUNT:,} lines that sum to {KNOWN_AMOUNT:,} are expected. If "
            "it is the file you want, fetch it with --no-load and load it with "
            "retail-segments load."
        )


def discard(download: Download) -> None:
    """Remove what was fetched, so that the next try fetches it anew.

    Parameters
    ----------
    download : Download
        What was fetched.
    """
    download.archive.unlink(missing_ok=True)
    download.data_file.unlink(missing_ok=True)
    with suppress(OSError):
        download.archive.parent.rmdir()


def _check_request(url: str, sha256: str | None) -> None:
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise OptionError(f"{url} is not a web address. It must begin with https://.")
    if sha256 is not None and not re.fullmatch("[0-9a-fA-F]{64}", sha256):
        raise OptionError(
            f"{sha256} is not a SHA-256: it should have 64 hexadecimal digits."
        )


def _file_name(url: str) -> str:
    """Name the archive after its address, so that two addresses never share a file."""
    last = PurePosixPath(unquote(urlsplit(url).path)).name
    stem = re.sub(r"\W+", "-", last.removesuffix(".zip")).strip("-") or "archive"
    return f"{stem}-{hashlib.sha256(url.encode()).hexdigest()[:8]}.zip"


@contextmanager
def _working_folder(folder: Path) -> Iterator[Path]:
    """Open a folder for half-done files; remove it, and `folder` if it stays empty."""
    work = folder / _WORKING
    try:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        yield work
    except OSError as error:
        raise LoadError(f"Cannot write to {folder}: {error.strerror}.") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
        with suppress(OSError):
            folder.rmdir()


def _fetch(
    url: str, target: Path, attempts: int, pause: float, progress: Progress | None
) -> Path:
    """Fetch a file, trying again where another try may help."""
    pooch.get_logger().setLevel(logging.WARNING)
    bar = _Bar(progress) if progress is not None else False
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT_SECONDS, progressbar=bar)
    for attempt in range(1, attempts + 1):
        try:
            pooch.retrieve(
                url,
                known_hash=None,
                fname=target.name,
                path=target.parent,
                downloader=downloader,
            )
        except OSError as error:
            response = getattr(error, "response", None)
            status = None if response is None else int(response.status_code)
            if _may_pass(status) and attempt < attempts:
                time.sleep(pause)
                continue
            raise LoadError(_fetch_failure(url, status, error, attempt)) from error
        break
    return target


def _may_pass(status: int | None) -> bool:
    """Tell whether what went wrong may go right next time."""
    return status is None or status == _TOO_MANY_REQUESTS or status >= _SERVER_ERROR


def _fetch_failure(url: str, status: int | None, error: OSError, attempts: int) -> str:
    tries = "" if attempts == 1 else f" in {attempts} attempts"
    if status is not None:
        return (
            f"{url} could not be fetched{tries}: the server answered {status}. Check "
            "the address, or fetch the file by hand and use retail-segments load."
        )
    return (
        f"{url} could not be fetched{tries}: the connection failed or was cut "
        f"({type(error).__name__}). Try again later, or fetch the file by hand and use "
        "retail-segments load."
    )


def _unpack(archive: Path, work: Path, url: str, max_bytes: int) -> Path:
    """Unpack the one data file of an archive into a folder."""
    try:
        with zipfile.ZipFile(archive) as content:
            member = _data_member(content, url)
            target = work / PurePosixPath(member.filename).name
            _copy_member(content, member, target, max_bytes)
    except _BROKEN_ARCHIVE as error:
        raise LoadError(
            f"What {url} sent is not a zip archive that can be unpacked ({error}). "
            "Check the address in a browser."
        ) from error
    return target


def _data_member(content: zipfile.ZipFile, url: str) -> zipfile.ZipInfo:
    """Find the data file, and refuse an archive that reaches out of its folder."""
    for name in content.namelist():
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in name:
            raise LoadError(
                f"The archive at {url} has a member {name!r} that would be written "
                "outside its folder; nothing was unpacked. Do not trust this archive."
            )
    members = [
        member
        for member in content.infolist()
        if not member.is_dir() and member.filename.lower().endswith(_DATA_ENDINGS)
    ]
    if len(members) != 1:
        names = ", ".join(content.namelist()[:5]) or "nothing"
        raise LoadError(
            f"The archive at {url} should hold one .xlsx or .csv file, but holds "
            f"{len(members)} of them; it has {names}."
        )
    return members[0]


def _copy_member(
    content: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path, max_bytes: int
) -> None:
    """Unpack one file, counting what comes and not what the archive claims."""
    size = 0
    with content.open(member) as packed, target.open("wb") as file:
        while block := packed.read(_BLOCK_BYTES):
            size += len(block)
            if size > max_bytes:
                raise LoadError(
                    f"{member.filename} in the archive unpacks to more than "
                    f"{max_bytes:,} bytes; nothing was unpacked."
                )
            file.write(block)
        file.flush()
        os.fsync(file.fileno())


class _Bar:
    """Pass on what pooch tells a progress bar."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._done = 0
        self.total = 0

    def update(self, count: int) -> None:
        self._done += count
        share = min(1.0, self._done / self.total) if self.total else None
        self._progress("downloading", share)

    def reset(self) -> None:
        self._done = 0

    def close(self) -> None:
        """Need do nothing: the bar is the caller's."""
