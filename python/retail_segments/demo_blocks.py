"""The dealings of the demo shop, made in blocks of customers, with all their dirt.

A block depends on the seed, the catalogue and its own number alone, so any number of
blocks can be made one after the other in the memory of one.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from retail_segments.demo_catalogue import (
    DESCRIPTION_DIRT,
    DOUBLE_SPACE,
    FEE_ITEMS,
    FOUND_NOTES,
    LOWER_CASE,
    MILLS_PER_PENNY,
    MISSING,
    PRODUCT_COUNT,
    QUESTION_MARK,
    TRAILING_SPACES,
    WRITE_OFF_NOTES,
    Catalogue,
)
from retail_segments.demo_orders import (
    BAD_DEBT,
    ENTRIES,
    GUEST_RETURNS,
    INVOICES_PER_ORIGIN,
    KIND_IDS,
    MINUTES_PER_DAY,
    STOCK,
    IntArray,
    charge_carriage,
    draw_any_minutes,
    draw_customers,
    draw_fees,
    draw_later_minutes,
    draw_orders,
    fill_baskets,
    guest_prices,
    make_invoices,
    make_lines,
    scaled,
    sell_to_guests,
)
from retail_segments.demo_returns import (
    NO_PURCHASE,
    book_returns,
    find_identifiable,
    plan_returns,
)

BLOCK_SIZE = 1_000
# More than any block has: the invoices of block b are numbered from b times this.
_INVOICES_PER_BLOCK = 100 * INVOICES_PER_ORIGIN

# In the order of precedence: a line is set aside for the first that holds.
REJECT_REASONS = (
    "exact_duplicate",
    "bad_debt_adjustment",
    "zero_quantity",
    "stock_write_off",
    "non_positive_price",
)
USABLE = -1


@dataclass(frozen=True)
class _Entry:
    """A booking of one line on an invoice of its own."""

    stock_code: str
    kind: str
    per_customer: float
    prefix: str
    is_known: bool
    quantity: int
    typical_pennies: float


_ENTRIES = (
    _Entry("D", "discount", 0.018, "C", True, -1, 2_500),
    _Entry("M", "fee", 0.025, "C", True, -1, 2_000),
    _Entry("M", "fee", 0.015, "C", False, -1, 6_000),
    _Entry("M", "fee", 0.030, "", False, 1, 1_500),
    _Entry("S", "sample", 0.014, "C", False, -1, 3_000),
    _Entry("AMAZONFEE", "fee", 0.008, "C", False, -1, 600_000),
    _Entry("BANK CHARGES", "fee", 0.006, "C", False, -1, 15_000),
    _Entry("BANK CHARGES", "fee", 0.003, "", False, 1, 1_500),
    _Entry("CRUK", "fee", 0.004, "C", False, -1, 40_000),
)


@dataclass(frozen=True)
class Block:
    """The dealings of one block of customers, in numbers instead of texts.

    Attributes
    ----------
    customers : DataFrame
        ``customer_id``, ``archetype_id``.
    invoices : DataFrame
        ``invoice_key``, ``minute`` since the first day, ``prefix``, ``customer_id``
        (0 for a guest), ``country_id``.
    lines : DataFrame
        ``invoice_key``, ``position``, ``item``, ``is_lower_case``,
        ``description_id``, ``quantity``, ``price_mills``, ``kind_id``, ``reason_id``
        (`USABLE` for none).
    returns : DataFrame
        ``return_key``, ``purchase_key`` (`NO_PURCHASE` for none), ``customer_id``,
        ``item``, ``quantity``, ``is_identifiable``.
    """

    customers: pd.DataFrame
    invoices: pd.DataFrame
    lines: pd.DataFrame
    returns: pd.DataFrame


def make_block(
    catalogue: Catalogue,
    rng: np.random.Generator,
    *,
    number: int,
    customer_count: int,
    first_customer_id: int,
) -> Block:
    """Make up what one block of customers, and the shop around them, did.

    Parameters
    ----------
    catalogue : Catalogue
        What the shop sells.
    rng : Generator
        Source of every choice.
    number : int
        Number of the block, from 0. It keeps the invoices of blocks apart.
    customer_count : int
        Number of customers, at most `BLOCK_SIZE`. Guests, write-offs and fees come
        in proportion, at least one of each.
    first_customer_id : int
        Number of the first customer; the others follow.

    Returns
    -------
    Block
        Customers, invoices, lines and returns.

    Examples
    --------
    >>> from retail_segments.demo_catalogue import make_catalogue
    >>> rng = np.random.default_rng(1)
    >>> catalogue = make_catalogue(rng)
    >>> block = make_block(
    ...     catalogue, rng, number=0, customer_count=9, first_customer_id=12346
    ... )
    >>> len(block.customers), block.invoices["invoice_key"].is_unique
    (9, True)
    """
    customers = draw_customers(rng, customer_count, first_customer_id)
    orders = draw_orders(rng, customers)
    purchases = fill_baskets(catalogue, rng, customers, orders)
    cancelled = _plant_odd_purchases(rng, purchases, number)
    plan = plan_returns(catalogue, rng, customers, orders, purchases, cancelled)
    parts = [
        (orders.drop(columns="customer_row"), purchases),
        (orders.iloc[:0, :-1], charge_carriage(rng, orders)),
        sell_to_guests(catalogue, rng, customer_count),
        book_returns(plan),
        _take_back_from_guests(catalogue, rng, customer_count),
        _adjust_stock(rng, customer_count),
        *_book_entries(rng, orders, customer_count),
        _adjust_bad_debt(rng, number),
    ]
    invoices = pd.concat([invoices for invoices, _ in parts], ignore_index=True)
    lines = pd.concat([lines for _, lines in parts], ignore_index=True)
    is_identifiable = find_identifiable(orders, purchases, plan)
    return _number_block(
        number,
        customers=customers[["customer_id", "archetype_id"]],
        invoices=invoices,
        lines=_soil_lines(catalogue, rng, invoices, lines),
        returns=plan.assign(is_identifiable=is_identifiable),
    )


def _number_block(
    number: int,
    *,
    customers: pd.DataFrame,
    invoices: pd.DataFrame,
    lines: pd.DataFrame,
    returns: pd.DataFrame,
) -> Block:
    """Make the invoice keys of a block differ from those of all others."""
    first = number * _INVOICES_PER_BLOCK
    purchase_key = returns["purchase_key"]
    return Block(
        customers=customers,
        invoices=invoices.assign(invoice_key=invoices["invoice_key"] + first),
        lines=lines.assign(invoice_key=lines["invoice_key"] + first),
        returns=pd.DataFrame(
            {
                "return_key": returns["invoice_key"] + first,
                "purchase_key": purchase_key.where(
                    purchase_key == NO_PURCHASE, purchase_key + first
                ),
                "customer_id": returns["customer_id"],
                "item": returns["item"],
                "quantity": returns["quantity"],
                "is_identifiable": returns["is_identifiable"],
            }
        ),
    )


def _plant_odd_purchases(
    rng: np.random.Generator, purchases: pd.DataFrame, number: int
) -> IntArray:
    """Turn a few purchases into free goods, empty lines, odd prices and huge lots.

    Changes `purchases` in place. Returns the rows of the lots to cancel at once.
    """
    rows = rng.permutation(len(purchases))
    free, empty, odd, huge, cancelled, _ = np.split(rows, [10, 12, 13, 15, 16])
    purchases.loc[free, ["price_mills", "kind_id"]] = [0, KIND_IDS["free_goods"]]
    purchases.loc[empty, ["quantity", "kind_id"]] = [0, KIND_IDS["zero_quantity"]]
    purchases.loc[odd, "price_mills"] += rng.integers(1, MILLS_PER_PENNY, len(odd))
    # A huge lot that is bought and cancelled at once is rarer than a block.
    cancelled = cancelled[: (number + 1) % 2]
    for lots, pounds in ((huge, (2_000, 15_000)), (cancelled, (60_000, 170_000))):
        mills = rng.integers(*pounds, len(lots)) * 100 * MILLS_PER_PENNY
        price_mills = purchases["price_mills"].to_numpy()[lots]
        purchases.loc[lots, "quantity"] = mills // price_mills
    return cancelled


def _take_back_from_guests(
    catalogue: Catalogue, rng: np.random.Generator, customer_count: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw returns that name no customer, so that nobody can say what they reverse."""
    count = scaled(0.03, customer_count)
    invoices = make_invoices(GUEST_RETURNS, draw_any_minutes(rng, count), prefix="C")
    item = catalogue.draw(rng, count)
    return invoices, make_lines(
        invoices["invoice_key"],
        item,
        quantity=-rng.integers(1, 4, count),
        price_mills=guest_prices(catalogue, item),
        kind="guest_return",
    )


