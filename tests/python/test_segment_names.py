"""Every cluster gets a true name of its own, wherever K-Means puts it."""

import csv
import re
import shutil
from datetime import datetime
from decimal import Decimal

import conftest
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import PROJECT, run_dbt, write_landing
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.preprocessing import StandardScaler

TEXTS = (
    "segment_name",
    "meaning",
    "strategy",
    "recommended_action",
    "second_action",
    "third_action",
)
ENDING = re.compile(r", (higher|lower) value$|, value rank (\d+) of (\d+)$")
FEATURES = ["recency_days", "frequency", "monetary_value"]


def read_seed(name):
    path = PROJECT / "seeds" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


LEVELS = read_seed("segment_levels")
RULES = read_seed("segment_rules")
EDGES = sorted(
    {float(row[edge]) for row in LEVELS for edge in ("lower_z", "upper_z") if row[edge]}
)

# Most where centroids are found, many on an edge or beside one, some far out.
places = st.one_of(
    st.floats(-3, 3),
    st.sampled_from(EDGES),
    st.builds(
        lambda edge, step: edge + step,
        st.sampled_from(EDGES),
        st.sampled_from([-1e-8, 1e-8]),
    ),
    st.sampled_from([0.0, -1e9, 1e9]),
)
positions = st.tuples(places, places)
models_of_clusters = st.integers(2, 10).flatmap(
    lambda k: st.lists(positions, min_size=k, max_size=k)
)
crowded_models = st.tuples(positions, st.integers(2, 10)).flatmap(
    lambda drawn: st.permutations(
        [(drawn[0][0], drawn[0][1] + 1e-3 * number) for number in range(drawn[1])]
    )
)


def find_level(measure, place):
    """Look a place up in the seed; the upper edge belongs to the level."""
    [level] = [
        row["level"]
        for row in LEVELS
        if row["measure"] == measure
        and (not row["lower_z"] or place > float(row["lower_z"]))
        and (not row["upper_z"] or place <= float(row["upper_z"]))
    ]
    return level


def find_rule(position):
    recency, value = (round(place, 9) for place in position)
    [rule] = [
        rule
        for rule in RULES
        if rule["recency_level"] == find_level("recency", recency)
        and rule["value_level"] == find_level("value", value)
    ]
    return rule


def name_clusters(models, numbered):
    """Run dim_clusters on positions by cluster number."""
    rows = [
        {
            "model_id": "m",
            "cluster_id": number,
            "cluster_size": 1,
            "recency_z": recency,
            "frequency_z": value,
            "monetary_z": value,
            "name_recency_z": recency,
            "name_value_z": value,
            "is_current": True,
        }
        for number, (recency, value) in numbered.items()
        for _ in FEATURES
    ]
    # Clusters of another model are told apart among themselves.
    other = rows[0] | {"model_id": "n", "is_current": False}
    given_rows = {"ml_cluster_models": pa.Table.from_pylist([*rows, other])}
    found = models.run("dim_clusters", given=given_rows)
    assert len(found) == len(numbered) + 1
    return {row["cluster_id"]: row for row in found if row["is_current"]}


def base_name(name):
    return ENDING.sub("", name)


def check_names(found, numbered):
    """Check all that is promised of the names of one model."""
    assert set(found) == set(numbered)
    for text in TEXTS:
        assert all(row[text] and row[text].strip() for row in found.values())
    for text in ("segment_name", "meaning"):
        assert len({row[text] for row in found.values()}) == len(found)

    by_place = {}
    for number, position in numbered.items():
        rule = find_rule(position)
        row = found[number]
        assert base_name(row["segment_name"]) == rule["segment_name"]
        assert row["meaning"].startswith(rule["meaning"])
        for text in TEXTS[2:]:
            assert row[text] == rule[text]
        by_place.setdefault(rule["segment_name"], []).append(number)
    for name, numbers in by_place.items():
        # The most valuable first; of equals, the lower number.
        in_order = sorted(numbers, key=lambda n: (-round(numbered[n][1], 9), n))
        names = [found[number]["segment_name"] for number in in_order]
        count = len(numbers)
        if count == 1:
            assert names == [name]
        elif count == 2:
            assert names == [f"{name}, higher value", f"{name}, lower value"]
        else:
            assert names == [
                f"{name}, value rank {rank} of {count}" for rank in range(1, count + 1)
            ]


@settings(max_examples=150)
@given(drawn=st.one_of(models_of_clusters, crowded_models))
def test_every_cluster_gets_a_name_of_its_own(net_models, drawn):
    numbered = dict(enumerate(drawn, start=1))

    check_names(name_clusters(net_models, numbered), numbered)


