"""The house rules, checked on what dbt itself has parsed and on the files."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from dictionary import GLOSSARY, OVERVIEW, TARGET, to_markdown, with_glossary
from retail_segments.audiences import MART
from retail_segments.report.marts import QUERIES

ROOT = Path(__file__).parents[2]
PREFIXES = {
    "staging": ("stg_",),
    "intermediate": ("int_",),
    "ml": ("ml_",),
    "marts": ("dim_", "fct_", "rpt_"),
}


def _parse():
    """Let dbt parse the project in a process of its own; return what it writes down."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("dbt")), "parse", "--quiet"]
        command += ["--target-path", folder, "--log-path", folder]
        result = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stdout
        return json.loads((Path(folder) / "manifest.json").read_text())


MANIFEST = _parse()
NODES = [SimpleNamespace(**node) for node in MANIFEST["nodes"].values()]
MODELS = [node for node in NODES if node.resource_type == "model"]
SEEDS = [node for node in NODES if node.resource_type == "seed"]
TESTS = [node for node in NODES if getattr(node, "test_metadata", None)]


def _layer(model):
    return Path(model.path).parts[0]


def _named(nodes):
    return pytest.mark.parametrize("node", nodes, ids=lambda node: node.name)


every_model = _named(MODELS)
every_sql_model = _named([model for model in MODELS if model.language == "sql"])
every_mart = _named([model for model in MODELS if _layer(model) == "marts"])


@every_model
def test_prefix_tells_the_layer(node):
    assert node.name.startswith(PREFIXES[_layer(node)])


@every_model
def test_yaml_lies_beside_the_model(node):
    yaml_path = Path(node.original_file_path).with_suffix(".yml")
    assert node.patch_path
    assert node.patch_path.endswith(str(yaml_path))


@every_model
def test_model_says_its_grain_first(node):
    assert node.description.startswith("One row")


@every_model
def test_file_says_its_grain_first(node):
    first_line = node.raw_code.strip().splitlines()[0]
    assert first_line.startswith(("-- One row", '"""One row')), first_line


@every_model
def test_every_declared_column_is_described(node):
    assert [
        name
        for name, column in node.columns.items()
        if not column["description"].strip()
    ] == []


@every_model
def test_schema_is_the_layer(node):
    assert node.schema == _layer(node)


@every_sql_model
def test_sql_ends_in_final(node):
    assert node.raw_code.rstrip().endswith("select * from final")


@every_sql_model
def test_sql_uses_no_dialect_of_one_engine(node):
    code = re.sub(r"--.*", "", node.raw_code)
    refused = r"\bqualify\b|::|\bvarchar\b|\blist_|\bgroup by all\b|\bstrftime\b"
    assert re.findall(refused, code) == []


@every_mart
def test_every_mart_keeps_a_contract(node):
    assert node.config["contract"]["enforced"]
    assert all(column["data_type"] for column in node.columns.values())


@every_mart
def test_every_mart_has_a_key_that_is_tested(node):
    keys = [
        test
        for test in TESTS
        if node.unique_id in test.depends_on["nodes"]
        and test.test_metadata["name"]
        in ("unique", "unique_combination", "primary_key")
    ]
    assert keys


@_named([model for model in MODELS if model.language == "python"])
def test_python_models_only_wrap(node):
    code = node.raw_code
    assert len(re.findall(r"^def ", code, flags=re.M)) == 1
    assert len(code.splitlines()) <= 60


INCREMENTAL = [
    model for model in MODELS if model.config["materialized"] == "incremental"
]


@_named([model for model in INCREMENTAL if "history" not in model.tags])
def test_a_change_of_any_rule_computes_incremental_models_anew(node):
    """All that they are made of counts in `rules_fingerprint`, by its tag."""
    nodes = {other.unique_id: other for other in NODES}
    to_do, seen = [node.unique_id], set()
    while to_do:
        found = nodes.get(to_do.pop())
        if found is not None and found.unique_id not in seen:
            seen.add(found.unique_id)
            to_do += getattr(found, "depends_on", {}).get("nodes", [])
    assert [name for name in seen if "change_groups" not in nodes[name].tags] == []


