"""Make rules of counted pairs and larger sets, and test each of them against chance."""

import itertools
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from retail_segments.item_sets import split_larger_sets
from retail_segments.product_variants import are_variants
from retail_segments.significance import fisher_p_values, p_values, q_values

# What a rule comes from, apart from the data: modules, and libraries.
METHODS = ("association", "item_sets", "product_variants", "significance")
LIBRARIES = ("mlxtend", "numpy", "pandas", "scipy")
# What the codes and names of a side with several products are joined with.
JOINT = " + "
# Substitutes are bought together this share of the times that chance would have it, or
# less: as int_product_pairs_counted says.
LARGEST_LIFT_APART = 0.5
SMALLEST_COUNT = 5

_SIDES = ["basket_count", "left_basket_count", "right_basket_count", "all_basket_count"]
_CONSTANT = [
    "all_basket_count",
    "first_half_all_basket_count",
    "frequent_count",
    "first_half_frequent_count",
]
_TYPES = {
    "cluster_id": "Int64",
    "antecedent": "str",
    "consequent": "str",
    "antecedent_name": "str",
    "consequent_name": "str",
    "antecedent_count": "int64",
    "consequent_count": "int64",
    "basket_count": "int64",
    "antecedent_basket_count": "int64",
    "consequent_basket_count": "int64",
    "all_basket_count": "int64",
    "expected_basket_count": "float64",
    "lift_in_all": "float64",
    "fisher_p_value": "float64",
    "p_value": "float64",
    "q_value": "float64",
    "is_frequent": "bool",
    "is_bought_apart": "bool",
    "is_replicated": "boolean",
    "is_variant": "bool",
}


@dataclass(frozen=True, kw_only=True)
class RuleSettings:
    """What a rule must reach.

    Attributes
    ----------
    smallest_support : float
        Share of the baskets that hold both sides.
    smallest_confidence : float
        Share of the baskets with the antecedent that hold the consequent.
    significance : float
        Largest q-value of a rule that is taken to be more than chance.
    """

    smallest_support: float = 0.01
    smallest_confidence: float = 0.0
    significance: float = 0.05


def smallest_count(baskets: int, *, smallest_support: float) -> int:
    """Return from how many baskets on something is frequent: never less than five.

    Parameters
    ----------
    baskets : int
        Number of all baskets.
    smallest_support : float
        Share of the baskets.

    Returns
    -------
    int
        Number of baskets.

    Examples
    --------
    >>> smallest_count(18_402, smallest_support=0.01)
    185
    >>> smallest_count(100, smallest_support=0.01)
    5
    """
    # Twelve digits: a share of 0.07 times 100 is a little more than 7 in binary.
    return max(SMALLEST_COUNT, math.ceil(round(baskets * smallest_support, 12)))


def frequent_pairs(pairs: pd.DataFrame) -> list[frozenset[str]]:
    """Return the pairs that are frequent in all baskets together.

    Parameters
    ----------
    pairs : DataFrame
        Rows of int_product_pairs_counted.

    Returns
    -------
    list of frozenset of str
        Two stock codes each.

    Examples
    --------
    >>> pairs = pd.DataFrame(
    ...     {
    ...         "cluster_id": [None, 1],
    ...         "left_stock_code": "A",
    ...         "right_stock_code": ["B", "C"],
    ...         "is_frequent": True,
    ...     }
    ... )
    >>> [sorted(pair) for pair in frequent_pairs(pairs)]
    [['A', 'B']]
    """
    in_all = pairs[pairs["cluster_id"].isna() & pairs["is_frequent"]]
    sides = in_all[["left_stock_code", "right_stock_code"]]
    return [frozenset(pair) for pair in sides.itertuples(index=False)]


def find_rules(
    pairs: pd.DataFrame,
    items: pd.DataFrame,
    baskets: pd.DataFrame,
    products: pd.DataFrame,
    variant_words: pd.DataFrame,
    *,
    settings: RuleSettings,
) -> pd.DataFrame:
    """Find larger sets where pairs are known, and make rules of both.

    Parameters
    ----------
    pairs : DataFrame
        Rows of int_product_pairs_counted with those of int_product_pairs_expected,
        sorted.
    items, baskets : DataFrame
        As `split_larger_sets` takes them.
    products : DataFrame
        ``stock_code`` and ``product_name``.
    variant_words : DataFrame
        Words of colour and size, as ``word``.
    settings : RuleSettings
        What a rule must reach to hold again.

    Returns
    -------
    DataFrame
        As `make_rules` returns it.
    """
    in_all = pairs[pairs["cluster_id"].isna() & pairs["is_frequent"]]
    larger_sets = split_larger_sets(
        items,
        baskets,
        smallest_count=smallest_count(
            int(in_all["all_basket_count"].max()) if len(in_all) else 0,
            smallest_support=settings.smallest_support,
        ),
    )
    return make_rules(
        pairs,
        larger_sets,
        product_names=dict(products.itertuples(index=False)),
        variant_words=set(variant_words["word"]),
        settings=settings,
    )


