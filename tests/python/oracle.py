"""What the marts should hold, worked out a second time in plain Python, line by line.

Nothing here is SQL, and nothing is taken from the project but the list of codes that
are no products: each rule is written from its definition, in the way that is easiest to
check by eye.
"""

import csv
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

Row = Mapping[str, Any]

LARGEST_QUANTITY = 2_147_483_647
PRICE_LIMIT = 10**10
AMOUNT_LIMIT = 10**10
FIRST_YEAR, LAST_YEAR = 1990, 2100

# Reasons that hang on the line alone, and so hold for every copy of it.
REASONS_OF_EVERY_COPY = {
    "unreadable_line",
    "unreadable_quantity",
    "unreadable_invoice_date",
    "unreadable_unit_price",
    "missing_invoice_number",
    "missing_stock_code",
    "missing_quantity",
    "missing_invoice_date",
    "missing_unit_price",
    "amount_out_of_range",
    "after_as_of_date",
}


@dataclass(frozen=True)
class Line:
    """A delivered line with its values trimmed and judged readable or not.

    `source` tells copies apart and has no part in what the line says.
    """

    invoice_number: str | None
    stock_code: str | None
    customer_id: str | None
    description: str | None
    country_name: str | None
    currency_code: str | None
    store_name: str | None
    quantity: int | None
    invoiced_at: datetime | None
    unit_price: Decimal | None
    raw_quantity: str | None
    raw_invoice_date: str | None
    raw_unit_price: str | None
    raw_line: str | None
    source: tuple[Any, ...]

    @property
    def content(self) -> tuple[Any, ...]:
        """All that was delivered: two lines with the same content are copies."""
        return tuple(value for name, value in self.__dict__.items() if name != "source")

    @property
    def amount(self) -> Decimal | None:
        if self.quantity is None or self.unit_price is None:
            return None
        amount = self.quantity * self.unit_price
        return amount if abs(amount) < AMOUNT_LIMIT else None


@dataclass(frozen=True)
class Verdict:
    """What a line is: exactly one of the two is given."""

    line_type: str | None
    reject_reason: str | None


@dataclass(frozen=True)
class Allocation:
    """Units of a return, and the purchase that they reverse, if any."""

    return_id: str
    purchase_id: str | None
    quantity: int
    amount: Decimal
    days_to_return: int | None
    unmatched_reason: str | None


@dataclass(frozen=True)
class Order:
    """An invoice of a customer that counts as a purchase."""

    amount: Decimal
    units: int
    ordered_at: datetime


@dataclass(frozen=True)
class Habits:
    """How a customer buys; most of it is unknown where nothing was kept."""

    product_count: int
    tenure_days: int | None
    days_between_orders: Fraction | None
    average_order_value: Fraction | None
    items_per_order: Fraction | None
    return_rate: Fraction


@dataclass(frozen=True)
class Rfm:
    """Recency, frequency and monetary value of a customer, and their scores."""

    recency_days: int | None
    frequency: int
    monetary_value: Decimal
    scores: tuple[int, int, int] | None
    unscored_reason: str | None


def read_non_product_codes(path: Path) -> dict[str, str]:
    """Read the line type of each code that is no product."""
    with path.open(encoding="utf-8", newline="") as file:
        return {row["stock_code"]: row["line_type"] for row in csv.DictReader(file)}


