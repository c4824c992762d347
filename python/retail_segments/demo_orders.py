"""Who buys from the demo shop, when, and what: customers, orders and baskets."""

import datetime
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from retail_segments.demo_catalogue import (
    FEE_ITEMS,
    MILLS_PER_PENNY,
    PRODUCT_COUNT,
    Catalogue,
)

IntArray = npt.NDArray[np.int64]

FIRST_DATE = datetime.date(2023, 12, 1)
DAY_COUNT = 374
MINUTES_PER_DAY = 24 * 60
_SUNDAY = 6
# Monday to Sunday; the shop is closed on Saturdays and from 24 December to 3 January.
_WEEKDAY_LEVELS = (1.0, 1.05, 1.05, 1.15, 0.9, 0.0, 0.55)
_HOLIDAYS = slice(23, 34)
# From December 2023 to December 2024.
_MONTH_LEVELS = (1.5, 0.8, 0.8, 0.85, 0.8, 0.95, 0.95, 0.95, 1.1, 1.5, 1.7, 2.1, 1.8)

# Where an invoice comes from; every kind of entry is an origin of its own.
ORDERS, GUEST_ORDERS, RETURNS, GUEST_RETURNS, STOCK, BAD_DEBT, ENTRIES = range(7)
# Within a block the invoices of an origin are numbered from a multiple of this.
INVOICES_PER_ORIGIN = 100_000
GUEST = 0

LINE_KINDS = (
    "purchase",
    "guest_purchase",
    "return",
    "guest_return",
    "fee",
    "discount",
    "sample",
    "voucher",
    "write_off",
    "stock_found",
    "free_goods",
    "zero_quantity",
    "bad_debt",
)
KIND_IDS = {name: number for number, name in enumerate(LINE_KINDS)}

_HOME = "United Kingdom"
# Customers abroad, in proportion; the shares follow no real shop.
_ABROAD = {
    "Germany": 95, "France": 87, "Spain": 30, "Belgium": 25, "Switzerland": 21,
    "Portugal": 19, "Italy": 14, "Finland": 12, "Austria": 11, "Norway": 10,
    "Netherlands": 10, "EIRE": 9, "Australia": 9, "Denmark": 9, "Channel Islands": 9,
    "Sweden": 8, "Japan": 8, "Poland": 6, "USA": 4, "Greece": 4, "Unspecified": 5,
    "Canada": 4, "Malta": 2, "Iceland": 1,
}  # fmt: skip
COUNTRIES = (_HOME, *_ABROAD)
_HOME_ID, _EIRE_ID = 0, COUNTRIES.index("EIRE")

# Goods are sold in packs of these many.
_PACKS = np.array([
    1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 30, 36, 48, 60, 72, 96, 120, 144, 192, 240,
    288, 360, 480, 600, 720, 960, 1200, 1440,
])  # fmt: skip
_LARGE_LOT = 48


@dataclass(frozen=True)
class Archetype:
    """How one kind of customer buys.

    Attributes
    ----------
    name : str
        Name in the truth.
    share : float
        Share of all customers.
    first_days : tuple of int
        First and last day on which the first order may fall, in days since the
        first day of the data.
    stay_days : float
        Mean of the exponential time from the first order until the customer stops.
    repeat_orders, repeat_shape : float
        Mean and shape of the gamma distribution of the expected further orders.
    basket_lines : float
        Median number of lines in an order.
    pack_size : float
        Median of the customer's usual number of units of an article at 2.50.
    """

    name: str
    share: float
    first_days: tuple[int, int]
    stay_days: float
    repeat_orders: float
    repeat_shape: float
    basket_lines: float
    pack_size: float


# The archetypes overlap as real customers do: K-Means with four clusters on
# standardised log1p of recency, frequency and monetary value finds them again with an
# adjusted Rand index of about 0.6.
ARCHETYPES = (
    Archetype("loyal_wholesaler", 0.19, (0, 60), 4000.0, 11.5, 2.5, 17.0, 5.7),
    Archetype("regular", 0.27, (0, 300), 550.0, 3.8, 5.0, 16.0, 4.4),
    Archetype("newcomer", 0.21, (315, 373), 200.0, 0.5, 1.0, 11.0, 2.9),
    Archetype("lapsed", 0.33, (0, 255), 20.0, 0.5, 1.0, 11.0, 2.9),
)
ARCHETYPE_NAMES = tuple(archetype.name for archetype in ARCHETYPES)
# Of the lapsed, these have no order in the data and only bring back older goods.
_RETURNS_ONLY_SHARE = 0.02
# Of all, these buy for a chain of shops: more often, and more at a time.
_CHAIN_SHARE = 0.004


def scaled(per_customer: float, customer_count: int) -> int:
    """Return how many rare things a block has: in proportion, at least one."""
    return max(1, round(per_customer * customer_count))


