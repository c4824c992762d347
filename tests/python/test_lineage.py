"""A warehouse that lives on: models are matched, promoted, refused, frozen."""

import datetime
import shutil

import duckdb
import pytest
from conftest import Warehouse, make_once, run_dbt, shared_folder
from retail_segments.demo import write_demo
from retail_segments.load import load_files

# Few customers, so that the rule would find another number of clusters at each date.
FIVE = {"cluster_count": 5}
SEGMENTS = ["+path:models/marts/segments", "+ml_customer_clusters"]
DRIFT_GATE = "assert_refit_drift_is_accepted"
LABEL_GATE = "assert_sql_and_python_place_customers_alike"
EARLIER = {**FIVE, "as_of_date": "2024-10-31"}


@pytest.fixture(scope="module")
def landing(tmp_path_factory):
    def make(folder):
        demo = write_demo(folder / "demo", customers=400)
        load_files([demo.lines], landing=folder / "landing", kind="demo")

    return make_once(shared_folder(tmp_path_factory) / "lineage", make) / "landing"


def build(folder, landing, **variables):
    """Build segments and what they need, without gates; return what dbt said."""
    options = ["--warn-error", "--exclude-resource-types", "unit_test", "test"]
    return run_dbt(
        ["build", "--select", *SEGMENTS, *options],
        folder=folder,
        landing=landing,
        variables=variables,
    )


def check(gate, folder, landing, **variables):
    """Run one gate alone."""
    return run_dbt(
        ["test", "--select", gate],
        folder=folder,
        landing=landing,
        variables=variables,
    )


def built(folder, landing, **variables):
    result = build(folder, landing, **variables)
    assert result.returncode == 0, result.stdout + result.stderr
    return copy(folder)


def copy(folder):
    """Keep the warehouse as it is now, since the next build changes it."""
    count = len(list(folder.glob("copy-*.duckdb")))
    path = folder / f"copy-{count}.duckdb"
    shutil.copy(folder / "warehouse.duckdb", path)
    return Warehouse(path)


@pytest.fixture(scope="module")
def lineage(tmp_path_factory, landing):
    """Fit on an earlier day, refit, repeat, and freeze, in one warehouse."""
    folder = tmp_path_factory.mktemp("lineage")
    return {
        "first": built(folder, landing, **EARLIER),
        "refitted": built(folder, landing, **FIVE),
        "repeated": built(folder, landing, **FIVE),
        "frozen": built(folder, landing, **FIVE, cluster_model="frozen"),
    }


def segments(warehouse):
    return {
        row["cluster_id"]: row["segment_name"]
        for row in warehouse.rows("select * from marts.dim_segments")
    }


def current(warehouse):
    [row] = warehouse.rows("select * from marts.dim_cluster_models where is_current")
    return row


def test_a_refit_keeps_numbers_and_names(lineage):
    before, after = segments(lineage["first"]), segments(lineage["refitted"])

    both = before.keys() & after.keys()
    assert len(both) >= min(len(before), len(after))
    assert {number: before[number] for number in both} == {
        number: after[number] for number in both
    }


def test_the_refit_follows_the_first_model(lineage):
    first, refitted = current(lineage["first"]), current(lineage["refitted"])

    assert refitted["model_version"] == first["model_version"] + 1
    assert refitted["previous_model_id"] == first["model_id"]
    assert refitted["as_of_date"] > first["as_of_date"] == datetime.date(2024, 10, 31)


def test_promotion_moves_as_many_as_the_fit_counted(lineage):
    [moved] = lineage["refitted"].values(
        "select sum(customer_share) from marts.rpt_cluster_promotion where is_move"
    )

    assert moved == pytest.approx(current(lineage["refitted"])["moved_share"])


def test_moves_for_the_refit_are_told_apart(lineage):
    causes = {
        row["cause"]: row["customers"]
        for row in lineage["refitted"].rows(
            "select cause, sum(customer_count) as customers "
            "from marts.rpt_segment_migration where is_move "
            "and to_date = (select max(to_date) from marts.rpt_segment_migration) "
            "group by cause"
        )
    }
    earlier = lineage["refitted"].values(
        "select distinct cause from marts.rpt_segment_migration where is_move "
        "and to_date < (select max(to_date) from marts.rpt_segment_migration)"
    )

    assert causes.get("refit", 0) > 0
    assert "refit" not in earlier


