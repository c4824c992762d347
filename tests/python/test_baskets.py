"""What goes together, and what to offer next, counted again in plain Python."""

import datetime
import itertools
import math
import random
from collections import Counter, defaultdict
from fractions import Fraction

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import lists_of
from hypothesis import given, settings
from hypothesis import strategies as st
from mlxtend.frequent_patterns import association_rules, fpgrowth
from retail_segments.association import JOINT, RuleSettings, make_rules, smallest_count
from retail_segments.item_sets import products_of_larger_sets, split_larger_sets
from retail_segments.significance import fisher_p_values, p_values, q_values

START = datetime.datetime(2011, 1, 1, 10)
CODES = ["10001A", "10001B", "20002", "30003", "40004", "50005"]
NAMES = dict(
    zip(CODES, ["CUP", "MUG", "RED BAG", "BLUE  BAG", "CARD", "CLOCK"], strict=True)
)
VARIANTS = [{"10001A", "10001B"}, {"20002", "30003"}]
KEYS = ["cluster_id", "left_stock_code", "right_stock_code"]
CUSTOMERS = {"1": 1, "2": 1, "3": 2, "4": None}
SEGMENTS = {
    "dim_customer_segments": pa.table(
        {
            "customer_id": list(CUSTOMERS),
            "cluster_id": pa.array(CUSTOMERS.values(), pa.int64()),
            "segment_name": ["Best", "Best", "Lost", None],
            "rfm_segment": ["Loyal", "Loyal", "Lost", None],
        }
    ),
    "dim_segments": pa.table(
        {"cluster_id": pa.array([1, 2], pa.int64()), "segment_name": ["Best", "Lost"]}
    ),
}


@pytest.fixture(scope="module")
def wide_models(models):
    """Compile the models for small shops: what is in a tenth of baskets is frequent."""
    return models(basket_smallest_support=0.1, basket_largest_size=5)


def line(number, customer, code, at, **other):
    return {
        "invoice_no": f"{number}",
        "stock_code": code,
        "description": NAMES.get(code, code),
        "quantity": 1,
        "invoice_date": at,
        "unit_price": 1,
        "customer_id": customer,
        "country": "France",
        **other,
    }


def lines_of(baskets):
    """Lay baskets out as lines: each is a customer, a day and products."""
    return [
        line(1000 + number, customer, code, START + datetime.timedelta(days=day))
        for number, (customer, day, codes) in enumerate(baskets)
        for code in sorted(codes)
    ]


def find_rules(models, lines, *, given=None, smallest_support=0.1):
    """Do what ml_product_rules does, over the SQL that dbt compiled."""
    given = {**SEGMENTS, **(given or {})}
    tables = [
        "int_baskets_itemised",
        "int_product_pairs_counted",
        "int_product_pairs_expected",
        "dim_products",
    ]
    models.run_all(tables, lines, given=given)
    rules = rules_with_chances(
        *(models.arrow(table).to_pandas() for table in tables),
        smallest_support=smallest_support,
    )
    return models.run(
        "rpt_product_associations",
        lines,
        given={
            **given,
            "ml_product_rules": pa.Table.from_pandas(rules, preserve_index=False),
        },
    )


def rules_with_chances(items, counted, expected, products, *, smallest_support):
    pairs = counted.sort_values(KEYS).merge(expected, on=KEYS)
    in_all = pairs[pairs["cluster_id"].isna() & pairs["is_frequent"]]
    candidates = products_of_larger_sets(
        [
            frozenset(pair)
            for pair in zip(*(in_all[key] for key in KEYS[1:]), strict=True)
        ]
    )
    items = items[items["is_counted"].astype("bool")]
    baskets = (
        items.drop_duplicates("basket_number")
        .groupby(["size_class", "is_first_half"])["product_count"]
        .agg(basket_count="size", product_count="sum")
        .reset_index()
    )
    return make_rules(
        pairs,
        split_larger_sets(
            items[items["stock_code"].isin(candidates)],
            baskets,
            smallest_count=smallest_count(
                items["basket_number"].nunique(), smallest_support=smallest_support
            ),
        ),
        product_names=dict(
            zip(products["stock_code"], products["product_name"], strict=True)
        ),
        variant_words={"RED", "BLUE"},
        settings=RuleSettings(smallest_support=smallest_support),
    )