def clean(row: Row) -> Line:
    """Trim a row of a landing file, and judge what can be read."""
    quantity, invoiced_at = row.get("quantity"), row.get("invoice_date")
    price = row.get("unit_price")
    has_quantity = quantity is not None and abs(quantity) <= LARGEST_QUANTITY
    has_date = invoiced_at is not None and FIRST_YEAR <= invoiced_at.year <= LAST_YEAR
    has_price = price is not None and abs(price) < PRICE_LIMIT
    return Line(
        invoice_number=_upper(_trimmed(row.get("invoice_no"))),
        stock_code=_upper(_trimmed(row.get("stock_code"))),
        customer_id=_without_decimals(_trimmed(row.get("customer_id"))),
        description=_trimmed(row.get("description")),
        country_name=_trimmed(row.get("country")),
        currency_code=_upper(_trimmed(row.get("currency"))),
        store_name=_trimmed(row.get("store")),
        quantity=quantity if has_quantity else None,
        invoiced_at=invoiced_at if has_date else None,
        unit_price=price if has_price else None,
        raw_quantity=_raw(row.get("raw_quantity"), quantity, has_quantity),
        raw_invoice_date=_raw(row.get("raw_invoice_date"), invoiced_at, has_date),
        raw_unit_price=_raw(row.get("raw_unit_price"), price, has_price),
        raw_line=row.get("raw_line"),
        source=(row["source_file"], row["source_row"]),
    )


def find_as_of_date(lines: Iterable[Line]) -> date | None:
    """Find the day after the last line that can be read."""
    days = [line.invoiced_at.date() for line in lines if line.invoiced_at is not None]
    return max(days) + timedelta(days=1) if days else None


def classify(
    lines: Sequence[Line],
    *,
    as_of_date: date | None,
    non_product_codes: Mapping[str, str],
) -> list[Verdict]:
    """Judge each line: what it is, or the first reason to set it aside."""
    first_copies: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for line in lines:
        first = first_copies.get(line.content, line.source)
        first_copies[line.content] = min(first, line.source)
    verdicts = []
    for line in lines:
        is_copy = line.source != first_copies[line.content]
        reason = _find_reason(line, is_copy=is_copy, as_of_date=as_of_date)
        if reason is not None:
            verdicts.append(Verdict(None, reason))
        elif line.stock_code in non_product_codes:
            verdicts.append(Verdict(non_product_codes[line.stock_code], None))
        else:
            assert line.quantity is not None
            line_type = "purchase" if line.quantity > 0 else "return"
            verdicts.append(Verdict(line_type, None))
    return verdicts


def allocate_returns(lines: Iterable[Row]) -> list[Allocation]:
    """Match returns to purchases with one queue per customer and stock code.

    Purchases join the end of the queue, a return takes from its front whatever is
    there. Units that find the queue empty found no purchase; later purchases do not
    serve them.

    `lines` are rows of fct_invoice_lines.
    """
    queues: dict[tuple[str, str], deque[tuple[Row, int]]] = defaultdict(deque)
    has_bought: set[tuple[str, str]] = set()
    allocations = []
    relevant = [line for line in lines if line["line_type"] in ("purchase", "return")]
    # The queues of products that nobody sent back need not be kept.
    returned = {
        (line["customer_id"], line["stock_code"])
        for line in relevant
        if line["line_type"] == "return"
    }
    for line in sorted(
        (
            line
            for line in relevant
            if (line["customer_id"], line["stock_code"]) in returned
        ),
        key=lambda line: (
            line["invoiced_at"],
            line["line_type"] == "return",
            line["invoice_line_id"],
        ),
    ):
        key = (line["customer_id"], line["stock_code"])
        if line["line_type"] == "purchase":
            queues[key].append((line, line["quantity"]))
            has_bought.add(key)
            continue
        wanted = -line["quantity"]
        queue = queues[key] if line["customer_id"] is not None else deque()
        while wanted and queue:
            purchase, left = queue.popleft()
            taken = min(wanted, left)
            days = (line["invoiced_at"].date() - purchase["invoiced_at"].date()).days
            allocations.append(_allocation(line, taken, purchase=purchase, days=days))
            wanted -= taken
            if left > taken:
                queue.appendleft((purchase, left - taken))
        if wanted:
            if line["customer_id"] is None:
                reason = "guest_return"
            elif key in has_bought:
                reason = "more_than_purchased"
            else:
                reason = "no_earlier_purchase"
            allocations.append(_allocation(line, wanted, reason=reason))
    return allocations