@_named([model for model in INCREMENTAL if "history" in model.tags])
def test_what_is_seen_at_dates_depends_on_what_is_fingerprinted_row_by_row(node):
    """Their own SQL counts by its tag, and all that they read by its rows."""
    nodes = {other.unique_id: other for other in NODES}
    parents = set(node.depends_on["nodes"])
    [fingerprints] = [name for name in parents if name.endswith("_fingerprinted")]
    assert "history" in nodes[fingerprints].tags
    read = parents - {fingerprints}
    assert read <= set(nodes[fingerprints].depends_on["nodes"])


@_named(SEEDS)
def test_seeds_are_small_and_described(node):
    lines = (ROOT / node.original_file_path).read_text().splitlines()
    assert len(lines) <= 200
    assert set(lines[0].split(",")) == set(node.columns)
    assert all(column["description"] for column in node.columns.values())


def test_only_the_insight_marts_read_the_ml_layer():
    readers = {
        _layer(model)
        for model in MODELS
        for parent in model.depends_on["nodes"]
        if parent.split(".")[-1].startswith("ml_")
    }
    assert readers <= {"ml", "marts"}


def test_only_staging_reads_sources():
    readers = {
        _layer(model)
        for model in MODELS
        if any(parent.startswith("source.") for parent in model.depends_on["nodes"])
    }
    assert readers == {"staging"}


def test_duckdb_knows_how_many_lines_have_landed_if_the_first_file_is_small(tmp_path):
    source = MANIFEST["sources"]["source.retail_segments.online_retail.lines"]
    location = source["config"]["external_location"].replace(
        "'landing/", f"'{tmp_path}/"
    )
    for name, count in (("a", 10), ("b", 10_000)):
        pq.write_table(pa.table({"line": range(count)}), tmp_path / f"{name}.parquet")

    explain = f"explain (format json) select line from {location}"
    [(_, plan)] = duckdb.sql(explain).fetchall()

    assert re.findall(r'"Estimated Cardinality": "~?([\d,]+)', plan) == ["10010"]


def test_marts_are_public_and_everything_else_is_protected():
    access = {(_layer(model), model.access) for model in MODELS}
    assert access == {
        ("marts", "public"),
        ("ml", "protected"),
        ("intermediate", "protected"),
        ("staging", "protected"),
    }
    assert {model.group for model in MODELS} == {
        group["name"] for group in MANIFEST["groups"].values()
    }


def _exposed(name):
    [exposure] = [
        each for each in MANIFEST["exposures"].values() if each["name"] == name
    ]
    return {node.split(".")[-1] for node in exposure["depends_on"]["nodes"]}


def test_exposures_name_what_is_read():
    marts = {model.name for model in MODELS if _layer(model) == "marts"}
    read = {
        name
        for query in QUERIES.values()
        for name in re.findall(r"(?:from|join)\s+((?:dim|fct|rpt)_\w+)", query)
    }
    assert _exposed("report_page") == _exposed("slide_deck") == read
    assert _exposed("bi_extracts") == marts
    assert _exposed("campaign_audiences") == {MART}


def test_the_data_dictionary_says_what_the_models_say():
    assert TARGET.read_text() == to_markdown(MANIFEST["nodes"]), "run `make dictionary`"
    overview = OVERVIEW.read_text()
    assert overview == with_glossary(overview, GLOSSARY.read_text())


def test_every_glossary_entry_is_used():
    entries = set(
        re.findall(r"{% docs (\w+) %}", (ROOT / "models/_glossary.md").read_text())
    )
    used = set()
    for path in [*ROOT.glob("models/**/*.yml"), *ROOT.glob("seeds/*.yml")]:
        used |= set(re.findall(r"doc\('(\w+)'\)", path.read_text()))
    assert entries == used


def test_every_singular_test_is_described():
    declared = yaml.safe_load((ROOT / "tests/singular/_singular.yml").read_text())
    names = {test["name"] for test in declared["data_tests"]}
    assert names == {path.stem for path in (ROOT / "tests/singular").glob("*.sql")}
    assert all(name.startswith("assert_") for name in names)