def test_equal_positions_still_get_names_of_their_own(net_models):
    numbered = dict.fromkeys(range(1, 11), (-2.0, 2.0))

    check_names(name_clusters(net_models, numbered), numbered)


@settings(max_examples=40)
@given(drawn=models_of_clusters, data=st.data())
def test_the_order_of_the_clusters_is_irrelevant(net_models, drawn, data):
    different = list(dict.fromkeys((round(r, 9), round(v, 9)) for r, v in drawn))
    # Equals in value within one place are told apart by number alone.
    different = list({value: (recency, value) for recency, value in different}.values())
    shuffled = data.draw(st.permutations(different))

    def by_position(order):
        numbered = dict(enumerate(order, start=1))
        found = name_clusters(net_models, numbered)
        return {numbered[number]: row["segment_name"] for number, row in found.items()}

    assert by_position(different) == by_position(shuffled)


@settings(max_examples=40)
@given(fixed=positions, one=models_of_clusters, other=models_of_clusters)
def test_the_base_name_depends_on_the_position_only(net_models, fixed, one, other):
    names = set()
    for rest in (one, other):
        numbered = dict(enumerate([fixed, *rest[:9]], start=1))
        found = name_clusters(net_models, numbered)
        names.add(base_name(found[1]["segment_name"]))

    assert len(names) == 1


@given(position=positions)
def test_names_do_not_lie(position):
    recency, value = position
    name = find_rule(position)["segment_name"].lower()

    if recency <= 0:
        assert not re.search(r"slipping|lapsed|lost", name)
    if recency >= 0:
        assert not re.search(r"active|best", name)
    if value <= 0:
        assert not re.search(r"best|top|high", name)
    if value >= 0:
        assert not re.search(r"small|occasional", name)


def test_names_are_not_those_of_the_rfm_map():
    rfm_names = {row["rfm_segment"].lower() for row in read_seed("rfm_segments")}

    assert len(rfm_names) == 11
    assert not rfm_names & {rule["segment_name"].lower() for rule in RULES}


def test_every_rule_has_three_campaigns_of_its_own():
    actions = [rule[text] for rule in RULES for text in TEXTS[3:]]

    assert len(RULES) == 16
    assert len(set(actions)) == 3 * len(RULES)


def test_a_cluster_without_a_position_has_no_name(net_models):
    """The contract, which asks for a name, then stops the build."""
    found = name_clusters(net_models, {1: (-1.0, 1.0), 2: (None, 1.0)})

    assert found[1]["segment_name"] == "Active high spenders"
    assert found[2]["segment_name"] is None


# What users may do to the seeds, and the sentence they get.


@pytest.fixture(scope="module")
def checks(tmp_path_factory):
    """Compile the data tests of the seeds; each is a query of sentences."""
    folder = tmp_path_factory.mktemp("checks")
    names = [
        "assert_segment_levels_cover_the_line",
        "assert_segment_rules_name_every_position",
    ]
    result = run_dbt(
        ["compile", "--select", *names], folder=folder, landing=folder / "landing"
    )
    assert result.returncode == 0, result.stdout
    return [
        path.read_text()
        for name in names
        for path in (folder / "target" / "compiled").rglob(f"{name}.sql")
    ]


def find_problems(checks, levels, rules):
    connection = duckdb.connect(":memory:")
    connection.execute("attach ':memory:' as warehouse; use warehouse")
    connection.execute("create schema reference")
    for name, rows in (("segment_levels", levels), ("segment_rules", rules)):
        blank_is_null = [
            {column: text or None for column, text in row.items()} for row in rows
        ]
        seed = pa.Table.from_pylist(
            blank_is_null,
            schema=pa.schema([(column, pa.string()) for column in rows[0]]),
        )
        connection.register("seed", seed)
        edges = "replace (cast(lower_z as double) as lower_z, "
        edges += "cast(upper_z as double) as upper_z)"
        columns = f"* {edges}" if name == "segment_levels" else "*"
        connection.execute(
            f"create table reference.{name} as select {columns} from seed"
        )
    assert len(checks) == 2
    return sorted(
        problem
        for check in checks
        for (problem,) in connection.execute(check).fetchall()
    )


def change(rows, changes, **where):
    return [
        row | changes if where.items() <= row.items() else dict(row) for row in rows
    ]


def drop(rows, **where):
    return [row for row in rows if not where.items() <= row.items()]


