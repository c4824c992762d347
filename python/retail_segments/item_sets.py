"""Find what is bought together in threes and fours, where pairs are known already."""

from collections.abc import Collection

import numpy as np
import numpy.typing as npt
import pandas as pd

ItemSet = frozenset[str]
LARGEST_SET = 4
# Parts of the time, and which of the cells' two columns, later and first half, each is.
PARTS = {"": [0, 1], "first_half_": [1], "later_half_": [0]}


def products_of_larger_sets(pairs: Collection[ItemSet]) -> list[str]:
    """Name the products that a larger set can have, given all frequent pairs.

    A set is frequent only if all its subsets are [1]_, so each product of a larger one
    is in two frequent pairs at least.

    Parameters
    ----------
    pairs : collection of frozenset of str
        Frequent pairs of products.

    Returns
    -------
    list of str
        Products in two pairs or more, sorted.

    References
    ----------
    .. [1] R. Agrawal and R. Srikant, "Fast algorithms for mining association rules",
       VLDB 1994.

    Examples
    --------
    >>> pairs = [frozenset("AB"), frozenset("AC"), frozenset("BC"), frozenset("CD")]
    >>> products_of_larger_sets(pairs)
    ['A', 'B', 'C']
    """
    products = pd.Series([product for pair in pairs for product in pair], dtype="str")
    counts = products.value_counts()
    return sorted(counts.index[counts >= 2])


def split_larger_sets(
    items: pd.DataFrame, baskets: pd.DataFrame, *, smallest_count: int
) -> pd.DataFrame:
    """Find frequent sets of three and four products, and split them in all ways.

    The sets are found by FP-growth [1]_, as mlxtend has it.

    Parameters
    ----------
    items : DataFrame
        One row per basket x product, of the products that a larger set can have:
        ``basket_number``, ``stock_code``, ``size_class``, ``is_first_half``.
    baskets : DataFrame
        One row per class of sizes x half of the time, of all baskets: ``size_class``,
        ``is_first_half``, ``basket_count``, and their products, ``product_count``.
    smallest_count : int
        Number of baskets from which on a set is frequent.

    Returns
    -------
    DataFrame
        One row per split: ``left`` and ``right`` (tuples of codes, sorted), ``size``
        (products of both), and for the whole time, the first and the later half (with
        a prefix of that name) ``basket_count`` (with both sides),
        ``left_basket_count``, ``right_basket_count``, ``expected_count`` and
        ``most_count`` as int_product_pairs_expected has them.

    Raises
    ------
    ValueError
        If `smallest_count` is below 1.

    References
    ----------
    .. [1] J. Han, J. Pei and Y. Yin, "Mining frequent patterns without candidate
       generation", SIGMOD 2000.

    Examples
    --------
    >>> items = pd.DataFrame(
    ...     {
    ...         "basket_number": [1, 1, 1, 2, 2, 2, 3, 3],
    ...         "stock_code": list("ABCABCAB"),
    ...         "size_class": [7, 7, 7, 7, 7, 7, 4, 4],
    ...         "is_first_half": [True] * 3 + [False] * 5,
    ...     }
    ... )
    >>> baskets = pd.DataFrame(
    ...     {
    ...         "size_class": [7, 7, 4],
    ...         "is_first_half": [True, False, False],
    ...         "basket_count": [1, 1, 1],
    ...         "product_count": [3, 3, 2],
    ...     }
    ... )
    >>> splits = split_larger_sets(items, baskets, smallest_count=2)
    >>> splits[["left", "right", "basket_count", "left_basket_count"]].head(2)
         left   right  basket_count  left_basket_count
    0    (A,)  (B, C)             2                  3
    1  (A, B)    (C,)             2                  3
    """
    if smallest_count < 1:
        raise ValueError(f"a set is frequent from 1 basket on, not {smallest_count}")
    # Imported late: a build that computes nothing need not wait for it.
    from mlxtend.frequent_patterns import association_rules

    counter = _Counter(items, baskets)
    found = counter.frequent_sets(smallest_count)
    if not found:
        return pd.DataFrame()
    splits = association_rules(
        pd.DataFrame({"itemsets": found, "support": 1.0}),
        support_only=True,
        min_threshold=0.0,
    )
    sides = zip(splits["antecedents"], splits["consequents"], strict=True)
    pairs = sorted((tuple(sorted(left)), tuple(sorted(right))) for left, right in sides)
    return pd.DataFrame([counter.measure(left, right) for left, right in pairs])