def make_rules(
    pairs: pd.DataFrame,
    larger_sets: pd.DataFrame,
    *,
    product_names: Mapping[str, str],
    variant_words: Collection[str],
    settings: RuleSettings,
) -> pd.DataFrame:
    """Make a rule of every pair and every split of a larger set, and test it.

    Within each segment and size of set the q-values allow for all rules that its
    frequent products could have made, pairs in both tails. A rule is said to hold again
    only where it was found in the first half of the time by the same measure, by those
    baskets alone.

    Parameters
    ----------
    pairs : DataFrame
        Rows of int_product_pairs_counted with those of int_product_pairs_expected,
        sorted.
    larger_sets : DataFrame
        Splits of sets in all baskets, as `split_larger_sets` returns them.
    product_names : mapping of str to str
        Name of each stock code.
    variant_words : collection of str
        Words of colour and size.
    settings : RuleSettings
        What a rule must reach to hold again.

    Returns
    -------
    DataFrame
        One row per segment (``cluster_id``, missing for all) x ``antecedent`` x
        ``consequent``, sorted by them: names, counts, ``expected_basket_count``,
        ``fisher_p_value``, ``p_value``, ``q_value``, ``is_frequent``,
        ``is_bought_apart`` (the test was whether so few baskets hold both),
        ``is_replicated`` (missing where the first half does not show the rule, or
        within a segment), ``is_variant``. Codes of several products are sorted and
        joined by " + ".

    Examples
    --------
    >>> counts = {"basket_count": 8, "left_basket_count": 8, "right_basket_count": 10}
    >>> pair = {"cluster_id": None, "left_stock_code": "A", "right_stock_code": "B"}
    >>> counts |= {"expected_count": 0.8, "most_count": 8}
    >>> parts = ("", "first_half_", "later_half_")
    >>> pair |= {f"{part}{name}": counts[name] for part in parts for name in counts}
    >>> pair |= {"all_basket_count": 100, "first_half_all_basket_count": 0}
    >>> pair |= {"frequent_count": 2, "first_half_frequent_count": 0, "lift_in_all": 10}
    >>> pair |= {"is_frequent": True, "is_bought_apart": False}
    >>> pair |= {"is_frequent_in_first_half": False}
    >>> rules = make_rules(
    ...     pd.DataFrame([pair]),
    ...     pd.DataFrame(),
    ...     product_names={"A": "CUP", "B": "SAUCER"},
    ...     variant_words=(),
    ...     settings=RuleSettings(),
    ... )
    >>> rules[["antecedent_name", "consequent_name", "basket_count"]]
      antecedent_name consequent_name  basket_count
    0             CUP          SAUCER             8
    1          SAUCER             CUP             8
    """
    rules = pd.concat(
        [_direct(pairs), _add_constants(larger_sets, pairs)], ignore_index=True
    )
    rules = rules.assign(is_replicated=pd.Series(pd.NA, rules.index, "boolean"))
    rules[["p_value", "q_value"]] = np.nan
    for _, group in rules.groupby(["cluster_id", "size"], dropna=False):
        tested = group[group["is_frequent"] | group["is_bought_apart"]]
        p, q = _test(tested, "")
        rules.loc[tested.index, "p_value"] = p
        rules.loc[tested.index, "q_value"] = q
        if group["cluster_id"].isna().all():
            held = _replicate(group, settings)
            rules.loc[held.index, "is_replicated"] = held
    rules = rules[rules["p_value"].notna()]

    names = {
        side: [
            [product_names.get(code, code) for code in codes] for codes in rules[side]
        ]
        for side in ("left", "right")
    }
    return (
        rules.assign(
            antecedent=[JOINT.join(codes) for codes in rules["left"]],
            consequent=[JOINT.join(codes) for codes in rules["right"]],
            antecedent_name=[JOINT.join(side) for side in names["left"]],
            consequent_name=[JOINT.join(side) for side in names["right"]],
            antecedent_count=[len(codes) for codes in rules["left"]],
            consequent_count=[len(codes) for codes in rules["right"]],
            expected_basket_count=rules["expected_count"],
            fisher_p_value=fisher_p_values(
                *(rules[name] for name in _SIDES), apart=rules["is_bought_apart"]
            ),
            antecedent_basket_count=rules["left_basket_count"],
            consequent_basket_count=rules["right_basket_count"],
            is_variant=[
                _has_variants(left + right, left_names + right_names, variant_words)
                for left, right, left_names, right_names in zip(
                    rules["left"], rules["right"], *names.values(), strict=True
                )
            ],
        )[list(_TYPES)]
        .astype(_TYPES)
        .sort_values(
            ["cluster_id", "antecedent", "consequent"],
            na_position="first",
            ignore_index=True,
        )
    )