def test_every_reject_reason_in_the_sql_is_explained_in_the_seed():
    rows = (ROOT / "seeds/reject_reasons.csv").read_text().splitlines()
    explained = {row.split(",")[0] for row in rows[1:]}
    node = next(node for node in MODELS if node.name == "int_lines_classified")
    reasons, _ = node.raw_code.split("end as reject_reason")
    assert set(re.findall(r"then '(\w+)'", reasons)) == explained


def test_vars_are_validated():
    """Every var of the project is one that `validate_vars` knows, and the reverse."""
    project = yaml.safe_load((ROOT / "dbt_project.yml").read_text())
    macro = (ROOT / "macros/validate_vars.sql").read_text()
    known = re.search(r"known = \[(.*?)\]", macro, flags=re.S)
    assert known
    assert set(project["vars"]) == set(re.findall(r'"(\w+)"', known.group(1)))


@pytest.mark.parametrize(
    ("test", "arguments", "message"),
    [
        ("accepted_ranges", {"ranges": {}}, "a mapping of columns"),
        ("accepted_ranges", {"ranges": {"k": {}}}, "give min_value, max_value or both"),
        ("accepted_ranges", {"ranges": {"k": {"min": 1}}}, "min_value, max_value"),
        ("columns_not_null", {"columns": "customer_id"}, "give columns, a list"),
        ("columns_not_null", {"columns": []}, "give columns, a list"),
        ("primary_key", {"columns": "customer_id"}, "and others_not_null, lists"),
        ("primary_key", {"columns": []}, "give columns, a list"),
        ("unique_combination", {"columns": "customer_id"}, "a list of two or more"),
        ("unique_combination", {"columns": ["customer_id"]}, "a list of two or more"),
        ("relationships_both_ways", {"to": "ref('dim_customers')"}, "to and field"),
    ],
)
def test_generic_tests_refuse_bad_arguments(test, arguments, message):
    given = {"model": "m", "column_name": "c", "field": None, **arguments}
    if test != "relationships_both_ways":
        given = {"model": "m", **arguments}
    with pytest.raises(ValueError, match=message):
        _render(test, given)


def _render(test, given):
    """Write the SQL of a generic test, as dbt would."""
    from jinja2 import Environment

    source = (ROOT / f"tests/generic/{test}.sql").read_text()
    source = re.sub(r"{%-? test (\w+)\(", r"{% macro test_\1(", source)
    source = source.replace("{% endtest %}", "{% endmacro %}")

    def refuse(text):
        raise ValueError(text)

    exceptions = type("exceptions", (), {"raise_compiler_error": staticmethod(refuse)})
    module = (
        Environment(autoescape=True)
        .from_string(source, globals={"exceptions": exceptions})
        .module
    )
    return getattr(module, f"test_{test}")(**given)


@pytest.mark.parametrize(
    ("rows", "broken"),
    [
        ("(1, 1, 7), (1, 2, 7), (2, 1, 8)", []),
        ("(1, 1, 7), (1, 1, 7), (2, 1, 8)", [(1, 1)]),
        ("(1, 1, 7), (1, null, 7), (null, null, 8)", [(1, None), (None, None)]),
        ("(1, 1, 7), (1, 2, null), (2, 1, 8)", [(1, 2)]),
    ],
)
def test_a_primary_key_is_never_missing_and_never_there_twice(rows, broken):
    given = {"columns": ["k", "n"], "others_not_null": ["label"]}
    query = _render(
        "primary_key", {"model": f"(values {rows}) as t (k, n, label)"} | given
    )
    with duckdb.connect() as connection:
        found = connection.execute(f"{query} order by all").fetchall()
    assert [row[:2] for row in found] == broken


def test_everybody_means_the_same_features():
    """SQL and Python have a list each of what customers may be clustered on."""
    from retail_segments.groupings import FEATURES
    from retail_segments.reasons import FEATURES as EXPLAINED

    macro = (ROOT / "macros/clusterable_features.sql").read_text()

    assert re.findall(r'"(\w+)"', macro) == list(EXPLAINED) == list(FEATURES)