def make_invoices(
    origin: int,
    minutes: IntArray,
    *,
    prefix: str = "",
    customer_id: Any = GUEST,
    country_id: Any = _HOME_ID,
) -> pd.DataFrame:
    """Return one invoice per minute given, numbered from `origin` within the block."""
    return pd.DataFrame(
        {
            "invoice_key": origin * INVOICES_PER_ORIGIN + np.arange(len(minutes)),
            "minute": minutes,
            "prefix": prefix,
            "customer_id": customer_id,
            "country_id": country_id,
        }
    )


def make_lines(
    invoice_key: Any, item: Any, *, quantity: Any, price_mills: Any, kind: str
) -> pd.DataFrame:
    """Return lines of one kind; the first column given must be an array."""
    return pd.DataFrame(
        {
            "invoice_key": invoice_key,
            "item": item,
            "quantity": quantity,
            "price_mills": price_mills,
            "kind_id": KIND_IDS[kind],
        }
    )


def _day_weights() -> npt.NDArray[np.float64]:
    """Return how busy each day is; 0 where the shop is closed."""
    dates = [FIRST_DATE + datetime.timedelta(days=day) for day in range(DAY_COUNT)]
    months = [12 * (date.year - FIRST_DATE.year) + date.month - 12 for date in dates]
    weights = np.array(
        [
            _MONTH_LEVELS[month] * _WEEKDAY_LEVELS[date.weekday()]
            for date, month in zip(dates, months, strict=True)
        ]
    )
    weights[_HOLIDAYS] = 0
    return weights


# Trade done before each day: drawing evenly along it draws days by how busy they are.
_TRADE_BEFORE = np.append(0.0, _day_weights().cumsum())
_NEXT_OPEN_DAYS = np.append(np.flatnonzero(_day_weights()), DAY_COUNT)


def draw_days(rng: np.random.Generator, first: IntArray, last: IntArray) -> IntArray:
    """Draw an open day from each range of days, busy days more often."""
    low, high = _TRADE_BEFORE[first], _TRADE_BEFORE[last + 1]
    trade = low + rng.random(len(first)) * (high - low)
    days: IntArray = np.searchsorted(_TRADE_BEFORE, trade, "right") - 1
    return days


def draw_minutes(rng: np.random.Generator, days: IntArray) -> IntArray:
    """Draw a minute within the opening hours of each day."""
    is_sunday = (days + FIRST_DATE.weekday()) % 7 == _SUNDAY
    opening = np.where(is_sunday, 10 * 60, 7 * 60)
    closing = np.where(is_sunday, 16 * 60, 20 * 60)
    clock = rng.triangular(opening, 12.5 * 60, closing)
    return days * MINUTES_PER_DAY + clock.astype(np.int64)


def draw_any_minutes(rng: np.random.Generator, size: int) -> IntArray:
    """Draw minutes of trade from the whole time of the data."""
    first = np.zeros(size, dtype=np.int64)
    return draw_minutes(rng, draw_days(rng, first, first + DAY_COUNT - 1))


def draw_later_minutes(
    rng: np.random.Generator, minutes: IntArray, *, same_day_share: float
) -> IntArray:
    """Draw a later minute for each; one beyond the last day is after the data ends."""
    days = minutes // MINUTES_PER_DAY
    waits = np.ceil(rng.lognormal(np.log(14), 1.0, len(days))).astype(np.int64)
    position = np.searchsorted(_NEXT_OPEN_DAYS, days + waits)
    later_days = _NEXT_OPEN_DAYS[np.minimum(position, len(_NEXT_OPEN_DAYS) - 1)]
    return np.where(
        rng.random(len(days)) < same_day_share,
        minutes + rng.integers(3, 60, len(days)),
        draw_minutes(rng, later_days),
    )