def _direct(pairs: pd.DataFrame) -> pd.DataFrame:
    """Read every pair in both directions."""
    forward = pairs.assign(
        cluster_id=pairs["cluster_id"].astype("Int64"),
        left=pairs["left_stock_code"].map(_alone),
        right=pairs["right_stock_code"].map(_alone),
        size=2,
    )
    flipped = {
        name: name.replace("left_", "swap_").replace("right_", "left_")
        for name in forward.columns
    } | {"left": "right", "right": "left"}
    backward = forward.rename(columns=flipped)
    backward.columns = backward.columns.str.replace("swap_", "right_")
    return pd.concat([forward, backward[forward.columns]], ignore_index=True)


def _alone(code: str) -> tuple[str]:
    return (code,)


def _add_constants(larger_sets: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Give larger sets what they have in common with the pairs of all baskets."""
    if larger_sets.empty:
        return larger_sets
    in_all = pairs[pairs["cluster_id"].isna()].iloc[0]
    return larger_sets.assign(
        cluster_id=pd.Series(pd.NA, larger_sets.index, "Int64"),
        is_frequent=True,
        is_frequent_in_first_half=True,
        is_bought_apart=False,
        **{name: in_all[name] for name in _CONSTANT},
    )


def _test(
    rules: pd.DataFrame, part: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Test rules of one size, allowing for all that there could have been."""
    if rules.empty:
        return np.empty(0), np.empty(0)
    p = _p_values(rules, part)
    size = int(rules["size"].iloc[0])
    splits = 2**size - 2
    sets = math.comb(int(rules[f"{part}frequent_count"].iloc[0]), size)
    # Pairs are looked at for being bought apart as well.
    tests = sets * splits * (2 if size == 2 else 1)
    return p, q_values(p, tests=max(tests, len(p)))


def _p_values(rules: pd.DataFrame, part: str) -> npt.NDArray[np.float64]:
    counts = (rules[f"{part}{name}_count"] for name in ("basket", "expected", "most"))
    return p_values(*counts, apart=rules["is_bought_apart"])


def _replicate(rules: pd.DataFrame, settings: RuleSettings) -> pd.Series:
    """Say of the rules that the first half shows whether they hold in the later one."""
    tried = rules[rules["is_frequent_in_first_half"] | rules["is_bought_apart"]]
    _, q = _test(tried, "first_half_")
    is_found = _reaches(tried, "first_half_", settings) & (q < settings.significance)
    found = tried[is_found]
    found = found.assign(
        **{
            f"later_half_{name}": found[name] - found[f"first_half_{name}"]
            for name in _SIDES
        }
    )
    p = _p_values(found, "later_half_")
    holds = _reaches(found, "later_half_", settings)
    return (holds & (q_values(p, tests=len(p)) < settings.significance)).astype(
        "boolean"
    )


def _reaches(rules: pd.DataFrame, part: str, settings: RuleSettings) -> pd.Series:
    """Say which rules reach support, confidence and lift in a part of the time."""
    together, left, right, total = (
        rules[f"{part}{name}"].astype("float64") for name in _SIDES
    )
    smallest = total.map(
        lambda baskets: smallest_count(
            int(baskets), smallest_support=settings.smallest_support
        )
    )
    is_often = (
        (together >= smallest)
        & (together >= settings.smallest_confidence * left)
        & (together * total > left * right)
    )
    is_seldom = (together * total <= LARGEST_LIFT_APART * left * right) & (
        left * right > 0
    )
    return is_seldom.where(rules["is_bought_apart"], is_often)


def _has_variants(
    codes: tuple[str, ...], names: list[str], variant_words: Collection[str]
) -> bool:
    return any(
        are_variants(
            (codes[one], codes[other]),
            (names[one], names[other]),
            variant_words=variant_words,
        )
        for one, other in itertools.combinations(range(len(codes)), 2)
    )
