"""Hand the audience of a campaign over to a mailing tool, and record the launch.

The record lies in the folder ``campaigns`` of the landing folder, one Parquet file per
campaign. From then on it is known who was written to and who was held out, and later
builds measure the campaign by it, whatever becomes of the segments.
"""

import csv
import hashlib
import hmac
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from retail_segments.build import marts_schema, read_warehouse
from retail_segments.cells import harmless
from retail_segments.errors import ExitCode, SpokenError
from retail_segments.landing import CAMPAIGNS, working_folder
from retail_segments.sql import identifier, query

KEY_VARIABLE = "RETAIL_SEGMENTS_PSEUDONYM_KEY"
MART = "fct_campaign_audiences"

_SHORTEST_KEY = 16
_USUAL_WINDOW_DAYS = 90
_RECORD = pa.schema(
    [
        ("campaign_id", pa.string()),
        ("customer_id", pa.string()),
        ("is_control", pa.bool_()),
        ("launched_date", pa.date32()),
        ("window_days", pa.int64()),
        # So that the file can be written again when the segments have moved on.
        ("campaign_name", pa.string()),
        ("segment_name", pa.string()),
        ("lever", pa.string()),
        ("recommended_action", pa.string()),
    ]
)
_AMOUNTS = ("expected_amount", "expected_orders")

Member = Mapping[str, Any]


class AudienceError(SpokenError):
    """What stops an export, in a sentence for the person who asked for it."""

    exit_code = ExitCode.UNUSABLE


@dataclass(frozen=True)
class Campaign:
    """A campaign of the last build, or one that was launched.

    Attributes
    ----------
    campaign_id : str
        Its name.
    treated_count, control_count : int
        Customers to write to, and customers held out.
    launched_date : date or None
        When it was launched; None if it has not been.
    """

    campaign_id: str
    treated_count: int
    control_count: int
    launched_date: date | None


@dataclass(frozen=True)
class Layout:
    """What the file for the mailing tool holds.

    Attributes
    ----------
    has_control : bool
        The customers held out too, marked as such.
    has_amounts : bool
        What each customer is expected to spend and order.
    """

    has_control: bool = False
    has_amounts: bool = False


def list_campaigns(warehouse: Path, landing: Path) -> list[Campaign]:
    """List the campaigns of the last build, and those launched before.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file; it is opened read-only.
    landing : Path
        The landing folder, whose records are looked at.

    Returns
    -------
    list of Campaign
        In order of name.

    Raises
    ------
    AudienceError
        If the warehouse or its mart is missing.
    """
    members: dict[str, list[Member]] = {}
    for member in _read_mart(warehouse):
        members.setdefault(member["campaign_id"], []).append(member)
    # Who was written to is what the record says.
    for campaign_id in recorded_campaigns(landing):
        members[campaign_id] = read_launch(landing, campaign_id)
    campaigns = []
    for campaign_id, group in sorted(members.items()):
        control_count = sum(member["is_control"] for member in group)
        campaigns.append(
            Campaign(
                campaign_id,
                len(group) - control_count,
                control_count,
                group[0].get("launched_date"),
            )
        )
    return campaigns


def read_audience(warehouse: Path, campaign_id: str) -> list[Member]:
    """Read who is in a campaign of the last build.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file; it is opened read-only.
    campaign_id : str
        The campaign.

    Returns
    -------
    list of dict
        The rows of the mart, the customers held out among them.

    Raises
    ------
    AudienceError
        If the warehouse or its mart is missing, or the campaign is unknown.
    """
    members = _read_mart(warehouse)
    chosen = [member for member in members if member["campaign_id"] == campaign_id]
    if not chosen:
        known = sorted({member["campaign_id"] for member in members})
        raise AudienceError(
            f"There is no campaign {campaign_id!r}. "
            + (
                f"The last build has {', '.join(known)}."
                if known
                else "The last build has none: no customer is in a segment."
            )
        )
    return chosen


def record_path(landing: Path, campaign_id: str) -> Path:
    """Name the file that a launch is recorded in.

    Parameters
    ----------
    landing : Path
        The landing folder.
    campaign_id : str
        The campaign. Characters that may not be in a file name are escaped.

    Returns
    -------
    Path
        Where the record is, or would be.

    Examples
    --------
    >>> record_path(Path("landing"), "best/lost-2011-12").name
    'best%2Flost-2011-12.parquet'
    """
    return landing / CAMPAIGNS / f"{quote(campaign_id, safe='')}.parquet"


