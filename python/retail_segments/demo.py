"""Write invoice lines of a made-up shop, with the truth about them."""

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from retail_segments.demo_blocks import BLOCK_SIZE, REJECT_REASONS, make_block
from retail_segments.demo_catalogue import (
    DESCRIPTION_DIRT,
    MISSING,
    QUESTION_MARK,
    Catalogue,
    make_catalogue,
)
from retail_segments.demo_orders import (
    ARCHETYPE_NAMES,
    COUNTRIES,
    DAY_COUNT,
    FIRST_DATE,
    LINE_KINDS,
)

__all__ = [
    "ARCHETYPE_NAMES",
    "LINES_FILE",
    "LINE_KINDS",
    "REJECT_REASONS",
    "TRUTH_FOLDER",
    "DemoFiles",
    "write_demo",
]

LINES_FILE = "online_retail_demo.parquet"
TRUTH_FOLDER = "truth"
_FIRST_CUSTOMER_ID = 12346
_MEMORY_LIMIT = "1GB"

# Numbers follow time, so that sorting by number is sorting by instant; at the same
# instant the digits, A and C of an invoice number sort as its prefix does.
_NUMBER_INVOICES = """
create table numbered_invoices as
with sequenced as (
    select
        *,
        row_number() over (order by minute, prefix, invoice_key) as sequence
    from invoices
)
select
    invoice_key,
    sequence,
    prefix,
    nullif(customer_id, 0)::integer as customer_id,
    country_id,
    prefix || ($first_number + sequence)::varchar as invoice_no,
    $first_date::timestamp + to_minutes(minute) as invoiced_at
from sequenced
"""

_SELECT_LINES = """
select
    numbered_invoices.invoice_no as "InvoiceNo",
    codes.stock_code as "StockCode",
    descriptions.description as "Description",
    lines.quantity::integer as "Quantity",
    numbered_invoices.invoiced_at as "InvoiceDate",
    lines.price_mills / 1000 as "UnitPrice",
    numbered_invoices.customer_id as "CustomerID",
    countries.country_name as "Country"
from lines
inner join numbered_invoices using (invoice_key)
inner join codes using (item, is_lower_case)
inner join descriptions using (description_id)
inner join countries using (country_id)
order by numbered_invoices.sequence, lines.position
"""

_SELECT_TRUTH = {
    "customers": """
select
    customers.customer_id::integer as customer_id,
    archetypes.archetype
from customers
inner join archetypes using (archetype_id)
where customers.customer_id in (
    select numbered_invoices.customer_id
    from lines
    inner join numbered_invoices using (invoice_key)
    where lines.reason_id not in (from reasons select reason_id)
)
order by customers.customer_id
""",
    "returns": """
select
    cancellations.invoice_no as return_invoice_no,
    purchases.invoice_no as purchase_invoice_no,
    returns.customer_id::integer as customer_id,
    codes.stock_code,
    returns.quantity::integer as quantity,
    returns.is_identifiable
from returns
inner join numbered_invoices as cancellations
    on returns.return_key = cancellations.invoice_key
left join numbered_invoices as purchases
    on returns.purchase_key = purchases.invoice_key
inner join codes
    on returns.item = codes.item and not codes.is_lower_case
order by cancellations.sequence, codes.stock_code, purchases.sequence nulls last
""",
    "rejected": """
select
    numbered_invoices.invoice_no,
    upper(codes.stock_code) as stock_code,
    reasons.reject_reason,
    count(*)::integer as line_count
from lines
inner join numbered_invoices using (invoice_key)
inner join codes using (item, is_lower_case)
inner join reasons using (reason_id)
group by all
order by numbered_invoices.invoice_no, stock_code, reasons.reject_reason
""",
    "pairs": """
select
    antecedents.stock_code as antecedent,
    consequents.stock_code as consequent,
    pairs.probability
from pairs
inner join codes as antecedents
    on pairs.antecedent = antecedents.item and not antecedents.is_lower_case
inner join codes as consequents
    on pairs.consequent = consequents.item and not consequents.is_lower_case
order by antecedent
""",
}

_COUNT_INVOICES = """
select
    count(*) as invoices,
    count(*) filter (prefix = 'C') as cancellation_invoices,
    count(*) filter (prefix = 'A') as bad_debt_invoices,
    count(*) filter (customer_id is null) as guest_invoices
from numbered_invoices
"""

_COUNT_CUSTOMERS_IN_TWO_COUNTRIES = """
select count(*) as customers_in_two_countries
from (
    select customer_id
    from numbered_invoices
    where customer_id is not null
    group by customer_id
    having count(distinct country_id) > 1
)
"""