def _adjust_stock(
    rng: np.random.Generator, customer_count: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw write-offs and goods found again: no customer, no price, a note at best."""
    lost, found = scaled(0.3, customer_count), scaled(0.26, customer_count)
    invoices = make_invoices(STOCK, draw_any_minutes(rng, lost + found))
    units = np.ceil(rng.lognormal(np.log(25), 1.4, lost + found)).astype(np.int64)
    item = rng.integers(0, PRODUCT_COUNT, lost + found)
    lines = make_lines(
        invoices["invoice_key"], item, quantity=units, price_mills=0, kind="stock_found"
    )
    lines.loc[: lost - 1, "kind_id"] = KIND_IDS["write_off"]
    lines.loc[: lost - 1, "quantity"] *= -1
    notes = np.append(rng.choice(WRITE_OFF_NOTES, lost), rng.choice(FOUND_NOTES, found))
    return invoices, lines.assign(note=notes)


def _book_entries(
    rng: np.random.Generator, orders: pd.DataFrame, customer_count: int
) -> list[tuple[pd.DataFrame, pd.DataFrame]]:
    """Draw fees, discounts and samples; those of a customer soon follow an order."""
    booked = []
    for origin, entry in enumerate(_ENTRIES, start=ENTRIES):
        count = scaled(entry.per_customer, customer_count)
        if entry.is_known:
            order = orders.iloc[rng.integers(0, len(orders), count)]
            invoices = make_invoices(
                origin,
                draw_later_minutes(rng, order["minute"].to_numpy(), same_day_share=1.0),
                prefix=entry.prefix,
                customer_id=order["customer_id"].to_numpy(),
                country_id=order["country_id"].to_numpy(),
            )
        else:
            invoices = make_invoices(
                origin, draw_any_minutes(rng, count), prefix=entry.prefix
            )
        lines = make_lines(
            invoices["invoice_key"],
            FEE_ITEMS[entry.stock_code],
            quantity=entry.quantity,
            price_mills=draw_fees(rng, count, entry.typical_pennies),
            kind=entry.kind,
        )
        booked.append((invoices, lines))
    return booked


def _adjust_bad_debt(
    rng: np.random.Generator, number: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Book a bad debt by mistake, take it back and book it, in every fourth block."""
    entries = 0 if number % 4 else 3
    minutes = draw_any_minutes(rng, 1) + np.arange(entries)
    invoices = make_invoices(BAD_DEBT, minutes, prefix="A")
    return invoices, make_lines(
        invoices["invoice_key"],
        FEE_ITEMS["B"],
        quantity=1,
        price_mills=draw_fees(rng, 1, 1_000_000) * np.array([1, -1, -1])[:entries],
        kind="bad_debt",
    )


def _soil_lines(
    catalogue: Catalogue,
    rng: np.random.Generator,
    invoices: pd.DataFrame,
    lines: pd.DataFrame,
) -> pd.DataFrame:
    """Describe the lines as clerks do, repeat some, and tell which are set aside."""
    invoice = invoices.set_index("invoice_key").loc[lines["invoice_key"]]
    day = invoice["minute"].to_numpy() // MINUTES_PER_DAY
    lines = lines.assign(
        position=lines.groupby("invoice_key").cumcount(),
        is_lower_case=_has_letters(catalogue, lines) & (rng.random(len(lines)) < 0.02),
        description_id=_describe(catalogue, rng, lines, day),
        is_bad_debt=invoice["prefix"].to_numpy() == "A",
        is_cancellation=invoice["prefix"].to_numpy() == "C",
        is_copy=False,
    )
    lines = pd.concat([lines, _copy_lines(catalogue, rng, lines)], ignore_index=True)
    is_free = lines["price_mills"] <= 0
    rules = [
        lines["is_copy"],
        lines["is_bad_debt"],
        lines["quantity"] == 0,
        (lines["quantity"] < 0) & is_free & ~lines["is_cancellation"],
        is_free,
    ]
    lines["reason_id"] = np.select(rules, range(len(REJECT_REASONS)), USABLE)
    return lines.drop(columns=["note", "is_copy", "is_bad_debt", "is_cancellation"])


def _has_letters(catalogue: Catalogue, lines: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Tell which lines have a stock code that can be written in lower case."""
    codes = catalogue.items["stock_code"]
    has_letters = codes.str.upper() != codes.str.lower()
    return has_letters.to_numpy(dtype=np.bool_)[lines["item"]]


def _describe(
    catalogue: Catalogue, rng: np.random.Generator, lines: pd.DataFrame, day: IntArray
) -> IntArray:
    """Draw the description of every line: name or later name, note, and dirt."""
    item = lines["item"].to_numpy()
    is_renamed = day >= catalogue.items["renamed_day"].to_numpy()[item]
    chance = rng.random(len(lines))
    dirt = np.select(
        [chance < 0.004, chance < 0.012, chance < 0.015],
        [LOWER_CASE, TRAILING_SPACES, DOUBLE_SPACE],
        0,
    ) * (item < PRODUCT_COUNT)
    note = np.select(
        [lines["note"].notna(), chance > 0.998, chance > 0.9975],
        [lines["note"].fillna(0), MISSING, QUESTION_MARK],
        np.nan,
    )
    described = catalogue.description_ids(item, is_renamed) + dirt
    return np.where(np.isnan(note), described, catalogue.first_note_id + note).astype(
        np.int64
    )


def _copy_lines(
    catalogue: Catalogue, rng: np.random.Generator, lines: pd.DataFrame
) -> pd.DataFrame:
    """Repeat about one line in a hundred within its invoice, some of them twice.

    A few copies differ from the first in the case of the code, or in blanks after
    the description: they are the same line all the same.
    """
    copies = lines[rng.random(len(lines)) < 0.0095]
    again = copies[rng.random(len(copies)) < 0.03]
    copies = pd.concat([copies, again])
    chance = rng.random(len(copies))
    changes_case = _has_letters(catalogue, copies) & (chance < 0.3)
    is_clean = (copies["description_id"] < catalogue.first_note_id) & (
        copies["description_id"] % len(DESCRIPTION_DIRT) == 0
    )
    return copies.assign(
        # Copies stand behind all first lines, whatever the size of the invoice.
        position=copies["position"] + 10_000 * (1 + copies.groupby(level=0).cumcount()),
        is_lower_case=copies["is_lower_case"] ^ changes_case,
        description_id=copies["description_id"]
        + TRAILING_SPACES * (is_clean & (chance > 0.97)),
        is_copy=True,
    )
