"""The customers whom the shop has been asked to forget, and their landed lines.

``forgotten.json`` in the landing folder keeps a salted SHA-256 of each id, so that
lines delivered later do not bring a customer back. Their lines stay, as a guest's: what
was sold was sold.
"""

import hashlib
import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import duckdb

from retail_segments.folders import flush
from retail_segments.landing import LoadError
from retail_segments.sql import file_pattern, literal, query

# What stands for a line that could not be split into columns and names the customer.
REMAINDER = "(forgotten)"

_FILE = "forgotten.json"
# As staging reads an id: spreadsheets hand one over as a decimal, 17850.0.
_CUSTOMER = "regexp_replace(trim(customer_id), '[.]0+$', '')"
_WORDS = "regexp_split_to_array(raw_line, '[^0-9A-Za-z]+')"


@dataclass(frozen=True)
class ForgottenList:
    """Who has been forgotten.

    Attributes
    ----------
    salt : str
        What goes into each hash before the id.
    finished : dict of str to bool
        For the hash of each id, whether the warehouse has been built without it.
    """

    salt: str = field(default_factory=lambda: secrets.token_hex(16))
    finished: dict[str, bool] = field(default_factory=dict)

    def digest(self, customer_id: str) -> str:
        """Hash an id as the list does."""
        return hashlib.sha256(f"{self.salt}{customer_id}".encode()).hexdigest()

    def marked(self, digest: str, *, is_finished: bool) -> "ForgottenList":
        """Return the list with a customer on it."""
        return replace(self, finished={**self.finished, digest: is_finished})


def clean_id(customer_id: str) -> str:
    """Read a customer's id as staging does.

    Parameters
    ----------
    customer_id : str
        As somebody typed it.

    Returns
    -------
    str
        Without blanks around it, or a decimal's tail.

    Examples
    --------
    >>> clean_id(" 17850.0 ")
    '17850'
    """
    head, dot, tail = customer_id.strip().rpartition(".")
    return head if dot and tail and not tail.strip("0") else customer_id.strip()


def read_forgotten(landing: Path) -> ForgottenList:
    """Read who has been forgotten.

    Parameters
    ----------
    landing : Path
        The landing folder, which need not exist.

    Returns
    -------
    ForgottenList
        Empty, with a salt of its own, where nobody has been.

    Raises
    ------
    LoadError
        If the list cannot be read.
    """
    path = landing / _FILE
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        return ForgottenList(str(read["salt"]), dict(read["finished"]))
    except FileNotFoundError:
        return ForgottenList()
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise LoadError(
            f"{path}, which says whom the shop has forgotten, cannot be read. Restore "
            "it from a backup, or people who asked to be forgotten come back."
        ) from error


def write_forgotten(landing: Path, known: ForgottenList) -> None:
    """Write who has been forgotten, for the owner alone to read.

    Parameters
    ----------
    landing : Path
        The landing folder.
    known : ForgottenList
        The list, which takes the place of the one there.
    """
    unfinished = landing / f".{_FILE}"
    unfinished.unlink(missing_ok=True)
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        json.dump({"salt": known.salt, "finished": known.finished}, file, indent=1)
    flush(unfinished)
    unfinished.replace(landing / _FILE)
    flush(landing)


def without_forgotten(select: str, known: ForgottenList) -> str:
    """Take the customers who have been forgotten out of lines that are being loaded.

    Parameters
    ----------
    select : str
        A query of lines as they land.
    known : ForgottenList
        Who has been forgotten.

    Returns
    -------
    str
        The query of the same lines, those of these customers as a guest's.
    """
    if not known.finished:
        return select
    salt = literal(known.salt)
    digests = f"[{', '.join(literal(digest) for digest in sorted(known.finished))}]"
    is_theirs = f"list_contains({digests}, sha256({salt} || {_CUSTOMER}))"
    names_them = (
        f"list_has_any({digests}, "
        f"list_transform({_WORDS}, lambda word: sha256({salt} || word)))"
    )
    return query(_remainder(is_theirs, names_them), f"({select}) as delivered")