_COUNT_LINES = """
select
    count(*) as lines,
    count(*) filter (customer_id is null) as guest_lines,
    count(*) filter (stock_code != upper(stock_code)) as lower_case_stock_codes,
    count(*) filter (price_mills % 10 != 0) as prices_in_tenths_of_a_penny,
    count(*) filter (description_id = $missing) as missing_descriptions,
    count(*) filter (description_id = $question_mark) as question_mark_descriptions,
    count(*) filter (not is_note and description_id % $dirt_count = 1)
        as lower_case_descriptions,
    count(*) filter (not is_note and description_id % $dirt_count = 2)
        as descriptions_with_trailing_spaces,
    count(*) filter (not is_note and description_id % $dirt_count = 3)
        as descriptions_with_double_spaces,
    count(*) filter (not is_note and description_id // $dirt_count % 2 = 1)
        as renamed_descriptions
from (
    select
        *,
        description_id >= $first_note_id as is_note
    from lines
    inner join numbered_invoices using (invoice_key)
    inner join codes using (item, is_lower_case)
)
"""

_COUNT_KINDS = """
select
    kinds.kind || '_lines' as counted,
    count(lines.kind_id) as lines
from kinds
left join lines using (kind_id)
group by kinds.kind_id, kinds.kind
order by kinds.kind_id
"""

_COUNT_REASONS = """
select
    'rejected_as_' || reasons.reject_reason as counted,
    count(lines.reason_id) as lines
from reasons
left join lines using (reason_id)
group by reasons.reason_id, reasons.reject_reason
order by reasons.reason_id
"""

_COUNT_RETURNS = """
select
    count(*) as planned_returns,
    count(*) filter (purchase_key = -1) as planned_returns_of_older_purchases,
    count(*) filter (is_identifiable) as identifiable_returns
from returns
"""


@dataclass(frozen=True)
class DemoFiles:
    """Where a demo was written, and how much of what is in it.

    Attributes
    ----------
    lines : Path
        Invoice lines in the layout of the Online Retail data set.
    customers : Path
        Truth: ``customer_id``, ``archetype`` of every customer with a usable line.
    returns : Path
        Truth: ``return_invoice_no``, ``purchase_invoice_no`` (null where the purchase
        lies before the data), ``customer_id``, ``stock_code``, ``quantity`` (units of
        this return from this purchase), ``is_identifiable`` (first in, first out gives
        just this). Returns of guests are not in it.
    rejected : Path
        Truth: ``invoice_no``, ``stock_code``, ``reject_reason``, ``line_count`` of the
        lines that cleaning has to set aside.
    pairs : Path
        Truth: ``antecedent``, ``consequent``, ``probability`` of the planted pairs.
    settings : Path
        Truth: seed, number of customers, dates and all counts, as JSON.
    counts : dict of str to int
        Lines, invoices, and lines of every kind of dirt.
    """

    lines: Path
    customers: Path
    returns: Path
    rejected: Path
    pairs: Path
    settings: Path
    counts: dict[str, int]


def write_demo(
    folder: Path,
    *,
    customers: int = 4300,
    seed: int = 20111209,
    progress: Callable[[int, int], None] | None = None,
) -> DemoFiles:
    """Write invoice lines of a made-up shop, with the truth about them.

    The lines have the eight columns, the size and the dirt of the Online Retail data
    set, a little over a year of them, and no name or number of it. They are made in
    blocks of customers and sorted on disk, so memory does not grow with their number.
    The same seed and number of customers give the same bytes. A demo that is in the
    folder already is replaced when the new one is complete, not before.

    Parameters
    ----------
    folder : Path
        Folder to write to, made where it is missing. Twice the size of the demo is
        needed there for a time.
    customers : int
        Number of known customers, about 125 lines each. Guests, write-offs and fees
        come in proportion.
    seed : int
        Seed of every choice, not negative.
    progress : callable of (int, int), optional
        Called with the number of customers done and of all, after every block.

    Returns
    -------
    DemoFiles
        The files written, and what is in them.

    Raises
    ------
    ValueError
        If there is no customer, or the seed is negative.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     demo = write_demo(Path(folder), customers=30, seed=1)
    ...     names = duckdb.read_parquet(str(demo.lines)).columns
    >>> names[:4]
    ['InvoiceNo', 'StockCode', 'Description', 'Quantity']
    >>> demo.counts["bad_debt_lines"]
    3
    """
    if customers < 1:
        raise ValueError(f"a demo needs at least 1 customer, not {customers}")
    if seed < 0:
        raise ValueError(f"a seed cannot be negative: {seed}")

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".demo-", dir=folder) as unfinished:
        scratch = Path(unfinished)
        with duckdb.connect(
            scratch / "demo.duckdb",
            config={"memory_limit": _MEMORY_LIMIT, "temp_directory": str(scratch)},
        ) as warehouse:
            catalogue = make_catalogue(_generator(seed, 0))
            _stage_catalogue(warehouse, catalogue)
            _stage_blocks(warehouse, catalogue, customers, seed, progress)
            _number_invoices(warehouse)
            counts = _count(warehouse, catalogue)
            _write_files(warehouse, scratch)
        settings = {
            "seed": seed,
            "customers": customers,
            "first_date": FIRST_DATE.isoformat(),
            "days": DAY_COUNT,
            "counts": counts,
        }
        settings_path = scratch / TRUTH_FOLDER / "settings.json"
        settings_path.write_text(json.dumps(settings, indent=2) + "\n")
        return _publish(scratch, folder, counts)


