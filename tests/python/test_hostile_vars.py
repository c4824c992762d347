"""Vars that try to become SQL or Jinja: each is refused before anything runs."""

import re

import pytest
import yaml
from conftest import PROJECT
from dbt.cli.main import dbtRunner

VARS = yaml.safe_load((PROJECT / "dbt_project.yml").read_text())["vars"]
SQL = "x'; drop table shop.lines; --"
# Given to all vars at once, none of which may take it.
ATTACKS = {
    "sql": SQL,
    "an identifier's quote": '"',
    "a null byte": "net\0",
    "a line break behind": "2011-01-01\n",
    "no ascii digits": "\u0662\u0660\u0661\u0661-\u0660\u0661-\u0660\u0661",
    "a list": [SQL],
    "a list of lists": [["net"]],
    "a mapping": {SQL: SQL},
    "a mapping of names": {"frequency": SQL, "win_back": SQL, "invoice_no": 5},
    "nothing": None,
    "no number": float("nan"),
    "endless": float("inf"),
    "huge": 10**400,
    "below": -2,
}
JINJA = ["{{ 7 * 7 }}", "{% do run_query('select 1') %}", "{# net #}net"]


@pytest.fixture(scope="module")
def validate(tmp_path_factory):
    """Run the check of the vars alone, in this process, on a project parsed once."""
    folder = tmp_path_factory.mktemp("vars")
    places = ["--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT)]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DUCKDB_PATH", str(folder / "warehouse.duckdb"))
        patch.setenv("LANDING_PATH", str(folder / "no-landing"))
        parsed = dbtRunner().invoke(["--quiet", "parse", *places])
        assert parsed.success, parsed.exception

        def run(variables, capsys):
            ended = dbtRunner(manifest=parsed.result).invoke(
                [
                    *("--quiet", "--no-use-colors", "run-operation", "validate_vars"),
                    *("--vars", yaml.safe_dump(variables), *places),
                ]
            )
            return ended.success, "".join(capsys.readouterr())

        yield run


def refused(said):
    """List the vars that a message names."""
    return re.findall(r"^\s+- (?:var ')?(\w+)", said, re.MULTILINE)


def test_every_var_has_a_check(validate, capsys):
    """An unknown type of value is refused by each, so that a new var needs a check."""
    is_green, said = validate({name: {"x": "y"} for name in VARS}, capsys)
    assert not is_green
    assert set(refused(said)) == set(VARS)


def test_the_defaults_pass(validate, capsys):
    is_green, said = validate(VARS, capsys)
    assert is_green, said


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_refused_by_every_var(attack, validate, capsys):
    is_green, said = validate(dict.fromkeys(VARS, ATTACKS[attack]), capsys)
    assert not is_green
    assert "Vars that cannot be used:" in said
    assert "Traceback" not in said
    assert set(refused(said)) == set(VARS)


@pytest.mark.parametrize("attack", JINJA)
def test_jinja_is_refused_unrendered(attack, validate, capsys):
    is_green, said = validate(dict.fromkeys(VARS, attack), capsys)
    assert not is_green
    assert set(refused(said)) == set(VARS)
    assert said.count(f"holds Jinja, '{attack}'") == len(VARS)


@pytest.mark.parametrize("nest", [lambda text: [text], lambda text: {"store": text}])
def test_jinja_is_refused_within_lists_and_mappings(nest, validate, capsys):
    variables = {"source_columns": nest(JINJA[0]), "cluster_features": nest(JINJA[0])}
    is_green, said = validate(variables, capsys)
    assert not is_green
    assert set(refused(said)) == set(variables)


@pytest.mark.parametrize("name", [SQL, "{{ 7 * 7 }}", "as_of_date ", ""])
def test_a_var_of_another_name_is_refused(name, validate, capsys):
    is_green, said = validate({name: 1}, capsys)
    assert not is_green
    assert f"var '{name}' is unknown" in said


@pytest.mark.parametrize("column", ["a\nb", "a\0b", "\x1b[2J"])
def test_a_column_is_no_control_character(column, validate, capsys):
    is_green, said = validate({"source_columns": {"store": column}}, capsys)
    assert not is_green
    assert refused(said) == ["source_columns"]