def recorded_campaigns(landing: Path) -> list[str]:
    """List the campaigns whose launch is recorded.

    Parameters
    ----------
    landing : Path
        The landing folder, which need not exist.

    Returns
    -------
    list of str
        In order of name.
    """
    files = (landing / CAMPAIGNS).glob("*.parquet")
    return sorted(unquote(path.stem) for path in files)


def read_launch(landing: Path, campaign_id: str) -> list[Member]:
    """Read who was in a campaign when it was launched.

    Parameters
    ----------
    landing : Path
        The landing folder.
    campaign_id : str
        The campaign.

    Returns
    -------
    list of dict
        One per customer.

    Raises
    ------
    AudienceError
        If no launch of it is recorded.
    """
    path = record_path(landing, campaign_id)
    if not path.exists():
        known = recorded_campaigns(landing)
        raise AudienceError(
            f"No launch of {campaign_id!r} is recorded. "
            + (f"Recorded are {', '.join(known)}." if known else "None is.")
        )
    return _read_record(path)


def record_launch(
    landing: Path,
    members: Sequence[Member],
    *,
    launched_date: date,
    window_days: int,
) -> Path:
    """Record that a campaign begins, for later builds to measure.

    Parameters
    ----------
    landing : Path
        The landing folder, made if need be.
    members : sequence of dict
        The audience, the customers held out among them.
    launched_date : date
        The first day of its window.
    window_days : int
        How many days it is measured for.

    Returns
    -------
    Path
        The record, which only its owner can read.

    Raises
    ------
    AudienceError
        If the campaign has been launched already: it stays as it was.
    """
    campaign_id = members[0]["campaign_id"]
    launch = {"launched_date": launched_date, "window_days": window_days}
    rows = [
        {name: {**member, **launch}.get(name) for name in _RECORD.names}
        for member in sorted(members, key=lambda member: str(member["customer_id"]))
    ]
    path = record_path(landing, campaign_id)
    try:
        # One load or launch at a time works in the landing folder.
        with working_folder(landing) as folder:
            if path.exists():
                launched = _read_record(path)[0]["launched_date"]
                raise AudienceError(
                    f"{campaign_id} was launched on {launched} already, and people are "
                    "written to once. --again writes the same file anew."
                )
            written = folder / "launch.parquet"
            with _private(written, "wb") as file:
                pq.write_table(pa.Table.from_pylist(rows, schema=_RECORD), file)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            written.replace(path)
    except OSError as error:
        raise AudienceError(
            f"The launch could not be recorded in {path}: {error.strerror}. "
            "Nothing was written."
        ) from error
    return path


def pseudonym_key() -> str:
    """Find the key that customer ids are hashed with.

    Returns
    -------
    str
        What ``RETAIL_SEGMENTS_PSEUDONYM_KEY`` holds.

    Raises
    ------
    AudienceError
        If it is not set, or so short that ids could be guessed.
    """
    key = os.environ.get(KEY_VARIABLE, "")
    if len(key) < _SHORTEST_KEY:
        problem = (
            f"{KEY_VARIABLE} has {len(key)} characters and needs {_SHORTEST_KEY}"
            if key
            else f"{KEY_VARIABLE} is not set"
        )
        raise AudienceError(
            f"{problem}, so customer ids cannot be made into pseudonyms. Make a key "
            'once with `python -c "import secrets; print(secrets.token_hex(32))"`, '
            "keep it, and export it under that name; or write the ids themselves with "
            "--customer-ids."
        )
    return key


def pseudonym(customer_id: str, key: str) -> str:
    """Hash a customer id, so that only who has the key can tell whose it is.

    Parameters
    ----------
    customer_id : str
        The shop's number of the customer.
    key : str
        The key, which stays in the shop.

    Returns
    -------
    str
        64 hexadecimal digits, the same each time.

    References
    ----------
    Krawczyk, Bellare and Canetti (1997), HMAC: keyed-hashing for message
    authentication, RFC 2104.

    Examples
    --------
    >>> pseudonym("12346", "a key of the shop's own")[:8]
    '493857c3'
    """
    return hmac.new(key.encode(), customer_id.encode(), hashlib.sha256).hexdigest()


def check_target(target: Path) -> None:
    """Check that the file for the mailing tool can be written.

    Parameters
    ----------
    target : Path
        The file.

    Raises
    ------
    AudienceError
        If its folder is missing or may not be written to, or it is a folder itself.
    """
    if not target.parent.is_dir():
        raise AudienceError(
            f"There is no folder {target.parent} to write {target.name} into. "
            "Make it, or name another with --to."
        )
    if target.is_dir():
        raise AudienceError(f"{target} is a folder. Name a file with --to.")
    if not os.access(target.parent, os.W_OK):
        raise AudienceError(f"The folder {target.parent} may not be written to.")