def by_rule(rows):
    return {
        (row["cluster_id"], row["antecedent"], row["consequent"]): row for row in rows
    }


def size_class(basket):
    return math.floor(7 * math.log(len(basket)))


class Chance:
    """What chance gives, worked out with fractions from the baskets themselves."""

    def __init__(self, baskets):
        self.baskets = baskets

    def expected(self, left, right):
        """Return the mean and the most baskets, over size classes and halves."""
        classes = {size_class(codes) for _, codes in self.baskets}
        mean, most = Fraction(0), 0
        for wanted in classes:
            members = [
                (first, codes)
                for first, codes in self.baskets
                if size_class(codes) == wanted
            ]
            size = Fraction(sum(len(codes) for _, codes in members), len(members))
            room = Fraction(1)
            for taken in range(len(right)):
                room *= max(size - len(left) - taken, 0) / max(size - taken, 1)
            for half in (True, False):
                within = [codes for first, codes in members if first == half]
                lefts = sum(left <= codes for codes in within)
                rights = sum(right <= codes for codes in within)
                mean += room * lefts * rights / max(len(within), 1)
                most += min(lefts, rights)
        return mean, most


def binomial_tail(together, mean, most, *, apart):
    if not most:
        return 1.0
    share = mean / most
    chosen = range(together + 1) if apart else range(together, most + 1)
    return float(
        sum(
            math.comb(most, k) * share**k * (1 - share) ** (most - k)
            for k in chosen
            if k <= most
        )
    )


def hypergeometric_tail(together, left, right, total, *, apart):
    chosen = range(together + 1) if apart else range(together, min(left, right) + 1)
    return float(
        sum(
            Fraction(
                math.comb(left, k) * math.comb(total - left, right - k),
                math.comb(total, right),
            )
            for k in chosen
            if right - k <= total - left
        )
    )


def plain_q_values(p, tests):
    ranked = sorted(range(len(p)), key=lambda place: p[place])
    found = [1.0] * len(p)
    smallest = 1.0
    for rank in range(len(p), 0, -1):
        place = ranked[rank - 1]
        smallest = min(smallest, p[place] * tests / rank)
        found[place] = smallest
    return found


def frequent_from(baskets, support=Fraction(1, 10)):
    return max(5, math.ceil(support * baskets))


def plain_rules(baskets, *, largest_set):
    """Find all rules of some baskets by trying every set of products."""
    total = len(baskets)
    sets = Counter(
        frozenset(chosen)
        for _, codes in baskets
        for size in range(1, largest_set + 1)
        for chosen in itertools.combinations(sorted(codes), size)
    )
    frequent = {codes for codes, n in sets.items() if n >= frequent_from(total)}
    singles = [codes for codes in frequent if len(codes) == 1]
    chance = Chance(baskets)
    found = {}
    for left, right in itertools.permutations(singles, 2):
        together, one, other = (sets[codes] for codes in (left | right, left, right))
        apart = (
            one * other >= 10 * total
            and 200 * one * other >= total**2
            and 2 * together * total <= one * other
        )
        if left | right in frequent or apart:
            found[left, right] = apart
    for codes in frequent:
        for size in range(1, len(codes)):
            for left in map(frozenset, itertools.combinations(sorted(codes), size)):
                found.setdefault((left, codes - left), False)
    rows = {}
    for (left, right), apart in found.items():
        together, one, other = (sets[codes] for codes in (left | right, left, right))
        mean, most = chance.expected(left, right)
        rows[left, right] = {
            "basket_count": together,
            "antecedent_basket_count": one,
            "consequent_basket_count": other,
            "apart": apart,
            "is_frequent": left | right in frequent,
            "expected": float(mean),
            "p_value": binomial_tail(together, mean, most, apart=apart),
        }
    for size in range(2, largest_set + 1):
        same = [rule for rule in rows if len(rule[0] | rule[1]) == size]
        tests = math.comb(len(singles), size) * (2**size - 2) * (2 if size == 2 else 1)
        found_q = plain_q_values([rows[rule]["p_value"] for rule in same], tests)
        for rule, q in zip(same, found_q, strict=True):
            rows[rule]["q_value"] = q
    return rows


