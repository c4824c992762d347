"""The made-up goods of the demo shop: codes, names, prices, popularity and pairs."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Ids = npt.NDArray[np.int64]

PRODUCT_COUNT = 3_500
FAMILY_COUNT = 160
ODD_CODE_COUNT = 15
PAIR_COUNT = 20
RENAMED_SHARE = 0.15

# Money is held in whole mills, tenths of a penny, until it is written: sums and
# comparisons of lines are then exact.
MILLS_PER_PENNY = 10

_COLOURS = (
    "SAGE", "CORAL", "INDIGO", "MUSTARD", "TEAL", "PLUM", "OCHRE", "PEWTER", "APRICOT",
    "CHARCOAL", "MOSS", "RUSSET", "SKY", "BLUSH", "COBALT", "OATMEAL",
)  # fmt: skip
_PATTERNS = (
    "BRAMBLE", "OTTER", "HARBOUR", "MEADOWLARK", "FERN", "PEBBLE", "THISTLE", "ACORN",
    "HEDGEROW", "LIGHTHOUSE", "KINGFISHER", "CLOVER", "PUFFIN", "CRESCENT", "MOONBEAM",
    "MARIGOLD", "SQUIRREL", "ORCHARD", "SEASHELL", "TOADSTOOL",
)  # fmt: skip
_MATERIALS = (
    "ENAMEL", "LINEN", "BEECHWOOD", "STONEWARE", "WICKER", "BRASS", "FELT", "COTTON",
    "SLATE", "GLASS", "BAMBOO", "PAPER", "CANVAS", "TERRACOTTA", "WOOL", "CORK",
)  # fmt: skip
_OBJECTS = (
    "PICNIC LANTERN", "EGG BASKET", "TEA CADDY", "COAT PEG", "NAPKIN RING", "SEED POT",
    "LETTER RACK", "OVEN MITT", "BREAD BIN", "DOOR WEDGE", "PENCIL ROLL", "PLANT LABEL",
    "KEY BOWL", "TOAST RACK", "JAM SPOON", "CANDLE DISH", "STRING DISPENSER",
    "RECIPE FOLDER", "BIRD FEEDER", "CUSHION PAD", "PICTURE LEDGE", "TABLE RUNNER",
    "SHOPPING TOTE", "TRINKET DRAWER", "MIXING JUG", "HOT WATER COVER", "PAN STAND",
    "WALL HOOK", "BUTTON JAR", "GIFT TAG SET", "CARD PUZZLE", "BISCUIT CUTTER",
    "WRITING SET", "STAR GARLAND", "WINDOW CHARM", "LUNCH POUCH", "DRINKS TRAY",
    "COASTER STACK", "TOY CHEST", "SEWING KIT", "BATH CRATE", "SOAP REST",
    "BOOT SCRAPER", "GARDEN TWINE TIN", "LADDER SHELF", "MEMO CLIP", "CAKE PLINTH",
    "SPICE RACK", "UMBRELLA TUB", "PARTY STREAMER", "FOLDING STOOL", "SALT PIG",
    "NIGHT LAMP", "WASH BAG", "PHOTO TREE", "TIDY BUCKET",
)  # fmt: skip

# Codes that are booked like goods and are none, with the words the shop uses for them.
FEES = {
    "POST": "POSTAGE",
    "DOT": "WEB ORDER POSTAGE",
    "C2": "CARRIAGE",
    "M": "Manual",
    "D": "Discount",
    "S": "Samples",
    "B": "Adjust bad debt",
    "BANK CHARGES": "Bank charges",
    "AMAZONFEE": "Marketplace fee",
    "CRUK": "Charity donation",
    "gift_0001_20": "Gift voucher 20.00",
}

FEE_ITEMS = {code: PRODUCT_COUNT + rank for rank, code in enumerate(FEES)}

# What a clerk types instead of a name; None is a description left empty.
NOTES = (None, "?", "damaged", "lost", "wet cartons", "cannot find", "found", "recount")
MISSING, QUESTION_MARK = 0, 1
WRITE_OFF_NOTES = (0, 1, 2, 3, 4, 5, 7)
FOUND_NOTES = (0, 6, 7)

DESCRIPTION_DIRT = ("clean", "lower_case", "trailing_spaces", "double_space")
LOWER_CASE, TRAILING_SPACES, DOUBLE_SPACE = 1, 2, 3


@dataclass(frozen=True)
class Catalogue:
    """What the demo shop sells and how it writes it down.

    Attributes
    ----------
    items : DataFrame
        One row per stock code, products first, then fees, in the order of their item
        number: ``stock_code``, ``name``, ``later_name`` (equal to `name` where the
        product is never renamed), ``price_mills``, ``renamed_day`` (days since the
        first day, beyond the last one where never renamed).
    popularity : ndarray of float
        Cumulative share of all draws up to each product, ending at 1.
    pairs : DataFrame
        One row per planted pair: item numbers ``antecedent`` and ``consequent``, and
        the ``probability`` that a basket with the first gets the second for its sake.
    """

    items: pd.DataFrame
    popularity: npt.NDArray[np.float64]
    pairs: pd.DataFrame

    def draw(self, rng: np.random.Generator, size: int) -> npt.NDArray[np.int64]:
        """Draw `size` products by popularity, with repetitions."""
        return np.searchsorted(self.popularity, rng.random(size), "right")

    def codes(self) -> pd.DataFrame:
        """Return every stock code twice: as listed, and in lower case."""
        listed = pd.DataFrame(
            {
                "item": self.items.index,
                "is_lower_case": False,
                "stock_code": self.items["stock_code"],
            }
        )
        lowered = listed.assign(
            is_lower_case=True, stock_code=listed["stock_code"].str.lower()
        )
        return pd.concat([listed, lowered], ignore_index=True)

    def descriptions(self) -> pd.DataFrame:
        """Return the text of every description, by ``description_id``.

        The texts of item i with dirt d are 8 i + d for its name and 8 i + 4 + d for
        its later name; the notes follow from `first_note_id`.
        """
        texts: list[str | None] = []
        for name, later_name in zip(
            self.items["name"], self.items["later_name"], strict=True
        ):
            for text in (name, later_name):
                texts += [text, text.lower(), f"{text}  ", text.replace(" ", "  ", 1)]
        texts += NOTES
        return pd.DataFrame({"description_id": range(len(texts)), "description": texts})

    def description_ids(self, item: Ids, is_renamed: npt.NDArray[np.bool_]) -> Ids:
        """Return the number of each item's clean description."""
        return (2 * item + is_renamed) * len(DESCRIPTION_DIRT)

    @property
    def first_note_id(self) -> int:
        """Number of the first of the `NOTES` among the descriptions."""
        return 2 * len(self.items) * len(DESCRIPTION_DIRT)