def lay_out(
    members: Sequence[Member], layout: Layout, *, key: str | None
) -> list[list[str]]:
    """Lay an audience out as the rows of a csv file.

    Parameters
    ----------
    members : sequence of dict
        The audience, the customers held out among them.
    layout : Layout
        What the file holds.
    key : str or None
        The key of the pseudonyms; None where the shop's own ids are written.

    Returns
    -------
    list of list of str
        The header, then one row per customer in order of id.

    Raises
    ------
    AudienceError
        If amounts are asked for that the audience does not have.
    """
    names = ["campaign_id", "segment_name"]
    if any(member.get("lever") for member in members):
        names.append("lever")
    names.append("recommended_action")
    if layout.has_amounts:
        amounts = [name for name in _AMOUNTS if name in members[0]]
        if not amounts:
            raise AudienceError(
                "No expected amounts are known of this audience; those of a recorded "
                "launch never are. Leave --with-amounts out."
            )
        names += amounts
    rows = []
    for member in members:
        if member["is_control"] and not layout.has_control:
            continue
        customer_id = str(member["customer_id"])
        cells = [customer_id if key is None else pseudonym(customer_id, key)]
        if layout.has_control:
            cells.append("control" if member["is_control"] else "treated")
        rows.append([*cells, *(member.get(name) for name in names)])
    header = ["customer_id" if key is None else "pseudonym"]
    header += ["group"] if layout.has_control else []
    return [
        [*header, *names],
        *([harmless(cell) for cell in row] for row in sorted(rows, key=_first)),
    ]


def write_csv(target: Path, rows: Sequence[Sequence[str]]) -> None:
    """Write rows as a csv file, which appears as a whole or not at all.

    Parameters
    ----------
    target : Path
        The file, which only its owner will be able to read; what is there is replaced.
    rows : sequence of sequence of str
        The header and the rows.

    Raises
    ------
    AudienceError
        If it cannot be written.
    """
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with _private(unfinished, "w") as file:
            csv.writer(file).writerows(rows)
        unfinished.replace(target)
    except OSError as error:
        raise AudienceError(
            f"{target} could not be written: {error.strerror}. Where the launch is "
            "recorded already, --again writes the file."
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)


def usual_window_days(project: Path = Path("dbt_project.yml")) -> int:
    """Tell how long campaigns are measured for, unless somebody says otherwise.

    Parameters
    ----------
    project : Path
        The project's settings, which need not be there.

    Returns
    -------
    int
        The var ``forecast_horizon_days``, or 90 days.
    """
    try:
        settings = yaml.safe_load(project.read_text(encoding="utf-8"))
        days = settings["vars"]["forecast_horizon_days"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return _USUAL_WINDOW_DAYS
    return days if isinstance(days, int) and days > 0 else _USUAL_WINDOW_DAYS


def _first(row: Sequence[Any]) -> Any:
    return row[0]


def _read_record(path: Path) -> list[Member]:
    """Read one record, as a file: pyarrow would take a name such as a=b apart."""
    try:
        with path.open("rb") as file:
            return list(pq.read_table(file).to_pylist())
    except (pa.ArrowException, OSError) as error:
        raise AudienceError(
            f"The record {path} cannot be read. Restore it from a backup."
        ) from error


def _read_mart(warehouse: Path) -> list[Member]:
    """Read every audience of the last build."""
    place = f"{identifier(marts_schema())}.{MART}"
    try:
        with read_warehouse(warehouse) as connection:
            cursor = connection.execute(query("*", place))
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    except duckdb.CatalogException as error:
        raise AudienceError(
            f"The warehouse {warehouse} has no table {marts_schema()}.{MART}. "
            "Run `make build` with this version of the project first."
        ) from error
    except duckdb.Error as error:
        reason = str(error).splitlines()[0]
        raise AudienceError(
            f"The warehouse {warehouse} cannot be read: {reason}"
        ) from error


@contextmanager
def _private(path: Path, mode: str) -> Iterator[IO[Any]]:
    """Open a new file that only its owner can read, and have the disk hold it."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    encoding, newline = (None, None) if "b" in mode else ("utf-8", "")
    handle = os.open(path, flags, 0o600)
    with os.fdopen(handle, mode, encoding=encoding, newline=newline) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
