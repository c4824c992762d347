"""Which goods come back to the demo shop, and which purchases they reverse."""

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from retail_segments.demo_catalogue import PRODUCT_COUNT, Catalogue
from retail_segments.demo_orders import (
    ARCHETYPE_NAMES,
    DAY_COUNT,
    INVOICES_PER_ORIGIN,
    KIND_IDS,
    MINUTES_PER_DAY,
    RETURNS,
    IntArray,
    draw_days,
    draw_later_minutes,
    draw_minutes,
    draw_quantities,
    keep_distinct,
    make_lines,
    scaled,
)

NO_PURCHASE = -1

_RETURNED_ORDER_SHARE = 0.18
_RETURNED_LINE_SHARE = 0.12
_OLDER_RETURNS_PER_CUSTOMER = 0.08
# Goods bought before the data begins come back within its first weeks.
_OLDER_RETURN_DAYS = 75


def plan_returns(
    catalogue: Catalogue,
    rng: np.random.Generator,
    customers: pd.DataFrame,
    orders: pd.DataFrame,
    purchases: pd.DataFrame,
    cancelled: IntArray,
) -> pd.DataFrame:
    """Plan which units come back, from which purchase and on which cancellation.

    Parameters
    ----------
    catalogue : Catalogue
        What the shop sells.
    rng : Generator
        Source of every choice.
    customers, orders, purchases : DataFrame
        The known customers, their orders, and the lines of these.
    cancelled : ndarray of int
        Rows of `purchases` that are cancelled in full within the quarter of an hour.

    Returns
    -------
    DataFrame
        One row per cancellation, stock code and purchase: ``invoice_key``,
        ``minute``, ``customer_id``, ``country_id``, ``item``, ``purchase_key``
        (`NO_PURCHASE` where the purchase lies before the data), ``quantity`` and
        ``price_mills``, both positive.
    """
    plan = pd.concat(
        [
            _plan_order_returns(rng, orders, purchases, cancelled),
            _plan_older_returns(catalogue, rng, customers),
        ],
        ignore_index=True,
    )
    plan = plan[plan["minute"] < DAY_COUNT * MINUTES_PER_DAY]
    # A cancellation reverses one order, so that a stock code is on it only once and
    # at one price; a second order that would be cancelled in the same minute is not.
    by_instant = plan.groupby(["customer_id", "minute"])
    plan = plan[plan["source"] == by_instant["source"].transform("first")]
    number = plan.groupby(["customer_id", "minute"]).ngroup()
    invoice_key = RETURNS * INVOICES_PER_ORIGIN + number
    return plan.assign(invoice_key=invoice_key).reset_index(drop=True)


def _plan_order_returns(
    rng: np.random.Generator,
    orders: pd.DataFrame,
    purchases: pd.DataFrame,
    cancelled: IntArray,
) -> pd.DataFrame:
    """Plan full, partial and double returns of orders, and some of more than bought."""
    comes_back = rng.random(len(orders)) < _RETURNED_ORDER_SHARE
    first_at = draw_later_minutes(rng, orders["minute"].to_numpy(), same_day_share=0.1)
    second_at = draw_later_minutes(rng, first_at, same_day_share=0.0)

    order = purchases["invoice_key"].to_numpy()
    is_picked = comes_back[order] & (rng.random(len(order)) < _RETURNED_LINE_SHARE)
    is_picked &= purchases["kind_id"].to_numpy() == KIND_IDS["purchase"]
    is_picked[cancelled] = False
    lines = purchases[is_picked]
    order = order[is_picked]

    bought = lines["quantity"].to_numpy()
    chance = rng.random(len(lines))
    is_full = (chance < 0.70) | (bought == 1)
    is_twice = (chance >= 0.92) & ~is_full
    is_more = chance < 0.01
    first_part = np.where(is_full, bought, rng.integers(1, np.maximum(bought, 2)))

    surplus = rng.integers(1, 7, is_more.sum())
    second_part = (bought - first_part)[is_twice]
    lots = purchases.loc[cancelled]
    soon = orders["minute"].to_numpy()[lots["invoice_key"]] + 12
    return pd.concat(
        [
            _reverse(orders, lots, lots["quantity"], soon),
            _reverse(orders, lines, first_part, first_at[order]),
            _reverse(orders, lines[is_twice], second_part, second_at[order[is_twice]]),
            _reverse(orders, lines[is_more], surplus, first_at[order[is_more]]).assign(
                purchase_key=NO_PURCHASE
            ),
        ]
    )


def _reverse(
    orders: pd.DataFrame, lines: pd.DataFrame, quantity: Any, minute: IntArray
) -> pd.DataFrame:
    """Plan the return of some units of each line at the price they were bought at."""
    order = orders.iloc[lines["invoice_key"]]
    return pd.DataFrame(
        {
            "customer_id": order["customer_id"].to_numpy(),
            "country_id": order["country_id"].to_numpy(),
            "source": lines["invoice_key"].to_numpy(),
            "purchase_key": lines["invoice_key"].to_numpy(),
            "item": lines["item"].to_numpy(),
            "quantity": np.asarray(quantity),
            "price_mills": lines["price_mills"].to_numpy(),
            "minute": minute,
        }
    )