def draw_customers(
    rng: np.random.Generator, count: int, first_customer_id: int
) -> pd.DataFrame:
    """Draw who the customers are.

    Parameters
    ----------
    rng : Generator
        Source of every choice.
    count : int
        Number of customers.
    first_customer_id : int
        Number of the first; the others follow.

    Returns
    -------
    DataFrame
        ``customer_id``, ``archetype_id``, first and last day of buying,
        ``order_count``, habits (``basket_lines``, ``pack_size``), ``country_id`` and
        the ``second_country_id`` that the few who move use every other time.
    """
    archetype_id = rng.choice(
        len(ARCHETYPES), count, p=[archetype.share for archetype in ARCHETYPES]
    )

    def trait(name: str) -> Any:
        return np.array([getattr(kind, name) for kind in ARCHETYPES])[archetype_id]

    first_range = trait("first_days")
    first_day = draw_days(rng, first_range[:, 0], first_range[:, 1])
    stay = rng.exponential(trait("stay_days"))
    tendency = rng.gamma(trait("repeat_shape")) / trait("repeat_shape")
    bulk = np.where(rng.random(count) < _CHAIN_SHARE, 4.0, 1.0)
    repeats = rng.poisson(bulk * tendency * trait("repeat_orders"))
    has_orders = (ARCHETYPE_NAMES.index("lapsed") != archetype_id) | (
        rng.random(count) >= _RETURNS_ONLY_SHARE
    )
    # A block without any order would leave later steps nothing to draw from.
    has_orders[0] = True
    country_id = _draw_countries(rng, count, home_share=0.905)
    customers = pd.DataFrame(
        {
            "customer_id": first_customer_id + np.arange(count),
            "archetype_id": archetype_id,
            "first_day": first_day,
            "last_day": np.minimum(first_day + stay, DAY_COUNT - 1).astype(np.int64),
            "order_count": np.where(has_orders, 1 + repeats, 0),
            "basket_lines": trait("basket_lines") * rng.lognormal(0, 0.4, count),
            "pack_size": trait("pack_size") * bulk * rng.lognormal(0, 0.4, count),
            "country_id": country_id,
            "second_country_id": country_id,
        }
    )
    several = np.flatnonzero(customers["order_count"] >= 2)
    movers = rng.permutation(several)[: scaled(0.002, count)]
    elsewhere = (country_id[movers] + 1) % len(COUNTRIES)
    customers.loc[movers, "second_country_id"] = elsewhere
    return customers


def _draw_countries(
    rng: np.random.Generator, size: int, *, home_share: float
) -> IntArray:
    """Draw countries, the home country with the given probability."""
    shares = np.array(list(_ABROAD.values())) / sum(_ABROAD.values())
    abroad = 1 + rng.choice(len(shares), size, p=shares)
    return np.where(rng.random(size) < home_share, _HOME_ID, abroad)


def draw_orders(rng: np.random.Generator, customers: pd.DataFrame) -> pd.DataFrame:
    """Draw the purchase invoices of known customers, each customer's in time order.

    No customer orders twice in one minute, so that time alone orders their purchases.
    """
    row = np.repeat(np.arange(len(customers)), customers["order_count"])
    is_first = np.append(True, row[1:] != row[:-1])
    first_day = customers["first_day"].to_numpy()[row]
    last_day = np.where(is_first, first_day, customers["last_day"].to_numpy()[row])
    minutes = draw_minutes(rng, draw_days(rng, first_day, last_day))

    minutes_in_data = DAY_COUNT * MINUTES_PER_DAY
    row, minutes = np.divmod(
        np.unique(row * minutes_in_data + minutes), minutes_in_data
    )
    buyer = customers.iloc[row]
    is_odd = pd.Series(row).groupby(row).cumcount().to_numpy() % 2 == 1
    return make_invoices(
        ORDERS,
        minutes,
        customer_id=buyer["customer_id"].to_numpy(),
        country_id=np.where(is_odd, buyer["second_country_id"], buyer["country_id"]),
    ).assign(customer_row=row)


def fill_baskets(
    catalogue: Catalogue,
    rng: np.random.Generator,
    customers: pd.DataFrame,
    orders: pd.DataFrame,
) -> pd.DataFrame:
    """Draw what known customers bought, at list price or 15 % below for large lots."""
    buyer = customers.iloc[orders["customer_row"]]
    scatter = rng.lognormal(0, 0.7, len(buyer))
    sizes = np.clip(np.rint(buyer["basket_lines"].to_numpy() * scatter), 1, 300)
    favourites = catalogue.draw(rng, 30 * len(customers)).reshape(-1, 30)
    basket, item = _draw_baskets(
        catalogue, rng, sizes.astype(np.int64), favourites[orders["customer_row"]]
    )
    price_mills = catalogue.items["price_mills"].to_numpy()[item]
    pack_size = buyer["pack_size"].to_numpy()[basket]
    quantity = draw_quantities(rng, price_mills, pack_size)
    lot_price = price_mills * 85 // (100 * MILLS_PER_PENNY) * MILLS_PER_PENNY
    return make_lines(
        orders["invoice_key"].to_numpy()[basket],
        item,
        quantity=quantity,
        price_mills=np.where(quantity >= _LARGE_LOT, lot_price, price_mills),
        kind="purchase",
    )