def test_the_seeds_as_they_are_have_no_problem(checks):
    assert find_problems(checks, LEVELS, RULES) == []


def test_a_name_of_ones_own_is_no_problem(checks):
    rules = change(
        RULES,
        {"segment_name": "VIPs", "strategy": "Ours"},
        recency_level="recent",
        value_level="top",
    )
    levels = change(LEVELS, {"upper_z": "1.5"}, level="high")
    levels = change(levels, {"lower_z": " 1.5 "}, level="top")

    assert find_problems(checks, levels, rules) == []


@pytest.mark.parametrize(
    ("levels", "rules", "sentences"),
    [
        (
            LEVELS,
            drop(RULES, recency_level="typical", value_level="top"),
            [
                'there is no row for recency_level "typical" with value_level "top"; '
                "add one"
            ],
        ),
        (
            LEVELS,
            [*RULES, RULES[0] | {"segment_name": "Twice", "meaning": "Twice"}],
            [
                'there are 2 rows for recency_level "recent" with value_level "top"; '
                "keep one"
            ],
        ),
        (
            LEVELS,
            change(RULES, {"recency_level": "lapsd"}, segment_name="Lost small buyers"),
            [
                'the row for recency_level "lapsd" with value_level "low" names a '
                "level that segment_levels.csv does not have",
                'there is no row for recency_level "lapsed" with value_level "low"; '
                "add one",
            ],
        ),
        (
            LEVELS,
            change(RULES, {"segment_name": "top SPENDERS"}, value_level="middle"),
            ['rows have the segment_name "Top spenders"; give each a name of its own'],
        ),
        (
            LEVELS,
            change(RULES, {"meaning": "The same."}, recency_level="recent"),
            ['4 rows have the meaning "The same."; say what sets each apart'],
        ),
        (
            LEVELS,
            change(
                RULES,
                {"strategy": "  ", "third_action": ""},
                segment_name="Top spenders",
            ),
            ['with value_level "top" has no strategy, third_action; fill it in'],
        ),
        (
            LEVELS,
            change(
                RULES,
                {"segment_name": "Shops, lower value"},
                segment_name="Top spenders",
            ),
            ['"Shops, lower value" holds ", higher value", ", lower value" or'],
        ),
        (
            change(LEVELS, {"upper_z": "0.3"}, level="typical"),
            RULES,
            [
                'the level "typical" of recency ends at 0.3 but the next, "slipping", '
                "starts at 0.25; give both the same number"
            ],
        ),
        (
            change(LEVELS, {"upper_z": "0.2"}, level="typical"),
            RULES,
            ['ends at 0.2 but the next, "slipping", starts at 0.25'],
        ),
        (
            change(LEVELS, {"upper_z": ""}, level="typical"),
            RULES,
            ['ends at no edge but the next, "slipping", starts at 0.25'],
        ),
        (
            change(LEVELS, {"lower_z": "-5"}, level="low"),
            RULES,
            ['lowest level of value, "low", starts at -5.0; leave its lower_z empty'],
        ),
        (
            change(LEVELS, {"upper_z": "5"}, level="lapsed"),
            RULES,
            ['the highest level of recency, "lapsed", ends at 5.0; leave its upper_z'],
        ),
        (
            change(
                change(
                    change(LEVELS, {"lower_z": "0.4"}, level="middle"),
                    {"upper_z": "0.4"},
                    level="low",
                ),
                {"upper_z": "-0.25"},
                level="middle",
            ),
            RULES,
            [
                'the level "middle" of value has the lower edge 0.4 and the upper edge '
                "-0.25; the upper one must be larger",
                'the level "middle" of value ends at -0.25 but the next, "high"',
            ],
        ),
        (
            change(LEVELS, {"measure": "Value"}, level="top"),
            drop(RULES, value_level="top"),
            [
                'the highest level of value, "high", ends at 1.35; leave its upper_z',
                'a row has the measure "Value" and the level "top"; the measure is',
            ],
        ),
        (
            drop(LEVELS, measure="value"),
            RULES[:1],
            [
                "there is no level of value; add one",
                'the row for recency_level "recent" with value_level "top" names a',
            ],
        ),
        (
            change(LEVELS, {"level": "recent"}, level="typical"),
            drop(RULES, recency_level="typical"),
            ['the level "recent" of recency is there 2 times; keep one'],
        ),
    ],
)
def test_a_broken_seed_is_told_in_words(checks, levels, rules, sentences):
    found = find_problems(checks, levels, rules)

    assert len(found) == len(sentences), found
    for sentence in sentences:
        assert any(sentence in problem for problem in found), found