class _Counter:
    """Counts sets of products in each class of sizes and half of the time."""

    def __init__(self, items: pd.DataFrame, baskets: pd.DataFrame) -> None:
        first = items.drop_duplicates("basket_number").sort_values("basket_number")
        numbers = first["basket_number"].to_numpy()
        columns, codes = pd.factorize(items["stock_code"], sort=True)
        self.products = codes.to_numpy(dtype=object)
        self._columns = {code: place for place, code in enumerate(self.products)}
        self._has = np.zeros((len(numbers), len(self.products)), dtype="bool")
        self._has[np.searchsorted(numbers, items["basket_number"]), columns] = True

        classes, place = np.unique(baskets["size_class"], return_inverse=True)
        self._totals = np.zeros((len(classes), 2))
        half = baskets["is_first_half"].to_numpy(dtype="int64")
        self._totals[place, half] = baskets["basket_count"]
        sizes = np.bincount(place, weights=baskets["product_count"])
        self._sizes = sizes / np.maximum(self._totals.sum(axis=1), 1)
        self._cell = 2 * np.searchsorted(classes, first["size_class"]) + first[
            "is_first_half"
        ].to_numpy(dtype="int64")
        self._known: dict[tuple[str, ...], npt.NDArray[np.float64]] = {}

    def frequent_sets(self, smallest_count: int) -> list[ItemSet]:
        """Find the sets of three products and more."""
        from mlxtend.frequent_patterns import fpgrowth

        has = self._has[self._has.sum(axis=1) >= 3]
        if len(has) < smallest_count:
            return []
        # Half a basket less, so that no rounding of the share asks for one more.
        found = fpgrowth(
            pd.DataFrame(has),
            min_support=(smallest_count - 0.5) / len(has),
            max_len=LARGEST_SET,
        )
        return [
            frozenset(self.products[list(places)])
            for places in found["itemsets"]
            if len(places) >= 3
        ]

    def count(self, codes: tuple[str, ...]) -> npt.NDArray[np.float64]:
        """Count the baskets with all of these: per class, later and first half."""
        if codes not in self._known:
            is_in = self._has[:, [self._columns[code] for code in codes]].all(axis=1)
            cells = np.bincount(self._cell[is_in], minlength=self._totals.size)
            self._known[codes] = cells.reshape(self._totals.shape).astype("float64")
        return self._known[codes]

    def measure(
        self, left: tuple[str, ...], right: tuple[str, ...]
    ) -> dict[str, object]:
        """Count both sides, and what chance would give."""
        both = self.count(tuple(sorted(left + right)))
        # The left side leaves fewer places for the right one than a basket has.
        taken = np.arange(len(right))[:, None]
        room = np.clip(self._sizes - len(left) - taken, 0, None) / np.maximum(
            self._sizes - taken, 1
        )
        row: dict[str, object] = {
            "left": left,
            "right": right,
            "size": len(left) + len(right),
        }
        lefts, rights = self.count(left), self.count(right)
        share = lefts * rights / np.maximum(self._totals, 1)
        expected = room.prod(axis=0)[:, None] * share
        most = np.minimum(lefts, rights)
        for part, halves in PARTS.items():
            row[f"{part}basket_count"] = int(both[:, halves].sum())
            row[f"{part}left_basket_count"] = int(lefts[:, halves].sum())
            row[f"{part}right_basket_count"] = int(rights[:, halves].sum())
            row[f"{part}expected_count"] = round(float(expected[:, halves].sum()), 9)
            row[f"{part}most_count"] = int(most[:, halves].sum())
        return row
