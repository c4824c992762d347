"""One change at a time to the SQL of a model, as a wrong edit would make it.

A mutant is a place in the parsed SQL, by its number in a walk over the tree, and the
name of a change that can be made there. The same change is made in what dbt compiled
for a unit test, at the place that corresponds to it. Changes that cannot matter, where
that is plain to see, are not made.
"""

import difflib
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import zip_longest

import sqlglot
from sqlglot import exp

Change = Callable[[exp.Expression], None]

SWAPS: dict[str, list[tuple[type[exp.Expression], type[exp.Expression]]]] = {
    "comparison": [
        (exp.LT, exp.LTE),
        (exp.LTE, exp.LT),
        (exp.GT, exp.GTE),
        (exp.GTE, exp.GT),
        (exp.EQ, exp.NEQ),
        (exp.NEQ, exp.EQ),
    ],
    "boolean": [(exp.And, exp.Or), (exp.Or, exp.And)],
    "arithmetic": [
        (exp.Add, exp.Sub),
        (exp.Sub, exp.Add),
        (exp.Mul, exp.Div),
        (exp.Div, exp.Mul),
    ],
}
AGGREGATES: dict[type[exp.Expression], type[exp.Expression]] = {
    exp.Sum: exp.Max,
    exp.Min: exp.Max,
    exp.Max: exp.Min,
    exp.Avg: exp.Max,
    exp.Median: exp.Max,
    exp.Greatest: exp.Least,
    exp.Least: exp.Greatest,
    exp.Lag: exp.Lead,
    exp.Lead: exp.Lag,
    exp.Rank: exp.DenseRank,
    exp.Floor: exp.Ceil,
    exp.Ceil: exp.Floor,
}
COMPARISONS = (exp.LT, exp.LTE, exp.GT, exp.GTE, exp.EQ, exp.NEQ, exp.Between)
FILTERS = (exp.Where, exp.Having, exp.Qualify)
# What a mutant's text is cut out of.
STATEMENTS = (exp.Join, exp.Where, exp.Having, exp.Qualify, exp.Group, exp.Order)
CONTEXT = 28
# What a name means to a tree: dbt calls a given table otherwise than the real one.
GIVEN = "__dbt__cte__"


@dataclass(frozen=True)
class Mutant:
    """A change at a place of a model; `text` says both in words that survive edits."""

    model: str
    kind: str
    change: str
    place: int
    text: str
    sql: str


def parse(sql: str) -> exp.Expression:
    return sqlglot.parse_one(sql, dialect="duckdb")


def write(tree: exp.Expression) -> str:
    return tree.sql(dialect="duckdb", comments=False)


def nodes(tree: exp.Expression) -> list[exp.Expression]:
    """All nodes of a tree in a fixed order, but what tables and types are made of."""
    return list(
        tree.walk(
            bfs=False, prune=lambda node: isinstance(node, exp.Table | exp.DataType)
        )
    )


def change_at(tree: exp.Expression, place: int, change: str) -> str | None:
    """Write the tree with a change made; None where it cannot be made there."""
    copy = tree.copy()
    node = nodes(copy)[place]
    for _, name, apply in changes(node):
        if name == change:
            apply(node)
            return write(copy)
    return None


def mutants_of(model: str, sql: str, *, most: int | None = None) -> list[Mutant]:
    """Make the mutants of a model's SQL, each different from it and from the others.

    At most so many are drawn, evenly over the kinds. The draw depends on what is
    changed alone, so that an edit elsewhere in the model leaves the others in it.
    """
    tree = parse(sql)
    places = nodes(tree)
    repeats: Counter[str] = Counter()
    by_kind: dict[str, list[tuple[str, int, str]]] = {}
    for place, node in enumerate(places):
        for kind, change, _ in changes(node):
            within = write(node.parent) if node.parent is not None else ""
            words = f"{model} {_cte(node)} {change} {write(node)} {within}"
            repeats[words] += 1
            number = hashlib.md5(f"{words} {repeats[words]}".encode()).hexdigest()
            by_kind.setdefault(kind, []).append((number, place, change))
    in_turn = zip_longest(*(sorted(by_kind[kind]) for kind in sorted(by_kind)))
    seen = {write(tree)}
    texts: Counter[str] = Counter()
    found: list[Mutant] = []
    for drawn in (one for turn in in_turn for one in turn if one is not None):
        if len(found) == most:
            break
        _, place, change = drawn
        copy = tree.copy()
        node = nodes(copy)[place]
        kind, apply = next((k, f) for k, c, f in changes(node) if c == change)
        shown = _shown(node)
        cte = _cte(node)
        before = write(shown)
        apply(node)
        mutated = write(copy)
        if mutated in seen:
            continue
        seen.add(mutated)
        text = f"{cte}: {_difference(before, write(shown))}"
        texts[text] += 1
        if texts[text] > 1:
            text = f"{text} (place {texts[text]})"
        found.append(Mutant(model, kind, change, place, text, mutated))
    return found