def test_the_build_stops_with_the_sentence(tmp_path, monkeypatch):
    project = tmp_path / "project"
    for name in ("models", "macros", "seeds", "tests", "python", "analyses"):
        shutil.copytree(
            PROJECT / name, project / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copy(PROJECT / name, project / name)
    seed = project / "seeds" / "segment_rules.csv"
    seed.write_text(seed.read_text().replace("typical,low,", "typical,lowest,"))
    monkeypatch.setattr(conftest, "PROJECT", project)
    line = {
        "invoice_no": "1",
        "stock_code": "10001",
        "quantity": 1,
        "invoice_date": datetime(2011, 1, 1),
        "unit_price": Decimal("1"),
    }
    result = run_dbt(
        ["build", "--select", "segment_levels", "segment_rules"],
        folder=tmp_path / "built",
        landing=write_landing(tmp_path / "landing", [line]),
    )

    assert result.returncode != 0
    said = " ".join(result.stdout.split())
    assert "The segments cannot be named as the seeds are: - segment_rules.csv" in said
    assert 'no row for recency_level "typical" with value_level "low"; add one' in said


# The real data set, clustered here as scikit-learn does it.


def cluster_customers(warehouse, *, k, transform):
    customers = pd.DataFrame(
        warehouse.rows(
            "select customer_id, recency_days, frequency, "
            "cast(monetary_value as double) as monetary_value "
            "from marts.fct_customer_rfm "
            "where is_current and unscored_reason is null order by customer_id"
        )
    )
    logs = np.log1p(customers[FEATURES])
    matrix = StandardScaler().fit_transform(
        logs if transform == "log1p" else customers[FEATURES]
    )
    labels = KMeans(n_clusters=k, n_init=10, random_state=42).fit_predict(matrix)
    z = pd.DataFrame(StandardScaler().fit_transform(logs), columns=FEATURES)
    means = z.groupby(labels).mean()
    in_order = means["monetary_value"].sort_values(ascending=False).index
    numbers = {label: number for number, label in enumerate(in_order, start=1)}
    customers["cluster_id"] = [numbers[label] for label in labels]
    numbered = {
        numbers[label]: (
            at["recency_days"],
            (at["frequency"] + at["monetary_value"]) / 2,
        )
        for label, at in means.iterrows()
    }
    return customers, numbered


@pytest.mark.parametrize("k", range(2, 11))
def test_names_on_the_real_data(net_models, real_net, k):
    customers, numbered = cluster_customers(real_net, k=k, transform="log1p")
    found = name_clusters(net_models, numbered)

    check_names(found, numbered)
    medians = customers.groupby("cluster_id")[FEATURES].median()
    everybody = customers[FEATURES].median()
    for number, row in found.items():
        name, at = base_name(row["segment_name"]).lower(), medians.loc[number]
        if re.search(r"best|active", name):
            assert at["recency_days"] < everybody["recency_days"]
        if re.search(r"slipping|lapsed|lost", name):
            assert at["recency_days"] > everybody["recency_days"]
        if re.search(r"best|top|high", name):
            assert at["monetary_value"] > everybody["monetary_value"]
            assert at["frequency"] > everybody["frequency"]
        if re.search(r"small", name):
            assert at["monetary_value"] < everybody["monetary_value"]
            assert at["frequency"] <= everybody["frequency"]
    names = [base_name(found[number]["segment_name"]) for number in sorted(found)]
    if k >= 3:
        assert names[0] == "Best customers"
        assert names[-1] == "Lost small buyers"


def test_names_on_the_real_data_at_five_clusters(net_models, real_net):
    _, numbered = cluster_customers(real_net, k=5, transform="log1p")

    found = name_clusters(net_models, numbered)

    assert [found[number]["segment_name"] for number in sorted(found)] == [
        "Best customers",
        "Active high spenders",
        "Slipping mainstream buyers",
        "Occasional small buyers",
        "Lost small buyers",
    ]


def test_names_of_the_textbook_clusters(net_models, real_textbook):
    """Two clusters of outliers, 13 and 204 customers, lie in one place."""
    _, numbered = cluster_customers(real_textbook, k=4, transform="none")

    found = name_clusters(net_models, numbered)

    assert [found[number]["segment_name"] for number in sorted(found)] == [
        "Best customers, higher value",
        "Best customers, lower value",
        "Mainstream buyers",
        "Lost small buyers",
    ]