def count_orders(
    lines: Iterable[Row], allocations: Iterable[Allocation], *, purchase_basis: str
) -> dict[tuple[str, str], Order]:
    """Find the invoices that count as purchases, per customer and invoice number."""
    returned_units: Counter[str] = Counter()
    returned_money: dict[str, Decimal] = defaultdict(Decimal)
    for allocation in allocations:
        if allocation.purchase_id is not None:
            returned_units[allocation.purchase_id] += allocation.quantity
            returned_money[allocation.purchase_id] += allocation.amount
    kept_units: Counter[tuple[str, str]] = Counter()
    kept_money: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
    first_seen: dict[tuple[str, str], datetime] = {}
    for line in lines:
        if line["customer_id"] is None or line["quantity"] <= 0:
            continue
        key = (line["customer_id"], line["invoice_number"])
        line_id = line["invoice_line_id"]
        units = line["quantity"]
        amount = line["quantity"] * line["unit_price"]
        if purchase_basis == "net":
            if line["line_type"] != "purchase":
                continue
            units -= returned_units[line_id]
            amount -= returned_money[line_id]
        kept_units[key] += units
        kept_money[key] += amount
        if units:
            first_seen[key] = min(
                first_seen.get(key, line["invoiced_at"]), line["invoiced_at"]
            )
    return {
        key: Order(kept_money[key], units, first_seen[key])
        for key, units in kept_units.items()
        if units > 0
    }


def measure_rfm(
    lines: Sequence[Row], *, purchase_basis: str, as_of_date: date
) -> dict[str, Rfm]:
    """Measure and score every known customer; `lines` are rows of fct_invoice_lines."""
    orders: dict[str, list[Order]] = defaultdict(list)
    counted = count_orders(
        lines, allocate_returns(lines), purchase_basis=purchase_basis
    )
    for (customer, _), order in counted.items():
        orders[customer].append(order)
    buyers = {line["customer_id"] for line in lines if line["line_type"] == "purchase"}

    recency: dict[str, int] = {}
    frequency: dict[str, int] = {}
    value: dict[str, Decimal] = {}
    reasons: dict[str, str | None] = {}
    for customer in {line["customer_id"] for line in lines} - {None}:
        frequency[customer] = len(orders[customer])
        value[customer] = sum((order.amount for order in orders[customer]), Decimal(0))
        if orders[customer]:
            last = max(order.ordered_at for order in orders[customer])
            recency[customer] = (as_of_date - last.date()).days
            reasons[customer] = None if value[customer] > 0 else "no_amount_kept"
        else:
            reasons[customer] = (
                "everything_returned" if customer in buyers else "never_purchased"
            )

    scored = sorted(customer for customer, reason in reasons.items() if reason is None)
    scores = zip(
        score([-recency[customer] for customer in scored]),
        score([frequency[customer] for customer in scored]),
        score([value[customer] for customer in scored]),
        strict=True,
    )
    scores_by_customer = dict(zip(scored, scores, strict=True))
    return {
        customer: Rfm(
            recency.get(customer),
            frequency[customer],
            value[customer],
            scores_by_customer.get(customer),
            reason,
        )
        for customer, reason in reasons.items()
    }