def _cte(node: exp.Expression) -> str:
    cte = node.find_ancestor(exp.CTE)
    return str(cte.alias) if cte else "-"


def places_in(tree: exp.Expression, other: exp.Expression) -> dict[int, int]:
    """Say which place of another tree, of much the same SQL, a place corresponds to."""
    ours, theirs = nodes(tree), nodes(other)
    # A unit test may have given another number to a var.
    if list(map(type, ours)) == list(map(type, theirs)):
        return {place: place for place in range(len(ours))}
    matcher = difflib.SequenceMatcher(
        None, list(map(_label, ours)), list(map(_label, theirs)), autojunk=False
    )
    return {
        block.a + step: block.b + step
        for block in matcher.get_matching_blocks()
        for step in range(block.size)
    }


def changes(node: exp.Expression) -> Iterator[tuple[str, str, Change]]:
    """All changes that can be made to a node: their kind, their name, and how."""
    yield from _swaps(node)
    yield from _logic(node)
    yield from _joins(node)
    yield from _aggregates(node)
    yield from _windows(node)
    yield from _cases(node)
    yield from _nulls(node)
    yield from _sets(node)
    yield from _constants(node)


def _swaps(node: exp.Expression) -> Iterator[tuple[str, str, Change]]:
    for kind, pairs in SWAPS.items():
        for old, new in pairs:
            # Multiplied by one is divided by one.
            if type(node) is old and not _is_one(node.expression):
                yield kind, f"to {new.__name__}", _retype(new)


def _logic(node: exp.Expression) -> Iterator[tuple[str, str, Change]]:
    parent = node.parent
    if isinstance(parent, exp.And):
        yield "conjunct", "drop", lambda n: n.parent.replace(_sibling(n))
    if isinstance(parent, FILTERS) and node.arg_key == "this":
        yield "filter", "drop all", lambda n: n.parent.pop()
        if not isinstance(node, exp.And | exp.Not):
            yield "filter", "negate", lambda n: n.replace(exp.not_(n.copy()))
    if isinstance(node, exp.Not):
        kind = "null" if isinstance(node.this, exp.Is) else "filter"
        yield kind, "drop not", lambda n: n.replace(n.this.copy())


def _joins(node: exp.Expression) -> Iterator[tuple[str, str, Change]]:
    if not isinstance(node, exp.Join) or node.kind == "CROSS":
        return
    if node.side in ("LEFT", "FULL"):
        yield "join", "to inner", _join_as(None, "INNER")
    elif node.args.get("on"):
        yield "join", "to left", _join_as("LEFT", "OUTER")


def _join_as(side: str | None, kind: str) -> Change:
    def apply(node: exp.Expression) -> None:
        node.set("side", side)
        node.set("kind", kind)

    return apply


def _aggregates(node: exp.Expression) -> Iterator[tuple[str, str, Change]]:
    new = AGGREGATES.get(type(node))
    # Whole numbers are their own floor, and their own ceiling.
    is_wholeness = isinstance(node, exp.Floor | exp.Ceil) and (
        isinstance(node.parent, exp.EQ) and _sibling(node) == node.this
    )
    if new and not is_wholeness:
        yield "aggregate", f"to {new.__name__}", _retype(new)
    if isinstance(node, exp.Count):
        if isinstance(node.this, exp.Distinct):
            yield (
                "aggregate",
                "count copies",
                lambda n: n.set("this", n.this.expressions[0].copy()),
            )
        elif not isinstance(node.this, exp.Star):
            yield (
                "aggregate",
                "count distinct",
                lambda n: n.set("this", exp.Distinct(expressions=[n.this.copy()])),
            )


