"""Find what is bought together in threes and fours, where pairs are known already."""

from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from mlxtend.frequent_patterns import fpgrowth

ItemSet = frozenset[str]
LARGEST_SET = 4


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


def find_larger_sets(
    items: pd.DataFrame, *, smallest_count: int
) -> Mapping[ItemSet, tuple[int, int]]:
    """Count the frequent sets of three or four products, by FP-growth [1]_.

    Parameters
    ----------
    items : DataFrame
        One row per basket x product: ``basket_number``, ``stock_code``,
        ``is_first_half``, of the products that a larger set can have.
    smallest_count : int
        Number of baskets from which on a set is frequent.

    Returns
    -------
    mapping of frozenset of str to (int, int)
        For each set the number of baskets with all of it, and how many of them are
        in the first half of the time; sets in sorted order.

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
    ...         "is_first_half": [True] * 3 + [False] * 5,
    ...     }
    ... )
    >>> [
    ...     (sorted(products), counts)
    ...     for products, counts in find_larger_sets(items, smallest_count=2).items()
    ... ]
    [(['A', 'B', 'C'], (2, 1))]
    """
    if smallest_count < 1:
        raise ValueError(f"a set is frequent from 1 basket on, not {smallest_count}")
    sizes = items.groupby("basket_number")["stock_code"].transform("size")
    items = items[sizes >= 3]
    baskets, rows = np.unique(items["basket_number"], return_inverse=True)
    products, columns = np.unique(items["stock_code"], return_inverse=True)
    if len(baskets) < smallest_count:
        return {}
    has: npt.NDArray[np.bool_] = np.zeros((len(baskets), len(products)), dtype="bool")
    has[rows, columns] = True
    is_first_half = np.zeros(len(baskets), dtype="bool")
    is_first_half[rows] = items["is_first_half"].to_numpy(dtype="bool")

    # Half a basket less, so that the share times the baskets does not round to one more.
    found = fpgrowth(
        pd.DataFrame(has),
        min_support=(smallest_count - 0.5) / len(baskets),
        max_len=LARGEST_SET,
    )
    counts: dict[ItemSet, tuple[int, int]] = {}
    for columns_of_set in sorted(sorted(s) for s in found["itemsets"] if len(s) >= 3):
        is_in = has[:, columns_of_set].all(axis=1)
        counts[frozenset(products[columns_of_set].tolist())] = (
            int(is_in.sum()),
            int((is_in & is_first_half).sum()),
        )
    return counts