def make_catalogue(rng: np.random.Generator) -> Catalogue:
    """Make up a catalogue of gift-ware.

    Parameters
    ----------
    rng : Generator
        Source of every choice; the same state gives the same catalogue.

    Returns
    -------
    Catalogue
        `PRODUCT_COUNT` products and the fees, with `PAIR_COUNT` planted pairs.

    Examples
    --------
    >>> catalogue = make_catalogue(np.random.default_rng(7))
    >>> len(catalogue.items), catalogue.items["stock_code"].is_unique
    (3511, True)
    """
    products = _make_products(rng)
    fees = pd.DataFrame({"stock_code": list(FEES), "name": list(FEES.values())})
    fees = fees.assign(
        later_name=fees["name"], price_mills=0, renamed_day=np.iinfo(np.int32).max
    )
    items = pd.concat([products, fees], ignore_index=True)

    # Flat at the top and long in the tail: the best seller is in about a tenth of the
    # baskets, as in real gift-ware shops.
    weights = (np.arange(PRODUCT_COUNT) + 15.0) ** -0.85
    by_rank = rng.permutation(PRODUCT_COUNT)
    popularity = np.empty(PRODUCT_COUNT)
    popularity[by_rank] = weights / weights.sum()
    cumulative = popularity.cumsum()
    cumulative[-1] = 1.0

    # Antecedents sell well enough for their pair to reach a support of one percent;
    # nobody is in two pairs, so that no pair is the echo of two others.
    best_sellers = rng.permutation(by_rank[5:65])[: 2 * PAIR_COUNT]
    pairs = pd.DataFrame(
        {
            "antecedent": best_sellers[:PAIR_COUNT],
            "consequent": best_sellers[PAIR_COUNT:],
            "probability": rng.integers(50, 71, PAIR_COUNT) / 100,
        }
    )
    return Catalogue(items=items, popularity=cumulative, pairs=pairs)