def _generator(seed: int, *spawn_key: int) -> np.random.Generator:
    """Return the generator of one part of the demo, independent of all others."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=spawn_key))


def _stage_catalogue(
    warehouse: duckdb.DuckDBPyConnection, catalogue: Catalogue
) -> None:
    """Put the texts that the numbers of the blocks stand for into the warehouse."""
    tables = {
        "codes": catalogue.codes(),
        "descriptions": catalogue.descriptions(),
        "pairs": catalogue.pairs,
        "countries": _numbered(COUNTRIES, "country_id", "country_name"),
        "archetypes": _numbered(ARCHETYPE_NAMES, "archetype_id", "archetype"),
        "kinds": _numbered(LINE_KINDS, "kind_id", "kind"),
        "reasons": _numbered(REJECT_REASONS, "reason_id", "reject_reason"),
    }
    for name, rows in tables.items():
        warehouse.from_df(rows).create(name)


def _numbered(names: tuple[str, ...], number: str, name: str) -> pd.DataFrame:
    """Return names with their positions as a table."""
    return pd.DataFrame({number: range(len(names)), name: names})


def _stage_blocks(
    warehouse: duckdb.DuckDBPyConnection,
    catalogue: Catalogue,
    customers: int,
    seed: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Make the blocks one after the other and put them into the warehouse."""
    for number, done in enumerate(range(0, customers, BLOCK_SIZE)):
        block = make_block(
            catalogue,
            _generator(seed, 1, number),
            number=number,
            customer_count=min(BLOCK_SIZE, customers - done),
            first_customer_id=_FIRST_CUSTOMER_ID + done,
        )
        for name, rows in vars(block).items():
            relation = warehouse.from_df(rows)
            if number == 0:
                relation.create(name)
            else:
                relation.insert_into(name)
        if progress is not None:
            progress(done + len(block.customers), customers)


def _number_invoices(warehouse: duckdb.DuckDBPyConnection) -> None:
    """Give invoices numbers in time order, with six digits or more if needed."""
    count = warehouse.table("invoices").count("*").fetchall()[0][0]
    digits = max(6, len(str(2 * count)))
    warehouse.execute(
        _NUMBER_INVOICES,
        {"first_number": 5 * 10 ** (digits - 1), "first_date": FIRST_DATE},
    )


def _count(
    warehouse: duckdb.DuckDBPyConnection, catalogue: Catalogue
) -> dict[str, int]:
    """Count lines, invoices, and lines of every kind of dirt."""
    notes = {
        "first_note_id": catalogue.first_note_id,
        "missing": catalogue.first_note_id + MISSING,
        "question_mark": catalogue.first_note_id + QUESTION_MARK,
        "dirt_count": len(DESCRIPTION_DIRT),
    }
    counts: dict[str, int] = {}
    for query, parameters in (
        (_COUNT_LINES, notes),
        (_COUNT_INVOICES, {}),
        (_COUNT_CUSTOMERS_IN_TWO_COUNTRIES, {}),
        (_COUNT_RETURNS, {}),
    ):
        relation = warehouse.sql(query, params=parameters)
        counts.update(zip(relation.columns, relation.fetchall()[0], strict=True))
    for query in (_COUNT_KINDS, _COUNT_REASONS):
        counts.update(warehouse.sql(query).fetchall())
    return counts


def _write_files(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Write the lines and the tables of the truth, each in a total order."""
    (folder / TRUTH_FOLDER).mkdir()
    warehouse.sql(_SELECT_LINES).write_parquet(
        str(folder / LINES_FILE), compression="zstd"
    )
    for name, query in _SELECT_TRUTH.items():
        warehouse.sql(query).write_parquet(
            str(folder / TRUTH_FOLDER / f"{name}.parquet"), compression="zstd"
        )


def _publish(source: Path, folder: Path, counts: dict[str, int]) -> DemoFiles:
    """Move a complete demo into its folder, the lines last.

    Where there are lines, the truth beside them is therefore theirs.
    """
    (folder / LINES_FILE).unlink(missing_ok=True)
    (folder / TRUTH_FOLDER).mkdir(exist_ok=True)
    for path in sorted((source / TRUTH_FOLDER).iterdir()):
        path.replace(folder / TRUTH_FOLDER / path.name)
    (source / LINES_FILE).replace(folder / LINES_FILE)
    truth = {name: folder / TRUTH_FOLDER / f"{name}.parquet" for name in _SELECT_TRUTH}
    return DemoFiles(
        lines=folder / LINES_FILE,
        settings=folder / TRUTH_FOLDER / "settings.json",
        counts=counts,
        **truth,
    )
