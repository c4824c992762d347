"""A project that installs this one as a package, built for real."""

import json
import shutil

import pytest
import yaml
from scheduled import BIN, EXAMPLES, PROJECT, call, read, said


@pytest.fixture(scope="module")
def consumer(tmp_path_factory, inbox):
    """Copy the example, as a project of its own elsewhere, and load the lines."""
    folder = tmp_path_factory.mktemp("consumer") / "shop"
    shutil.copytree(
        EXAMPLES / "dbt-package",
        folder,
        ignore=shutil.ignore_patterns("dbt_packages", "target", "logs"),
    )
    packages = folder / "packages.yml"
    text = packages.read_text()
    assert "local: ../.." in text
    packages.write_text(text.replace("local: ../..", f"local: {PROJECT}"))
    load = call([BIN / "retail-segments", "load", *inbox.iterdir()], cwd=folder)
    assert load.returncode == 0, said(load)
    return folder


@pytest.fixture(scope="module")
def built(consumer):
    deps = call([BIN / "dbt", "deps"], cwd=consumer)
    assert deps.returncode == 0, said(deps)
    build = call([BIN / "dbt", "--quiet", "--warn-error", "build"], cwd=consumer)
    assert build.returncode == 0, said(build)
    return consumer


def manifest(folder):
    return json.loads((folder / "parsed" / "manifest.json").read_text())


def test_the_model_on_top_counts_every_customer_in_a_segment(built):
    [(mine, theirs)] = read(
        built / "warehouse" / "shop.duckdb",
        "select (select sum(customer_count) from marketing.segment_mailings), "
        "(select count(*) from marts.dim_customer_segments "
        "where segment_name is not null)",
    )
    assert mine == theirs > 100


def test_the_gates_of_the_package_guard_the_build(built):
    results = json.loads((built / "target" / "run_results.json").read_text())
    passed = {
        result["unique_id"].split(".")[2]
        for result in results["results"]
        if result["status"] == "pass"
    }
    assert "assert_control_totals_agree" in passed
    assert "assert_sql_and_python_place_customers_alike" in passed
    # And the gates of the consumer, one of them by a generic test of the package.
    own = [
        result
        for result in results["results"]
        if result["unique_id"].startswith("test.shop_marketing.")
    ]
    assert len(own) == 2


def test_folders_are_switched_off_and_schemas_are_named_for_layers(built):
    [(schemas, tables)] = read(
        built / "warehouse" / "shop.duckdb",
        "select list(distinct schema_name order by schema_name), list(table_name) "
        "from duckdb_tables()",
    )
    assert schemas == ["intermediate", "marketing", "marts", "ml", "reference"]
    assert "rpt_segment_profiles" in tables
    assert "rpt_cohort_curve" not in tables
    assert "rpt_sales_monthly" not in tables


def test_vars_below_the_name_of_the_package_reach_it(built):
    project = built / "dbt_project.yml"
    before = project.read_text()
    content = yaml.safe_load(before)
    given = content["vars"]["retail_segments"] = {
        "source_table": "raw.lines",
        "freshness_warn_days": 3,
        "cluster_model": "frozen",
    }
    try:
        project.write_text(yaml.safe_dump(content))
        parsed = call([BIN / "dbt", "parse", "--target-path", "parsed"], cwd=built)
        given["cluster_count"] = 99
        project.write_text(yaml.safe_dump(content))
        build = call([BIN / "dbt", "build", "--select", "segment_mailings"], cwd=built)
    finally:
        project.write_text(before)
    assert parsed.returncode == 0, said(parsed)
    assert build.returncode == 2
    assert "cluster_count is '99'; give auto or a whole number" in said(build)
    nodes, sources = manifest(built)["nodes"], manifest(built)["sources"]
    lines = sources["source.retail_segments.warehouse.lines"]
    assert lines["relation_name"] == '"shop"."raw"."lines"'
    assert lines["freshness"]["warn_after"] == {"count": 3, "period": "day"}
    models = nodes["model.retail_segments.ml_cluster_models"]
    assert models["config"]["meta"]["mode"] == "frozen"


def test_results_are_read_in_the_consumer_too(built):
    result = call(
        [BIN / "retail-segments", "results"],
        cwd=built,
        DUCKDB_PATH="warehouse/shop.duckdb",
    )
    assert result.returncode == 0, said(result)
    assert result.stdout.startswith("dbt build: green")
    # The control totals are found in the schemas of the consumer.
    assert " delivered, " in result.stdout


def test_every_folder_that_the_docs_say_can_be_switched_off_can_be(consumer):
    """Nothing else reads them; their own gates go with them."""
    call([BIN / "dbt", "deps"], cwd=consumer)
    page = (PROJECT / "docs" / "package.md").read_text()
    row = next(line for line in page.splitlines() if line.startswith("Nothing else"))
    folders = [part for part in row.split("`") if part.startswith("marts/")]
    assert len(folders) >= 2
    project = consumer / "dbt_project.yml"
    before = project.read_text()
    content = yaml.safe_load(before)
    content["models"]["retail_segments"]["marts"] = {
        folder.split("/")[1]: {"+enabled": False} for folder in folders
    }
    project.write_text(yaml.safe_dump(content))
    try:
        parsed = call(
            [BIN / "dbt", "--warn-error", "parse", "--target-path", "parsed"],
            cwd=consumer,
        )
    finally:
        project.write_text(before)
    assert parsed.returncode == 0, said(parsed)