# Products that are often together, rarely together or neither, with all sizes.
BASKETS = lists_of(
    st.tuples(
        st.sampled_from(list(CUSTOMERS)),
        st.integers(0, 19),
        st.sets(st.sampled_from(CODES), min_size=1)
        | st.just({"10001A", "20002", "30003"})
        | st.sampled_from([{"40004"}, {"50005"}]),
    ),
    max_size=90,
)


def halfway(baskets):
    days = [day for _, day, _ in baskets]
    return min(days) + (max(days) + 1 - min(days)) // 2


@settings(max_examples=40)
@given(baskets=BASKETS)
def test_every_rule_is_what_plain_counting_finds(wide_models, baskets):
    rows = find_rules(wide_models, lines_of(baskets))
    found = by_rule(rows)
    kept = [
        (customer, day < halfway(baskets), frozenset(codes))
        for customer, day, codes in baskets
        if len(codes) <= 5
    ]
    expected = set()
    lifts = {}
    for cluster in (None, 1, 2):
        scope = [
            (first, codes)
            for customer, first, codes in kept
            if cluster is None or CUSTOMERS[customer] == cluster
        ]
        total = len(scope)
        plain = plain_rules(scope, largest_set=4 if cluster is None else 2)
        for (left, right), rule in plain.items():
            n, a, c = (
                rule[f"{side}basket_count"]
                for side in ("", "antecedent_", "consequent_")
            )
            lift = Fraction(n * total, a * c)
            lifts[cluster, left, right] = lift
            if not rule["is_frequent"] and rule["q_value"] >= 0.05:
                continue
            key = (cluster, JOINT.join(sorted(left)), JOINT.join(sorted(right)))
            expected.add(key)
            row = found[key]
            leverage = Fraction(n, total) - Fraction(a * c, total**2)
            most = max(
                Fraction(n, total) * (1 - Fraction(a, total)),
                Fraction(a, total) * (Fraction(c, total) - Fraction(n, total)),
            )
            measures = {
                "basket_count": n,
                "antecedent_basket_count": a,
                "consequent_basket_count": c,
                "all_basket_count": total,
                "antecedent_count": len(left),
                "consequent_count": len(right),
                "support": n / total,
                "confidence": n / a,
                "lift": float(lift),
                "leverage": float(leverage),
                "zhang_metric": float(leverage / most) if most else 0,
                "expected_basket_count": rule["expected"],
                "fisher_p_value": hypergeometric_tail(
                    n, a, c, total, apart=rule["apart"]
                ),
                "p_value": rule["p_value"],
                "q_value": rule["q_value"],
            }
            for name, value in measures.items():
                assert row[name] == pytest.approx(value, rel=1e-6, abs=1e-9), name
            if n == a:
                assert row["conviction"] is None
            else:
                conviction = (1 - c / total) / (1 - n / a)
                assert row["conviction"] == pytest.approx(conviction, abs=1e-9)
            kind = "substitute" if rule["apart"] else "complement" if lift > 1 else None
            assert row["kind"] == (kind if rule["q_value"] < 0.05 else None)
            assert row["is_variant"] == any(pair <= left | right for pair in VARIANTS)
            assert row["segment_name"] == {None: None, 1: "Best", 2: "Lost"}[cluster]
    assert set(found) == expected

    counts = Counter(code for _, _, codes in kept for code in codes)
    pairs = Counter(
        pair for _, _, codes in kept for pair in itertools.permutations(codes, 2)
    )
    for (cluster, left, right), row in found.items():
        if cluster is None:
            assert row["lift_difference"] is None
        else:
            in_all = pairs[left, right] * len(kept) / (counts[left] * counts[right])
            assert row["lift_difference"] == pytest.approx(
                row["lift"] - in_all, abs=1e-9
            )