@pytest.mark.parametrize("build_name", ["repeated", "frozen"])
def test_the_same_data_give_the_same_bytes(lineage, build_name):
    before, after = lineage["refitted"], lineage[build_name]
    tables = [
        (schema, table) for schema in ("ml", "marts") for table in before.tables(schema)
    ]

    assert len(tables) > 20
    for schema, table in tables:
        query = f"select * from {schema}.{table} order by all"
        assert before.arrow(query).equals(after.arrow(query)), table


def test_a_refit_that_moves_too_many_waits_and_segments_stay(
    tmp_path_factory, landing, lineage
):
    folder = tmp_path_factory.mktemp("drift")
    shutil.copy(lineage["first"].path, folder / "warehouse.duckdb")

    strict = {**FIVE, "cluster_drift_limit": 0.0}
    waiting = built(folder, landing, **strict)
    refused = check(DRIFT_GATE, folder, landing, **strict)
    accepted = built(folder, landing, **strict, cluster_drift_accepted=True)
    passed = check(DRIFT_GATE, folder, landing, **strict)

    assert refused.returncode != 0
    assert DRIFT_GATE in refused.stdout
    assert passed.returncode == 0
    assert current(waiting)["model_id"] == current(lineage["first"])["model_id"]
    assert segments(waiting) == segments(lineage["first"])
    snapshot = "select max(snapshot_date) from marts.dim_customer_segments"
    assert waiting.value(snapshot) == lineage["refitted"].value(snapshot)
    query = (
        "select customer_id, cluster_id from marts.dim_customer_segments "
        "order by customer_id"
    )
    assert accepted.rows(query) == lineage["refitted"].rows(query)


def test_a_frozen_model_places_the_customers_of_a_later_day(
    tmp_path_factory, landing, lineage
):
    folder = tmp_path_factory.mktemp("frozen")
    shutil.copy(lineage["first"].path, folder / "warehouse.duckdb")

    later = built(folder, landing, **FIVE, cluster_model="frozen")
    labels_agree = check(LABEL_GATE, folder, landing, **FIVE, cluster_model="frozen")

    assert labels_agree.returncode == 0
    assert current(later)["model_id"] == current(lineage["first"])["model_id"]
    assert segments(later) == segments(lineage["first"])
    count = "select count(*) from marts.dim_customer_segments where cluster_id > 0"
    assert later.value(count) == lineage["refitted"].value(count)
    assert later.value(count) > lineage["first"].value(count)


def test_the_real_customers_keep_their_segments_names(tmp_path_factory, real_landing):
    folder = tmp_path_factory.mktemp("real")

    october = built(folder, real_landing, **FIVE, as_of_date="2011-10-31")
    december = built(folder, real_landing, **FIVE)
    labels_agree = check(LABEL_GATE, folder, real_landing, **FIVE)

    assert labels_agree.returncode == 0
    assert current(december)["previous_model_id"] == current(october)["model_id"]
    assert segments(december) == segments(october)
    assert len(segments(december)) == 5


def test_a_coarser_choice_on_the_real_set_waits(tmp_path_factory, real_landing):
    """The rule finds nine stable clusters in October and five in December."""
    folder = tmp_path_factory.mktemp("real_auto")

    october = built(folder, real_landing, as_of_date="2011-10-31")
    december = built(folder, real_landing)
    gate = check(DRIFT_GATE, folder, real_landing)

    assert current(october)["cluster_count"] > 5
    assert gate.returncode != 0
    assert current(december)["model_id"] == current(october)["model_id"]
    assert segments(december) == segments(october)


def test_another_number_of_clusters_is_a_wish_not_a_drift(
    tmp_path_factory, landing, lineage
):
    folder = tmp_path_factory.mktemp("wish")
    shutil.copy(lineage["first"].path, folder / "warehouse.duckdb")

    six = built(folder, landing, cluster_drift_limit=0.0, cluster_count=6)

    assert current(six)["cluster_count"] == 6
    first = segments(lineage["first"])
    assert {n: name for n, name in segments(six).items() if n in first}.keys() == (
        first.keys() & segments(six).keys()
    )
    assert len(segments(six)) == 6


def test_frozen_before_any_model_says_what_to_do(tmp_path, landing):
    result = build(tmp_path, landing, cluster_model="frozen")

    assert result.returncode != 0
    assert "no model has been fitted" in result.stdout
    with duckdb.connect(str(tmp_path / "warehouse.duckdb"), read_only=True) as opened:
        assert opened.sql("select count(*) from marts.fct_customer_rfm").fetchall()