def _plan_older_returns(
    catalogue: Catalogue, rng: np.random.Generator, customers: pd.DataFrame
) -> pd.DataFrame:
    """Plan returns of goods that were bought before the data begins."""
    only_return = np.flatnonzero(customers["order_count"] == 0)
    old_archetypes = [ARCHETYPE_NAMES.index(n) for n in ("loyal_wholesaler", "regular")]
    known_for_long = np.flatnonzero(customers["archetype_id"].isin(old_archetypes))
    count = scaled(_OLDER_RETURNS_PER_CUSTOMER, len(customers))
    row = np.append(only_return, rng.permutation(known_for_long)[:count])

    visit = np.repeat(np.arange(len(row)), rng.integers(1, 4, len(row)))
    visit, item = keep_distinct(visit, catalogue.draw(rng, len(visit)))
    first_day = np.zeros(len(row), dtype=np.int64)
    minute = draw_minutes(
        rng, draw_days(rng, first_day, first_day + _OLDER_RETURN_DAYS)
    )
    price_mills = catalogue.items["price_mills"].to_numpy()[item]
    who = customers.iloc[row[visit]]
    return pd.DataFrame(
        {
            "customer_id": who["customer_id"].to_numpy(),
            "country_id": who["country_id"].to_numpy(),
            # Orders are numbered from 0: no older purchase shares a number with one.
            "source": -1 - visit,
            "purchase_key": NO_PURCHASE,
            "item": item,
            "quantity": draw_quantities(rng, price_mills, 3.0),
            "price_mills": price_mills,
            "minute": minute[visit],
        }
    )


def book_returns(plan: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Turn the plan into cancellations: one line per stock code."""
    columns = ["invoice_key", "minute", "customer_id", "country_id"]
    invoices = plan.drop_duplicates("invoice_key")[columns].assign(prefix="C")
    by_line = plan.groupby(["invoice_key", "item"], as_index=False)
    lines = by_line.agg({"quantity": "sum", "price_mills": "first"})
    return invoices, make_lines(
        lines["invoice_key"],
        lines["item"],
        quantity=-lines["quantity"],
        price_mills=lines["price_mills"],
        kind="return",
    )


def queue_returns(
    events: Iterable[tuple[int, bool, int, int]],
) -> set[tuple[int, int, int]]:
    """Serve returns from purchases, first in first out.

    Parameters
    ----------
    events : iterable of (time, is_return, invoice, quantity)
        Purchases and returns of one customer and one stock code, in any order.
        Quantities are positive. At the same time purchases go first.

    Returns
    -------
    set of (return invoice, purchase invoice, quantity)
        Which units went back to which purchase; `NO_PURCHASE` where none was left.

    Examples
    --------
    >>> sorted(queue_returns([(1, False, 10, 5), (2, True, 11, 3), (3, True, 12, 4)]))
    [(11, 10, 3), (12, -1, 2), (12, 10, 2)]
    """
    queue: deque[tuple[int, int]] = deque()
    allocations = set()
    for _, is_return, invoice, quantity in sorted(events):
        if not is_return:
            queue.append((invoice, quantity))
            continue
        left = quantity
        while left and queue:
            purchase, available = queue.popleft()
            taken = min(left, available)
            allocations.add((invoice, purchase, taken))
            left -= taken
            if available > taken:
                queue.appendleft((purchase, available - taken))
        if left:
            allocations.add((invoice, NO_PURCHASE, left))
    return allocations


def find_identifiable(
    orders: pd.DataFrame, purchases: pd.DataFrame, plan: pd.DataFrame
) -> npt.NDArray[np.bool_]:
    """Tell which planned rows a first-in-first-out queue finds from the lines alone.

    Customer and stock code are judged as a whole: all their rows, or none.

    Parameters
    ----------
    orders, purchases, plan : DataFrame
        Orders, their lines without copies, and the plan of `plan_returns`.

    Returns
    -------
    ndarray of bool
        One value per row of `plan`.
    """
    order = purchases["invoice_key"].to_numpy()
    customer_id = orders["customer_id"].to_numpy()[order]
    bought = purchases.assign(
        group=customer_id * PRODUCT_COUNT + purchases["item"],
        minute=orders["minute"].to_numpy()[order],
        is_return=False,
    )
    group = (plan["customer_id"] * PRODUCT_COUNT + plan["item"]).to_numpy()
    is_relevant = bought["group"].isin(group)
    bought = bought[is_relevant & (bought["kind_id"] == KIND_IDS["purchase"])]
    line = ["group", "minute", "is_return", "invoice_key"]
    returned = plan.assign(group=group, is_return=True)
    returned = returned.groupby(line, as_index=False).agg({"quantity": "sum"})

    events = defaultdict(list)
    for frame in (bought, returned):
        for key, *event in frame[[*line, "quantity"]].itertuples(index=False):
            events[key].append(tuple(event))
    planned = defaultdict(set)
    allocations = plan[["invoice_key", "purchase_key", "quantity"]]
    for key, row in zip(
        group, allocations.itertuples(index=False, name=None), strict=True
    ):
        planned[key].add(row)
    found = {key for key, rows in planned.items() if rows == queue_returns(events[key])}
    return np.array([key in found for key in group], dtype=np.bool_)