def measure_habits(
    lines: Sequence[Row], *, purchase_basis: str, as_of_date: date
) -> dict[str, Habits]:
    """Measure how every known customer buys; `lines` are rows of fct_invoice_lines."""
    allocations = allocate_returns(lines)
    orders: dict[str, list[Order]] = defaultdict(list)
    counted = count_orders(lines, allocations, purchase_basis=purchase_basis)
    for (customer, _), order in counted.items():
        orders[customer].append(order)
    customers = {line["invoice_line_id"]: line["customer_id"] for line in lines}
    refunds: dict[str, Decimal] = defaultdict(Decimal)
    for allocation in allocations:
        if allocation.purchase_id is not None:
            refunds[customers[allocation.return_id]] += allocation.amount
    own_lines: dict[str, list[Row]] = defaultdict(list)
    for line in lines:
        if line["customer_id"] is not None:
            own_lines[line["customer_id"]].append(line)

    habits = {}
    for customer, own in own_lines.items():
        purchases = [line for line in own if line["line_type"] == "purchase"]
        counting = (
            purchases
            if purchase_basis == "net"
            else [line for line in own if line["quantity"] > 0]
        )
        spent = sum(
            (line["quantity"] * line["unit_price"] for line in purchases), Decimal(0)
        )
        rate = Fraction(refunds[customer]) / Fraction(spent) if spent else Fraction(0)
        days = sorted(order.ordered_at.date() for order in orders[customer])
        ages = [(as_of_date - day).days for day in days]
        gaps = [(later - day).days for day, later in pairwise(days)] or ages
        kept = sum((order.amount for order in orders[customer]), Decimal(0))
        units = sum(order.units for order in orders[customer])
        habits[customer] = Habits(
            len({line["stock_code"] for line in counting}),
            max(ages) if ages else None,
            Fraction(sum(gaps), len(gaps)) if gaps else None,
            Fraction(kept) / len(days) if days else None,
            Fraction(units, len(days)) if days else None,
            min(rate, Fraction(1)),
        )
    return habits


def score(values: Sequence[Any]) -> list[int]:
    """Score values from 1 to 5 by percent rank: the share of others that is less."""
    counts = Counter(values)
    less: dict[Any, int] = {}
    passed = 0
    for value in sorted(counts):
        less[value] = passed
        passed += counts[value]
    others = max(len(values) - 1, 1)
    return [min(5, 1 + 5 * Fraction(less[value], others) // 1) for value in values]


def _find_reason(line: Line, *, is_copy: bool, as_of_date: date | None) -> str | None:
    for name in ("line", "quantity", "invoice_date", "unit_price"):
        if getattr(line, f"raw_{name}") is not None:
            return f"unreadable_{name}"
    for name, value in {
        "invoice_number": line.invoice_number,
        "stock_code": line.stock_code,
        "quantity": line.quantity,
        "invoice_date": line.invoiced_at,
        "unit_price": line.unit_price,
    }.items():
        if value is None:
            return f"missing_{name}"
    assert line.invoice_number is not None
    assert line.quantity is not None
    assert line.invoiced_at is not None
    assert line.unit_price is not None
    assert as_of_date is not None
    is_cancellation = line.invoice_number.startswith("C")
    is_free = line.unit_price <= 0
    rules = {
        "amount_out_of_range": line.amount is None,
        "after_as_of_date": line.invoiced_at.date() >= as_of_date,
        "exact_duplicate": is_copy,
        "bad_debt_adjustment": line.invoice_number.startswith("A"),
        "zero_quantity": line.quantity == 0,
        "stock_write_off": line.quantity < 0 and is_free and not is_cancellation,
        "non_positive_price": is_free,
        "positive_cancellation": is_cancellation and line.quantity > 0,
    }
    return next((reason for reason, holds in rules.items() if holds), None)


def _allocation(
    line: Row,
    quantity: int,
    *,
    purchase: Row | None = None,
    days: int | None = None,
    reason: str | None = None,
) -> Allocation:
    return Allocation(
        line["invoice_line_id"],
        None if purchase is None else purchase["invoice_line_id"],
        quantity,
        quantity * line["unit_price"],
        days,
        reason,
    )


def _trimmed(text: str | None) -> str | None:
    return text.strip(" ") or None if text is not None else None


def _upper(text: str | None) -> str | None:
    return None if text is None else text.upper()


def _without_decimals(text: str | None) -> str | None:
    """Read 17850.0, as a spreadsheet hands an id over, as 17850."""
    if text is None or "." not in text:
        return text
    whole, decimals = text.rsplit(".", maxsplit=1)
    if not decimals or set(decimals) != {"0"}:
        return text
    return whole or None


def _raw(delivered: str | None, value: Any, is_readable: bool) -> str | None:
    """Keep what was delivered where it cannot be read."""
    if delivered is not None:
        return delivered
    return str(value) if value is not None and not is_readable else None
