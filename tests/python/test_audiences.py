"""The export of an audience: who is in the file, who can read it, what is recorded."""

import csv
import datetime
import hashlib
import hmac
import stat
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from retail_segments.audiences import usual_window_days
from retail_segments.cells import harmless
from retail_segments.cli import main
from retail_segments.landing import landed_file, landed_kind, put_in_place

KEY = "the key of this test, long enough"
BEST = "best-customers-2011-12"
LOST = "lost-small-buyers-2011-12"


@pytest.fixture
def shop(tmp_path, monkeypatch):
    """A warehouse with two campaigns, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DUCKDB_PATH", str(tmp_path / "shop.duckdb"))
    monkeypatch.setenv("LANDING_PATH", str(tmp_path / "landing"))
    monkeypatch.setenv("RETAIL_SEGMENTS_PSEUDONYM_KEY", KEY)
    monkeypatch.delenv("SCHEMA_PREFIX", raising=False)
    with duckdb.connect(str(tmp_path / "shop.duckdb")) as connection:
        connection.execute("create schema marts")
        connection.execute(
            "create table marts.fct_campaign_audiences as select "
            f"case when n < 20 then '{BEST}' else '{LOST}' end as campaign_id, "
            "cast(12346 + (n * 37) % 101 as varchar) as customer_id, "
            "'A campaign' as campaign_name, "
            "case when n < 20 then 'Best customers' else 'Lost' end as segment_name, "
            "case when n < 20 then '=cmd|x' else 'Büro' end as recommended_action, "
            "n % 5 = 0 as is_control, date '2011-12-10' as audience_date "
            "from range(50) as numbers(n)"
        )
    return tmp_path


def run(*arguments):
    result = CliRunner().invoke(main, ["export-audience", *arguments])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result


def succeed(*arguments):
    result = run(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def refused(*arguments):
    result = run(*arguments)
    assert result.exit_code == 2, result.output
    [sentence] = result.output.splitlines()
    return sentence


def read(path):
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def people(shop, *, campaign=BEST, is_control=False):
    with duckdb.connect(str(shop / "shop.duckdb"), read_only=True) as connection:
        return {
            customer_id
            for (customer_id,) in connection.execute(
                "select customer_id from marts.fct_campaign_audiences "
                "where campaign_id = ? and is_control = ?",
                [campaign, is_control],
            ).fetchall()
        }


def record(shop, campaign=BEST):
    return shop / "landing" / "campaigns" / f"{campaign}.parquet"


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_the_file_holds_pseudonyms_of_the_treated_and_nothing_more(shop):
    succeed(BEST)

    rows = read(shop / f"{BEST}.csv")
    assert [row["pseudonym"] for row in rows] == sorted(
        hmac.new(KEY.encode(), customer_id.encode(), hashlib.sha256).hexdigest()
        for customer_id in people(shop)
    )
    assert list(rows[0]) == [
        "pseudonym",
        "campaign_id",
        "segment_name",
        "recommended_action",
    ]
    text = (shop / f"{BEST}.csv").read_text(encoding="utf-8")
    assert not any(customer_id in text for customer_id in people(shop))


def test_ids_and_the_control_group_are_written_when_asked_for(shop):
    succeed(BEST, "--customer-ids", "--with-control", "--to", "all.csv")

    rows = read("all.csv")
    groups = {row["customer_id"]: row["group"] for row in rows}
    assert list(groups) == sorted(groups)
    assert {name for name, group in groups.items() if group == "treated"} == people(
        shop
    )
    assert {name for name, group in groups.items() if group == "control"} == people(
        shop, is_control=True
    )


def test_amounts_and_levers_are_written_where_the_mart_has_them(shop):
    assert "No expected amounts are known" in refused(BEST, "--with-amounts")
    assert not record(shop).exists()
    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        connection.execute(
            "create or replace table marts.fct_campaign_audiences as select *, "
            "'Win back' as lever, cast(12.5 as decimal(18, 4)) as expected_amount, "
            "0.25 as expected_orders from marts.fct_campaign_audiences"
        )
    succeed(BEST, "--dry-run", "--to", "plain.csv")
    succeed(BEST, "--with-amounts", "--to", "amounts.csv")

    assert read("plain.csv")[0]["lever"] == "Win back"
    assert "expected_amount" not in read("plain.csv")[0]
    assert read("amounts.csv")[0]["expected_amount"] == "12.5000"
    assert read("amounts.csv")[0]["expected_orders"] == "0.25"
    succeed(BEST, "--again", "--to", "later.csv")
    assert read("later.csv") == read("plain.csv")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_begins_a_formula(start):
    assert harmless(f"{start}1+1") == f"'{start}1+1"
    assert harmless(f"1{start}1") == f"1{start}1"


def test_the_file_is_utf_8_and_its_cells_are_harmless(shop):
    succeed(BEST)
    succeed(LOST)

    for campaign, action in ((BEST, "'=cmd|x"), (LOST, "Büro")):
        rows = read(shop / f"{campaign}.csv")
        assert {row["recommended_action"] for row in rows} == {action}


def test_only_the_owner_reads_what_is_written(shop):
    (shop / f"{BEST}.csv").write_text("of an earlier day")
    (shop / f"{BEST}.csv").chmod(0o644)
    succeed(BEST)

    assert mode(shop / f"{BEST}.csv") == 0o600
    assert mode(record(shop)) == 0o600
    assert mode(record(shop).parent) == 0o700
    # Nothing half-written is left behind.
    assert {path.name for path in shop.iterdir()} == {
        "shop.duckdb",
        "landing",
        f"{BEST}.csv",
    }
    assert [path.name for path in (shop / "landing").iterdir()] == ["campaigns"]


def test_the_launch_is_recorded_with_everybody_and_the_shop_s_own_ids(shop):
    said = succeed(BEST)
    rows = pq.read_table(record(shop)).to_pylist()

    assert {row["customer_id"] for row in rows if not row["is_control"]} == people(shop)
    assert {row["customer_id"] for row in rows if row["is_control"]} == people(
        shop, is_control=True
    )
    assert {row["campaign_id"] for row in rows} == {BEST}
    assert {row["launched_date"] for row in rows} == {datetime.date(2011, 12, 10)}
    assert {row["window_days"] for row in rows} == {90}
    assert "16 customers to write to, 4 held out." in said
    assert "A build with lines up to 2012-03-09 measures it" in said


def test_the_day_and_the_window_can_be_given(shop):
    succeed(BEST, "--launched", "2012-01-02", "--window-days", "30")
    [row] = pq.read_table(record(shop)).slice(0, 1).to_pylist()

    assert row["launched_date"] == datetime.date(2012, 1, 2)
    assert row["window_days"] == 30


def test_the_usual_window_is_the_forecast_s(tmp_path):
    project = tmp_path / "dbt_project.yml"
    assert usual_window_days(project) == 90
    project.write_text("vars: {forecast_horizon_days: 60}")
    assert usual_window_days(project) == 60
    project.write_text("vars:")
    assert usual_window_days(project) == 90


def test_nobody_is_written_to_twice(shop):
    succeed(BEST)
    before = record(shop).read_bytes()
    (shop / f"{BEST}.csv").unlink()

    said = refused(BEST)
    assert f"{BEST} was launched on 2011-12-10 already" in said
    assert not (shop / f"{BEST}.csv").exists()
    assert record(shop).read_bytes() == before


def test_again_writes_the_same_people_whatever_the_segments_are_now(shop):
    succeed(BEST, "--to", "first.csv")
    before = record(shop).read_bytes()
    with duckdb.connect(str(shop / "shop.duckdb")) as connection:
        connection.execute(
            "update marts.fct_campaign_audiences set campaign_id = 'other-2012-01', "
            "is_control = not is_control"
        )
    succeed(BEST, "--again", "--to", "again.csv")

    assert Path("again.csv").read_bytes() == Path("first.csv").read_bytes()
    assert record(shop).read_bytes() == before
    assert f"No launch of '{LOST}' is recorded. Recorded are {BEST}." in refused(
        LOST, "--again"
    )
    assert "--again leaves the record" in refused(BEST, "--again", "--dry-run")


def test_a_dry_run_records_nothing(shop):
    said = succeed(BEST, "--dry-run")

    assert "no launch is recorded" in said
    assert len(read(f"{BEST}.csv")) == 16
    assert not (shop / "landing").exists()


def test_the_list_shows_what_there_is_and_what_was_launched(shop):
    succeed(BEST)
    lines = succeed("--list").splitlines()
    assert record(shop).exists()

    assert [line.split() for line in lines] == [
        ["campaign", "treated", "control", "launched"],
        [BEST, "16", "4", "2011-12-10"],
        [LOST, "24", "6", "-"],
    ]
    assert len({len(line[: line.rindex(" ")]) for line in lines}) == 1


def test_mistakes_are_answered_in_a_sentence(shop, monkeypatch):
    assert f"The last build has {BEST}, {LOST}." in refused("nobody")
    assert "--list shows which there are" in refused()
    assert "There is no folder nowhere" in refused(BEST, "--to", "nowhere/x.csv")
    assert "is a folder" in refused(BEST, "--to", str(shop))
    monkeypatch.setenv("SCHEMA_PREFIX", "dev_ada")
    assert "has no table dev_ada_marts.fct_campaign_audiences" in refused(BEST)
    monkeypatch.setenv("DUCKDB_PATH", str(shop / "none.duckdb"))
    assert "There is no warehouse at" in refused("--list")
    (shop / "none.duckdb").write_text("no database " * 1_000)
    assert "cannot be read" in refused("--list")
    monkeypatch.setenv("DUCKDB_PATH", str(shop / "shop.duckdb"))
    monkeypatch.delenv("SCHEMA_PREFIX")
    record(shop).parent.mkdir(parents=True)
    record(shop).write_text("cut off")
    assert "cannot be read. Restore it" in refused(BEST)
    assert "cannot be read. Restore it" in refused(BEST, "--again")
    assert not (shop / f"{BEST}.csv").exists()


@pytest.mark.parametrize("key", [None, "", "too short"])
def test_without_a_key_it_is_said_how_to_make_one(shop, monkeypatch, key):
    if key is None:
        monkeypatch.delenv("RETAIL_SEGMENTS_PSEUDONYM_KEY")
    else:
        monkeypatch.setenv("RETAIL_SEGMENTS_PSEUDONYM_KEY", key)

    assert 'python -c "import secrets; print(secrets.token_hex(32))"' in refused(BEST)
    assert not record(shop).exists()
    succeed(BEST, "--customer-ids")


def test_the_warehouse_is_only_read(shop):
    (shop / "shop.duckdb").chmod(0o400)
    before = (shop / "shop.duckdb").read_bytes()
    succeed(BEST)

    assert (shop / "shop.duckdb").read_bytes() == before
    assert not list(shop.glob("*.wal"))


def test_records_are_no_lines_and_the_demo_s_go_aside_with_it(shop):
    landing = shop / "landing"
    succeed(BEST)
    assert landed_kind(landing) is None
    landed_file(landing, "demo", "0" * 16).write_text("demo")

    written = landing / "written"
    written.write_text("real")
    put_in_place(written, landed_file(landing, "lines", "1" * 16))

    assert landed_kind(landing) == "lines"
    assert not record(shop).exists()
    assert (landing / "aside" / "campaigns" / f"{BEST}.parquet").exists()
    succeed(LOST)
    written.write_text("more")
    put_in_place(written, landed_file(landing, "lines", "2" * 16))
    assert record(shop, LOST).exists()