def _windows(node: exp.Expression) -> Iterator[tuple[str, str, Change]]:
    if isinstance(node, exp.Ordered):
        order = node.parent
        if not _is_median(order) and not _is_centred(order):
            yield "window", "turn", lambda n: n.set("desc", not n.args.get("desc"))
        if order is not None and len(order.expressions) > 1:
            yield "window", "drop order", lambda n: n.pop()
    if isinstance(node.parent, exp.Window) and node.arg_key == "partition_by":
        yield "window", "drop partition", lambda n: n.pop()


def _cases(node: exp.Expression) -> Iterator[tuple[str, str, Change]]:
    case = node.parent
    if not isinstance(node, exp.If) or not isinstance(case, exp.Case):
        return
    branches = case.args["ifs"]
    number = next(i for i, branch in enumerate(branches) if branch is node)
    if len(branches) > 1:
        yield "case", "drop when", lambda n: n.pop()
    else:
        yield "case", "else alone", _else_alone
    if number + 1 < len(branches):
        yield "case", "swap with next", _swap_with_next
    elif case.args.get("default") is not None:
        yield "case", "swap with else", _swap_with_else


def _nulls(node: exp.Expression) -> Iterator[tuple[str, str, Change]]:
    # DuckDB's concat leaves nulls out by itself.
    is_text = isinstance(node.parent, exp.Concat) and write(node).endswith(", '')")
    if isinstance(node, exp.Coalesce) and not is_text:
        yield "coalesce", "drop default", lambda n: n.replace(n.this.copy())
    if isinstance(node, exp.Nullif):
        yield "null", "drop nullif", lambda n: n.replace(n.this.copy())
    if isinstance(node, exp.Is) and isinstance(node.expression, exp.Null):
        if isinstance(node.parent, exp.Not):
            return
        yield "null", "is not null", lambda n: n.replace(exp.not_(n.copy()))


def _sets(node: exp.Expression) -> Iterator[tuple[str, str, Change]]:
    if (
        isinstance(node, exp.Union)
        and not node.args.get("distinct")
        and not _is_without_copies(node)
    ):
        yield "union", "to union", lambda n: n.set("distinct", True)
    if isinstance(node, exp.Select) and node.args.get("distinct"):
        yield "distinct", "drop distinct", lambda n: n.set("distinct", None)


def _is_without_copies(union: exp.Expression) -> bool:
    """Say whether a column names the part, and no part can have a row twice."""
    parts = list(_parts(union))
    if not all(isinstance(part, exp.Select) for part in parts):
        return False
    columns = [
        [value.unalias() for value in column]
        for column in zip(*(part.expressions for part in parts), strict=False)
    ]
    is_named = any(
        all(_is_constant(value) for value in column)
        and len({write(value) for value in column}) == len(parts)
        for column in columns
    )
    return is_named and all(_has_row_once(part) for part in parts)


def _is_constant(value: exp.Expression) -> bool:
    return isinstance(value.this if isinstance(value, exp.Neg) else value, exp.Literal)


def _parts(node: exp.Expression) -> Iterator[exp.Expression]:
    if isinstance(node, exp.Union):
        yield from _parts(node.this)
        yield from _parts(node.expression)
    else:
        yield node


def _has_row_once(select: exp.Expression) -> bool:
    """Say whether a select tells by itself that its rows differ: by its groups, say."""
    group = select.args.get("group")
    if group is not None:
        shown = {write(value.unalias()) for value in select.expressions}
        return all(write(value) in shown for value in group.expressions)
    return _is_one_row(select)


def _is_one_row(select: exp.Expression) -> bool:
    source = select.args.get("from_")
    if source is None:
        return True
    if select.args.get("joins") or select.args.get("group"):
        return False
    if any(
        value.find(exp.AggFunc) and not value.find(exp.Window)
        for value in select.expressions
    ):
        return True
    above = {cte.alias: cte.this for cte in select.root().find_all(exp.CTE)}
    query = above.get(source.this.name)
    return isinstance(query, exp.Select) and _is_one_row(query)


def _constants(node: exp.Expression) -> Iterator[tuple[str, str, Change]]:
    if not isinstance(node, exp.Literal) or node.is_string:
        return
    beside = node.parent
    # Another hash tells rows apart as well, and what is counted is no matter.
    case = beside.parent if isinstance(beside, exp.If) else None
    is_counted = isinstance(case, exp.Case) and isinstance(case.parent, exp.Count)
    if isinstance(beside, exp.BitwiseRightShift) or is_counted or _is_last(node):
        return
    bounds = isinstance(beside, (*COMPARISONS, exp.Limit))
    yield "boundary" if bounds else "constant", "plus 1", _plus_one