@settings(max_examples=30)
@given(baskets=BASKETS)
def test_a_rule_is_replicated_where_both_halves_show_it(wide_models, baskets):
    """Read each half as a shop of its own."""
    rows = find_rules(wide_models, lines_of(baskets))
    halves = defaultdict(list)
    for _, day, codes in baskets:
        if len(codes) <= 5:
            halves[day < halfway(baskets)].append((True, frozenset(codes)))
    sizes = defaultdict(list)
    for scope in halves.values():
        for _, codes in scope:
            sizes[size_class(codes)].append(len(codes))
    shown = {}
    for row in rows:
        if row["cluster_id"] is not None or row["antecedent_count"] != 1:
            continue
        if row["consequent_count"] == 1:
            key = (row["antecedent"], row["consequent"])
            shown[key] = row
    apart = {key for key, row in shown.items() if row["kind"] == "substitute"}

    def measure(scope, key):
        left, right = (frozenset([code]) for code in key)
        n, a, c = (
            sum(codes <= basket for _, basket in scope)
            for codes in (left | right, left, right)
        )
        mean, most = Fraction(0), 0
        for wanted, found in sizes.items():
            within = [codes for _, codes in scope if size_class(codes) == wanted]
            mean_size = Fraction(sum(found), len(found))
            lefts = sum(left <= codes for codes in within)
            rights = sum(right <= codes for codes in within)
            mean += (1 - 1 / mean_size) * lefts * rights / max(len(within), 1)
            most += min(lefts, rights)
        p = binomial_tail(n, mean, most, apart=key in apart)
        enough = n >= frequent_from(len(scope)) and n * len(scope) > a * c
        if key in apart:
            enough = a * c > 0 and 2 * n * len(scope) <= a * c
        return n, p, enough

    first = {key: measure(halves[True], key) for key in shown}
    # The first half may show pairs that all baskets do not; they count as tests too.
    codes = sorted(NAMES)
    candidates = {
        key: measure(halves[True], key)
        for key in itertools.permutations(codes, 2)
        if key in shown
        or measure(halves[True], key)[0] >= frequent_from(len(halves[True]))
    }
    tried = [
        key
        for key, (n, _, _) in candidates.items()
        if n >= frequent_from(len(halves[True])) or key in apart
    ]
    frequent = sum(
        sum(code in basket for _, basket in halves[True])
        >= frequent_from(len(halves[True]))
        for code in codes
    )
    q = plain_q_values(
        [candidates[key][1] for key in tried], max(2 * frequent * (frequent - 1), 1)
    )
    is_found = [
        key
        for key, q_value in zip(tried, q, strict=True)
        if q_value < 0.05 and candidates[key][2]
    ]
    later = [measure(halves[False], key) for key in is_found]
    later_q = plain_q_values([p for _, p, _ in later], len(later))
    held = {
        key: enough and q_value < 0.05
        for key, (_, _, enough), q_value in zip(is_found, later, later_q, strict=True)
    }
    assert first.keys() == shown.keys()
    # What is bought apart but by chance is tried as well and not shown.
    if not any(row["kind"] == "substitute" for row in shown.values()):
        for key, row in shown.items():
            assert row["is_replicated"] == held.get(key), key


def test_a_rule_that_holds_and_one_that_does_not(wide_models):
    """Bags go together all the time, cups and clocks in the first half only."""
    baskets = []
    for day in range(20):
        baskets += [("1", day, {"20002", "30003"})] * 3
        baskets += [("2", day, {"40004", "10001B"})] * 3
        baskets += (
            [("3", day, {"10001A", "50005"})] * 3
            if day < 10
            else [("3", day, {"10001A", "40004"}), ("3", day, {"50005", "10001B"})] * 2
        )

    rows = find_rules(wide_models, lines_of(baskets))
    found = by_rule(rows)

    assert found[None, "20002", "30003"]["is_replicated"] is True
    assert found[None, "10001A", "50005"]["is_replicated"] is False
    assert {row["is_replicated"] for row in rows if row["cluster_id"]} == {None}


@pytest.mark.parametrize(("together", "rule_count"), [(6, 6), (5, 0)])
def test_a_larger_set_needs_a_tenth_of_the_baskets(wide_models, together, rule_count):
    """Three products meet in six of 60 baskets; two of them, or one, in more."""
    trio = {"10001A", "20002", "40004"}
    pairs = [{"10001A", "20002"}, {"10001A", "40004"}, {"20002", "40004"}] * 2
    baskets = [trio] * together + pairs + [{"50005"}] * (54 - together)

    rows = find_rules(wide_models, lines_of([("1", 0, codes) for codes in baskets]))

    larger = [
        row
        for row in rows
        if row["antecedent_count"] + row["consequent_count"] == 3
        and row["cluster_id"] is None
    ]
    assert len(baskets) == 60
    assert len(larger) == rule_count