def _make_products(rng: np.random.Generator) -> pd.DataFrame:
    """Make up codes, names and prices of the products."""
    codes, names, later_names, families = _name_products(rng)
    family_prices = rng.lognormal(np.log(2.3), 0.75, families.max() + 1)
    # Prices end in 5 or 9 pence, none below 15.
    pennies = np.maximum(5 * np.rint(family_prices[families] * 20), 15)
    pennies -= (pennies % 10 == 0) & (rng.random(families.max() + 1)[families] < 0.7)
    is_renamed = rng.random(PRODUCT_COUNT) < RENAMED_SHARE
    renamed_day = np.where(
        is_renamed, rng.integers(200, 330, PRODUCT_COUNT), np.iinfo(np.int32).max
    )
    return pd.DataFrame(
        {
            "stock_code": codes,
            "name": names,
            "later_name": np.where(is_renamed, later_names, names),
            "price_mills": pennies.astype(np.int64) * MILLS_PER_PENNY,
            "renamed_day": renamed_day,
        }
    )


def _name_products(
    rng: np.random.Generator,
) -> tuple[list[str], list[str], list[str], npt.NDArray[np.int64]]:
    """Draw names without repetition, and codes that colour variants share.

    Returns codes, names, later names and the number of each product's family, which
    is a family of one for most.
    """
    wares = rng.permutation(len(_MATERIALS) * len(_OBJECTS))
    styles = _COLOURS + _PATTERNS
    designs: list[tuple[int, int, int, str]] = []
    for family, ware in enumerate(wares[:FAMILY_COUNT]):
        colours = rng.permutation(len(_COLOURS))[: rng.integers(2, 5)]
        designs += [
            (family, int(ware), int(colour), letter)
            for colour, letter in zip(colours, "ABCD", strict=False)
        ]
    singles = rng.choice(
        (len(wares) - FAMILY_COUNT) * len(styles),
        PRODUCT_COUNT - len(designs),
        replace=False,
    )
    for number, single in enumerate(singles, start=FAMILY_COUNT):
        ware, style = divmod(int(single), len(styles))
        designs.append((number, int(wares[FAMILY_COUNT + ware]), style, ""))

    digits = rng.choice(np.arange(10_000, 100_000), len(designs), replace=False)
    codes, names, later_names = [], [], []
    for position, (family, ware, style, letter) in enumerate(designs):
        material, thing = divmod(ware, len(_OBJECTS))
        made_of = f"{styles[style]} {_MATERIALS[material]}"
        is_odd = position >= PRODUCT_COUNT - ODD_CODE_COUNT
        odd_code = f"GBX{position - PRODUCT_COUNT + ODD_CODE_COUNT + 1:04d}"
        codes.append(odd_code if is_odd else f"{digits[family]}{letter}")
        names.append(f"{made_of} {_OBJECTS[thing]}")
        later_names.append(f"{_OBJECTS[thing]} IN {made_of}")
    return codes, names, later_names, np.array([design[0] for design in designs])