def _is_last(node: exp.Expression) -> bool:
    """Say whether a number puts rows last in an order: a larger one does as well."""
    case = node.find_ancestor(exp.Case)
    if case is None or not isinstance(case.parent, exp.Ordered):
        return False
    results = [branch.args["true"] for branch in case.args["ifs"]]
    results.append(case.args.get("default") or exp.Null())
    is_result = any(node is result for result in results)
    if not is_result or not all(isinstance(result, exp.Literal) for result in results):
        return False
    return float(node.this) == max(float(result.this) for result in results)


def _is_one(node: exp.Expression | None) -> bool:
    return (
        isinstance(node, exp.Literal) and not node.is_string and float(node.this) == 1
    )


def _is_median(order: exp.Expression | None) -> bool:
    """Say whether the order is that of a median, which is the same from both ends."""
    whole = order.parent if order is not None else None
    is_quantile = isinstance(whole, exp.WithinGroup | exp.PercentileCont)
    return is_quantile and "0.5" in write(whole)


def _is_centred(order: exp.Expression | None) -> bool:
    """Say whether a window reaches as far back as ahead: its order has no direction."""
    spec = order.parent.args.get("spec") if order is not None and order.parent else None
    return spec is not None and spec.args.get("start") == spec.args.get("end")


def _retype(new: type[exp.Expression]) -> Change:
    def apply(node: exp.Expression) -> None:
        copy = node.copy()
        node.replace(new(**copy.args))

    return apply


def _sibling(node: exp.Expression) -> exp.Expression:
    both = node.parent
    assert both is not None
    return (both.expression if node is both.this else both.this).copy()


def _else_alone(node: exp.Expression) -> None:
    case = node.parent
    assert case is not None
    case.replace((case.args.get("default") or exp.Null()).copy())


def _swap_with_next(node: exp.Expression) -> None:
    case = node.parent
    assert case is not None
    branches = case.args["ifs"]
    number = next(i for i, branch in enumerate(branches) if branch is node)
    _swap(node, "true", branches[number + 1], "true")


def _swap_with_else(node: exp.Expression) -> None:
    assert node.parent is not None
    _swap(node, "true", node.parent, "default")


def _swap(one: exp.Expression, arg: str, other: exp.Expression, other_arg: str) -> None:
    first, second = one.args[arg].copy(), other.args[other_arg].copy()
    one.set(arg, second)
    other.set(other_arg, first)


def _plus_one(node: exp.Expression) -> None:
    text = node.this
    number = float(text) + 1
    node.set("this", str(int(number)) if text.isdigit() else str(number))


def _label(node: exp.Expression) -> tuple[str, str, str]:
    name = ""
    if isinstance(node, exp.Table):
        name = node.name.removeprefix(GIVEN)
    elif isinstance(node, exp.Identifier | exp.Literal | exp.Var):
        name = str(node.this)
    return type(node).__name__, str(node.arg_key), name


def _shown(node: exp.Expression) -> exp.Expression:
    """Find what the change is shown in: a column, a join, a filter, an order."""
    while node.parent is not None and node.parent.parent is not None:
        in_window = isinstance(node.parent, exp.Window)
        if isinstance(node, STATEMENTS) and not in_window:
            break
        if isinstance(node.parent, exp.Select | exp.Union):
            break
        node = node.parent
    # What is replaced itself is shown in what it stands in.
    return node.parent if node.parent is not None else node


def _difference(before: str, after: str) -> str:
    """Cut two texts to where they differ, and a few words around that."""
    old, new = before.split(" "), after.split(" ")
    first = 0
    while first < min(len(old), len(new)) and old[first] == new[first]:
        first += 1
    last = 0
    while last < min(len(old), len(new)) - first and old[-1 - last] == new[-1 - last]:
        last += 1
    start = first
    while start > 0 and len(" ".join(old[start:first])) < CONTEXT:
        start -= 1
    end = last
    while end > 0 and len(" ".join(old[len(old) - last : len(old) - end])) < CONTEXT:
        end -= 1
    cut = " ".join(old[start : len(old) - end])
    return f"{cut} -> {' '.join(new[start : len(new) - end])}"