def test_what_takes_the_place_of_another_is_a_substitute(wide_models):
    """Everybody takes a card and either of two bags."""
    baskets = [
        (str(1 + day % 3), day % 20, {"40004", "20002" if day % 2 else "30003"})
        for day in range(120)
    ]

    rows = find_rules(wide_models, lines_of(baskets))
    row = by_rule(rows)[None, "20002", "30003"]

    assert (row["kind"], row["basket_count"], row["is_replicated"]) == (
        "substitute",
        0,
        True,
    )
    assert row["zhang_metric"] == -1
    assert row["is_variant"]


@given(
    p=st.lists(st.floats(0, 1), min_size=1, max_size=30), further=st.integers(0, 100)
)
def test_q_values_are_those_of_benjamini_and_hochberg(p, further):
    tests = len(p) + further

    assert q_values(p, tests=tests) == pytest.approx(plain_q_values(p, tests))


@given(data=st.data(), total=st.integers(1, 60), apart=st.booleans())
def test_fisher_p_values_are_sums_of_the_hypergeometric(data, total, apart):
    left = data.draw(st.integers(0, total))
    right = data.draw(st.integers(0, total))
    together = data.draw(st.integers(max(0, left + right - total), min(left, right)))

    [found] = fisher_p_values([together], [left], [right], [total], apart=[apart])

    assert found == pytest.approx(
        hypergeometric_tail(together, left, right, total, apart=apart), rel=1e-9
    )


@given(
    strata=st.lists(
        st.integers(1, 8).flatmap(
            lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(0, n))
        ),
        min_size=1,
        max_size=4,
    ),
    apart=st.booleans(),
)
def test_p_values_are_never_below_the_exact_ones(strata, apart):
    """Add up hypergeometric draws, one for each size, and compare the tails."""
    exact = {0: Fraction(1)}
    for total, left, right in strata:
        summed = defaultdict(Fraction)
        for so_far, chance in exact.items():
            for k in range(max(0, left + right - total), min(left, right) + 1):
                ways = math.comb(left, k) * math.comb(total - left, right - k)
                summed[so_far + k] += chance * Fraction(ways, math.comb(total, right))
        exact = summed
    mean = float(sum(Fraction(left * right, total) for total, left, right in strata))
    most = sum(min(left, right) for _, left, right in strata)
    # Hoeffding's bound begins one from the mean; nearer to it nothing is significant.
    for together in exact:
        if not (together <= mean - 1 if apart else together >= mean + 1):
            continue
        tail = sum(
            chance
            for k, chance in exact.items()
            if (k <= together if apart else k >= together)
        )
        [found] = p_values([together], [mean], [most], apart=[apart])
        assert found >= float(tail) * (1 - 1e-9)


def test_more_p_values_than_tests_are_refused():
    with pytest.raises(ValueError, match="2 p-values cannot come from 1 tests"):
        q_values([0.1, 0.2], tests=1)


VISITS = lists_of(
    st.tuples(
        st.sampled_from(list(CUSTOMERS)),
        st.integers(0, 270),
        st.sets(st.sampled_from(CODES), min_size=1, max_size=4),
    ),
    max_size=80,
)


@settings(max_examples=30)
@given(visits=VISITS)
def test_nothing_just_bought_is_recommended(wide_models, visits):
    lines = lines_of(visits)
    rows = wide_models.run("int_recommendations_ranked", lines, given=SEGMENTS)
    bought = defaultdict(list)
    for customer, day, codes in visits:
        bought[customer].append((START + datetime.timedelta(days=day), codes))

    ranks = defaultdict(list)
    for row in rows:
        made_on = datetime.datetime.combine(row["made_on_date"], datetime.time())
        history = [visit for visit in bought[row["customer_id"]] if visit[0] < made_on]
        last = max(at for at, _ in history)
        recent = made_on - datetime.timedelta(days=30)
        just = [codes for at, codes in history if at == last or at >= recent]
        assert row["stock_code"] not in set().union(*just)
        lately = made_on - datetime.timedelta(days=90)
        assert any(
            row["stock_code"] in codes
            for visits_of_one in bought.values()
            for at, codes in visits_of_one
            if lately <= at < made_on
        )
        key = (row["made_on_date"], row["method"], row["customer_id"])
        ranks[key].append((row["recommendation_rank"], row["stock_code"]))
    for ranked in ranks.values():
        assert sorted(rank for rank, _ in ranked) == [*range(1, len(ranked) + 1)]
        assert len({code for _, code in ranked}) == len(ranked)