def take_out_of_lines(path: Path, customer_id: str, written: Path) -> int:
    """Make a customer's lines in a landing file a guest's.

    Parameters
    ----------
    path : Path
        The landing file.
    customer_id : str
        The customer, as staging reads it.
    written : Path
        Where the new file is written first. It takes the old one's place if a line was
        the customer's.

    Returns
    -------
    int
        How many lines were.
    """
    is_theirs = f"coalesce({_CUSTOMER} = {literal(customer_id)}, false)"
    # Within a longer word or number it is somebody else.
    pattern = f"'(^|[^0-9A-Za-z])' || regexp_escape({literal(customer_id)}) || "
    pattern += "'([^0-9A-Za-z]|$)'"
    names_them = f"coalesce(regexp_matches(raw_line, {pattern}), false)"
    return _rewrite(
        path,
        written,
        counted=f"{is_theirs} or {names_them}",
        select=_remainder(is_theirs, names_them),
    )


def take_out_of_audience(path: Path, customer_id: str, written: Path) -> int:
    """Take a customer out of the record of a campaign.

    Parameters
    ----------
    path : Path
        The record.
    customer_id : str
        The customer.
    written : Path
        Where the new file is written first.

    Returns
    -------
    int
        How many rows were the customer's.
    """
    is_theirs = f"coalesce({_CUSTOMER} = {literal(customer_id)}, false)"
    return _rewrite(
        path, written, counted=is_theirs, select="*", where=f"not ({is_theirs})"
    )


def _remainder(is_theirs: str, names_them: str) -> str:
    return (
        f"* replace (case when not coalesce({is_theirs}, false) then customer_id end "
        f"as customer_id, case when coalesce({names_them}, false) "
        f"then {literal(REMAINDER)} else raw_line end as raw_line)"
    )


def _rewrite(
    path: Path, written: Path, *, counted: str, select: str, where: str = "true"
) -> int:
    """Write a Parquet file anew if some of its rows count, with its permissions."""
    place = f"read_parquet({literal(file_pattern(path))})"
    with duckdb.connect() as connection:
        [(count,)] = connection.execute(query("count(*)", place, counted)).fetchall()
        if not count:
            return 0
        connection.execute(
            f"copy ({query(select, place, where)}) to {literal(str(written))} "
            "(format parquet, compression zstd)"
        )
    written.chmod(path.stat().st_mode & 0o777)
    flush(written)
    written.replace(path)
    flush(path.parent)
    return int(count)


def rewrite_landing(
    landing: Path, customer_id: str, work: Path
) -> tuple[dict[str, int], Sequence[str]]:
    """Take a customer out of every landing file and campaign record, those aside too.

    Parameters
    ----------
    landing : Path
        The landing folder.
    customer_id : str
        The customer, as staging reads it.
    work : Path
        A folder for half-written files.

    Returns
    -------
    rows : dict of str to int
        The customer's rows by file; files without any are left out.
    sources : sequence of str
        The delivered files that those lines came from.
    """
    rows: dict[str, int] = {}
    sources: set[str] = set()
    for place in (landing, landing / "aside"):
        for path in sorted(place.glob("*.parquet")):
            delivered = _source_files(path)
            if count := take_out_of_lines(path, customer_id, work / path.name):
                rows[str(path.relative_to(landing))] = count
                sources |= delivered
        for path in sorted((place / "campaigns").glob("*.parquet")):
            if count := take_out_of_audience(path, customer_id, work / path.name):
                rows[str(path.relative_to(landing))] = count
    return rows, sorted(sources)


def _source_files(path: Path) -> set[str]:
    """Name the files that a landing file was read from."""
    with duckdb.connect() as connection:
        found = connection.execute(
            query("distinct source_file", "read_parquet(?)"), [file_pattern(path)]
        ).fetchall()
    # A workbook's sheets follow its name.
    return {str(name).partition("#")[0] for (name,) in found}