def _draw_baskets(
    catalogue: Catalogue,
    rng: np.random.Generator,
    sizes: IntArray,
    favourites: IntArray | None = None,
) -> tuple[IntArray, IntArray]:
    """Draw distinct products for each basket, then the partners of planted pairs.

    `favourites` has one row of products per basket, from which a third of the draws
    come. Returns the basket and the product of every line.
    """
    basket = np.repeat(np.arange(len(sizes)), sizes)
    item = catalogue.draw(rng, len(basket))
    if favourites is not None:
        pick = rng.integers(0, favourites.shape[1], len(basket))
        is_favourite = rng.random(len(basket)) < 1 / 3
        item = np.where(is_favourite, favourites[basket, pick], item)
    basket, item = keep_distinct(basket, item)

    pairs = catalogue.pairs
    probability, partner = np.zeros(PRODUCT_COUNT), np.zeros(PRODUCT_COUNT, np.int64)
    probability[pairs["antecedent"]] = pairs["probability"]
    partner[pairs["antecedent"]] = pairs["consequent"]
    is_paired = rng.random(len(item)) < probability[item]
    return keep_distinct(
        np.append(basket, basket[is_paired]), np.append(item, partner[item[is_paired]])
    )


def keep_distinct(basket: IntArray, item: IntArray) -> tuple[IntArray, IntArray]:
    """Keep the first line of every product in a basket, in the order given."""
    _, first = np.unique(basket * PRODUCT_COUNT + item, return_index=True)
    first.sort()
    return basket[first], item[first]


def draw_quantities(
    rng: np.random.Generator, price_mills: IntArray, pack_size: Any
) -> IntArray:
    """Draw units per line; cheaper things go in larger packs."""
    affordable = (2_500 / price_mills) ** 0.6
    units = pack_size * affordable * rng.lognormal(0, 0.8, len(price_mills))
    pack = np.minimum(np.searchsorted(_PACKS, units), len(_PACKS) - 1)
    quantities: IntArray = _PACKS[pack]
    return quantities


def guest_prices(catalogue: Catalogue, item: IntArray) -> IntArray:
    """Return what guests pay: two thirds above the list price, in whole pennies."""
    pennies = catalogue.items["price_mills"].to_numpy()[item] // MILLS_PER_PENNY
    return (pennies * 5 // 3) * MILLS_PER_PENNY


def sell_to_guests(
    catalogue: Catalogue, rng: np.random.Generator, customer_count: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw the invoices of guests: fewer, with far more lines of far fewer units."""
    count = scaled(0.36, customer_count)
    invoices = make_invoices(
        GUEST_ORDERS,
        draw_any_minutes(rng, count),
        country_id=_draw_countries(rng, count, home_share=0.97),
    )
    sizes = np.clip(np.rint(rng.lognormal(np.log(58), 1.0, count)), 1, 700)
    basket, item = _draw_baskets(catalogue, rng, sizes.astype(np.int64))
    key = invoices["invoice_key"].to_numpy()
    price_mills = guest_prices(catalogue, item)
    goods = make_lines(
        key[basket],
        item,
        quantity=draw_quantities(rng, price_mills, 1.2),
        price_mills=price_mills,
        kind="guest_purchase",
    )
    posted = key[rng.random(count) < 0.35]
    postage = make_lines(
        posted,
        FEE_ITEMS["DOT"],
        quantity=1,
        price_mills=draw_fees(rng, len(posted), 15_000),
        kind="fee",
    )
    vouchers = make_lines(
        rng.permutation(key)[: scaled(0.008, customer_count)],
        FEE_ITEMS["gift_0001_20"],
        quantity=1,
        price_mills=2_000 * MILLS_PER_PENNY,
        kind="voucher",
    )
    return invoices, pd.concat([goods, postage, vouchers], ignore_index=True)


def draw_fees(rng: np.random.Generator, size: int, typical_pennies: float) -> IntArray:
    """Draw amounts of money in whole pennies around a typical one."""
    pennies = np.ceil(rng.lognormal(np.log(typical_pennies), 0.7, size))
    return pennies.astype(np.int64) * MILLS_PER_PENNY


def charge_carriage(rng: np.random.Generator, orders: pd.DataFrame) -> pd.DataFrame:
    """Draw postage on orders from abroad, carriage to Ireland, and manual entries."""
    country_id = orders["country_id"].to_numpy()
    chance = rng.random(len(orders))
    key = orders["invoice_key"].to_numpy()
    is_foreign = (country_id != _HOME_ID) & (country_id != _EIRE_ID)
    posted = key[is_foreign & (chance < 0.6)]
    carried = key[(country_id == _EIRE_ID) & (chance < 0.4)]
    entered = key[chance > 0.985]
    charges = [
        make_lines(
            posted,
            FEE_ITEMS["POST"],
            quantity=rng.integers(1, 5, len(posted)),
            price_mills=1_800 * MILLS_PER_PENNY,
            kind="fee",
        ),
        make_lines(
            carried,
            FEE_ITEMS["C2"],
            quantity=1,
            price_mills=5_000 * MILLS_PER_PENNY,
            kind="fee",
        ),
        make_lines(
            entered,
            FEE_ITEMS["M"],
            quantity=1,
            price_mills=draw_fees(rng, len(entered), 1_200),
            kind="fee",
        ),
    ]
    return pd.concat(charges, ignore_index=True)