SHELF = [f"{code}" for code in range(60_000, 60_060)]
PEOPLE = [f"{number}" for number in range(1, 21)]


def draw_visit(rng, day):
    codes = rng.sample(SHELF[:8], 1) + rng.sample(SHELF, rng.randrange(4))
    return rng.choice(PEOPLE), day, set(codes)


@pytest.fixture(scope="module")
def year():
    """Make most of a year of baskets, the same each time."""
    rng = random.Random(5)
    days = [0, *(rng.randrange(270) for _ in range(250)), 270]
    return [draw_visit(rng, day) for day in days]


def test_the_time_split_leaks_nothing(wide_models, year):
    """Change what was bought and sent back after the split: the outcome changes."""
    tables = ["int_recommendations_ranked", "rpt_recommendation_scoreboard"]
    before = wide_models.run_all(tables, lines_of(year), given=SEGMENTS)
    [split] = {row["split_date"] for row in before[tables[1]]}
    split_day = (split - START.date()).days
    rng = random.Random(6)
    changed = [
        visit if visit[1] < split_day else draw_visit(rng, visit[1]) for visit in year
    ]
    returns = [
        line(
            f"C{2000 + number}",
            customer,
            min(codes),
            START + datetime.timedelta(days=split_day + number % 50),
            quantity=-1,
        )
        for number, (customer, day, codes) in enumerate(year)
        if day < split_day and number % 3 == 0
    ]

    after = wide_models.run_all(tables, lines_of(changed) + returns, given=SEGMENTS)

    def at_split(rows):
        return sorted(
            tuple(row.values())
            for row in rows[tables[0]]
            if row["made_on_date"] == split
        )

    def now(rows):
        return {tuple(row.values()) for row in rows[tables[0]]} - set(at_split(rows))

    assert at_split(before) == at_split(after)
    assert len(at_split(before)) >= 500
    assert now(before) != now(after)
    assert before[tables[1]] != after[tables[1]]


def test_what_was_sent_back_is_in_no_pair(wide_models, year):
    """Send a third of the products back, half of them before the split."""
    visits = [
        (customer, day, codes | {"10001A", "20002"})
        for customer, day, codes in year
        if len(codes) <= 3
    ]
    returns = [
        line(
            f"C{2000 + number}",
            customer,
            code,
            START + datetime.timedelta(days=min(day + number % 60, 270), hours=1),
            quantity=-1,
        )
        for number, (customer, day, _) in enumerate(visits)
        for code in ("10001A", "20002")[number % 2 : number % 2 + 1]
        if number % 3 == 0
    ]
    tables = ["int_product_pairs_counted", "fct_return_allocations"]
    built = wide_models.run_all(
        [*tables, "fct_invoice_lines", "int_baskets_itemised"],
        lines_of(visits) + returns,
        given=SEGMENTS,
    )
    [split] = {row["origin_date"] for row in built["int_baskets_itemised"]}
    sent_back = {
        row["purchase_line_id"]: row["returned_at"].date()
        for row in built["fct_return_allocations"]
    }
    now, then = defaultdict(set), defaultdict(set)
    for row in built["fct_invoice_lines"]:
        if row["line_type"] != "purchase":
            continue
        basket, code = row["invoice_number"], row["stock_code"]
        returned = sent_back.get(row["invoice_line_id"])
        if returned is None:
            now[basket].add(code)
        if row["invoiced_at"].date() < split and (
            returned is None or returned >= split
        ):
            then[basket].add(code)

    rows = [
        row for row in built["int_product_pairs_counted"] if row["cluster_id"] is None
    ]
    for row in rows:
        pair = {row["left_stock_code"], row["right_stock_code"]}
        assert row["basket_count"] == sum(pair <= codes for codes in now.values())
        assert row["origin_basket_count"] == sum(
            pair <= codes for codes in then.values()
        )
        assert row["all_basket_count"] == sum(map(bool, now.values()))
        assert row["origin_all_basket_count"] == sum(map(bool, then.values()))
    [both] = [
        row
        for row in rows
        if row["left_stock_code"] == "10001A" and row["right_stock_code"] == "20002"
    ]
    assert 50 < both["origin_basket_count"] < both["basket_count"] < len(visits)


def test_the_hit_rate_is_counted_from_the_visits(wide_models, year):
    tables = ["int_recommendations_ranked", "rpt_recommendation_scoreboard"]
    built = wide_models.run_all(tables, lines_of(year), given=SEGMENTS)
    scoreboard = {row["method"]: row for row in built[tables[1]]}
    [split] = {row["split_date"] for row in scoreboard.values()}
    later = defaultdict(set)
    for customer, day, codes in year:
        if START.date() + datetime.timedelta(days=day) >= split:
            later[customer] |= codes

    hits = defaultdict(dict)
    for row in built[tables[0]]:
        if row["made_on_date"] == split and row["customer_id"] in later:
            is_hit = row["stock_code"] in later[row["customer_id"]]
            known = hits[row["method"]].get(row["customer_id"], False)
            hits[row["method"]][row["customer_id"]] = known or is_hit

    assert set(scoreboard) == set(hits)
    for method, customers in hits.items():
        row = scoreboard[method]
        rate = sum(customers.values()) / len(customers)
        assert row["customer_count"] == len(customers)
        assert row["hit_rate_at_10"] == pytest.approx(rate)
        assert row["hit_rate_low"] <= rate <= row["hit_rate_high"]
    assert sum(row["is_chosen"] for row in scoreboard.values()) == 1


POOR = {
    "nothing": [],
    "one_order": lines_of([("1", 0, {"20002", "30003"})]),
    "one_product": lines_of([("1", day, {"20002"}) for day in range(40)]),
    "one_month": lines_of([("1", day, {"20002", "30003"}) for day in range(30)]),
    "only_guests": lines_of([(None, day, {"20002", "30003"}) for day in range(200)]),
    "only_returns": [line("C1", "1", "20002", START, quantity=-1)],
}


@pytest.mark.parametrize("shop", POOR)
def test_a_poor_shop_has_few_rules_and_no_errors(net_models, shop):
    rows = find_rules(net_models, POOR[shop], smallest_support=0.01)
    built = net_models.run_all(
        ["rpt_recommendation_scoreboard", "rpt_product_recommendations"],
        POOR[shop],
        given=SEGMENTS,
    )

    # Two products that are in every basket are together in all, as chance has it: in
    # all baskets and in a segment's.
    assert len(rows) == (4 if shop == "one_month" else 0)
    assert {row["kind"] for row in rows} <= {None}
    assert built["rpt_recommendation_scoreboard"] == []
    assert built["rpt_product_recommendations"] == []


def test_every_planted_pair_is_found(demo_net, demo_folder):
    planted = {
        (row["antecedent"], row["consequent"])
        for row in pq.read_table(
            demo_folder / "demo" / "truth" / "pairs.parquet"
        ).to_pylist()
    }
    found = {
        (row["antecedent"], row["consequent"])
        for row in demo_net.rows(
            "select antecedent, consequent from marts.rpt_product_associations "
            "where segment_name is null and kind = 'complement' and q_value < 0.05"
        )
    }

    assert len(planted) == 20
    assert planted <= found


def shuffle(items, seed):
    """Deal the products out anew, with as many to each basket and of each product."""
    rng = random.Random(seed)
    baskets = [item["basket_number"] for item in items]
    codes = [item["stock_code"] for item in items]
    rng.shuffle(codes)
    while True:
        seen = set()
        twice = []
        for place, key in enumerate(zip(baskets, codes, strict=True)):
            if key in seen:
                twice.append(place)
            seen.add(key)
        if not twice:
            return [
                {**item, "stock_code": code}
                for item, code in zip(items, codes, strict=True)
            ]
        for place in twice:
            other = rng.randrange(len(codes))
            codes[place], codes[other] = codes[other], codes[place]


def test_shuffled_baskets_have_no_rules(demo_net, net_models, record_property):
    items = demo_net.rows(
        "select * from intermediate.int_baskets_itemised "
        "where is_counted order by basket_number, stock_code"
    )
    shuffled = shuffle(items, seed=11)
    for name in ("basket_number", "stock_code"):
        assert Counter(item[name] for item in shuffled) == Counter(
            item[name] for item in items
        )
    segments = demo_net.arrow(
        "select customer_id, cluster_id from marts.dim_customer_segments"
    )
    tables = ["int_product_pairs_counted", "int_product_pairs_expected"]
    net_models.run_all(
        tables,
        given={
            "int_baskets_itemised": pa.Table.from_pylist(shuffled),
            "dim_customer_segments": segments,
        },
    )
    rules = rules_with_chances(
        pd.DataFrame(shuffled),
        *(net_models.arrow(table).to_pandas() for table in tables),
        pd.DataFrame({"stock_code": [], "product_name": []}),
        smallest_support=0.01,
    )

    share = float((rules["q_value"] < 0.05).mean())
    fisher = float((rules["fisher_p_value"] < 0.05).mean())
    record_property(
        "share of rules of shuffled baskets with a q-value below 0.05", share
    )
    record_property("the same of their Fisher p-values, which ignore sizes", fisher)
    assert len(rules) > 50
    assert share < 0.05
    # The test could tell: baskets differ in size, which Fisher's test does not know.
    assert fisher > 0.5


def test_real_rules_are_those_of_mlxtend(real_textbook):
    """672 pair rules, 146 of them confident; larger sets as fpgrowth finds them."""
    items = real_textbook.rows(
        "select distinct invoice_number, stock_code from marts.fct_invoice_lines "
        "where counted_quantity > 0 and is_product and not is_guest"
    )
    baskets = defaultdict(set)
    for item in items:
        baskets[item["invoice_number"]].add(item["stock_code"])
    counts = Counter(code for codes in baskets.values() for code in codes)
    assert (len(baskets), len(counts)) == (18_402, 3_659)
    frequent = sorted(code for code, n in counts.items() if n >= 0.01 * len(baskets))
    matrix = pd.DataFrame(
        {code: [code in codes for codes in baskets.values()] for code in frequent}
    )
    sets = fpgrowth(matrix, min_support=0.01, use_colnames=True)
    published = association_rules(sets, metric="support", min_threshold=0.01)

    found = {
        (row["antecedent"], row["consequent"]): row
        for row in real_textbook.rows(
            "select * from marts.rpt_product_associations "
            "where segment_name is null and support >= 0.01"
        )
    }
    expected = {
        tuple(
            JOINT.join(sorted(row[side])) for side in ("antecedents", "consequents")
        ): row
        for row in published.to_dict("records")
    }
    assert found.keys() == expected.keys()
    measures = {
        "support": "support",
        "confidence": "confidence",
        "lift": "lift",
        "leverage": "leverage",
        "conviction": "conviction",
        "zhang_metric": "zhangs_metric",
    }
    for rule, row in found.items():
        for ours, theirs in measures.items():
            assert row[ours] == pytest.approx(expected[rule][theirs], rel=1e-6)
    pairs = [
        row
        for row in found.values()
        if row["antecedent_count"] == row["consequent_count"] == 1
    ]
    assert len(pairs) == 672
    assert sum(row["confidence"] >= 0.5 for row in pairs) == 146
    for rule in (("22697", "22698"), ("22698", "22697")):
        assert found[rule]["basket_count"] == 460
        assert round(found[rule]["lift"], 2) == 22.03
        assert found[rule]["is_replicated"]
        assert found[rule]["is_variant"]


def test_real_recommendations_beat_what_is_popular(real_net, record_property):
    scoreboard = {
        row["method"]: row
        for row in real_net.rows("select * from marts.rpt_recommendation_scoreboard")
    }
    [chosen] = [row for row in scoreboard.values() if row["is_chosen"]]
    popular = scoreboard["most_popular"]

    record_property(
        "hit rate at 10 of recommendations", float(chosen["hit_rate_at_10"])
    )
    record_property(
        "hit rate at 10 of what is popular", float(popular["hit_rate_at_10"])
    )
    assert chosen["hit_rate_low"] > popular["hit_rate_high"]
    assert real_net.values(
        "select distinct method from marts.rpt_product_recommendations"
    ) == [chosen["method"]]
