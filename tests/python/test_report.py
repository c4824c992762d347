"""The page and the deck: seen in a real browser, and read back from the file."""

import datetime
import io
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from conftest import PROJECT, write_landing
from hostile_lines import NAMES
from retail_segments.extracts import (
    PARQUET,
    SERVING,
    SPREADSHEET,
    TABLEAU,
    write_extracts,
)
from retail_segments.report.files import DECK, PAGE, write_report
from retail_segments.report.marts import read_marts
from retail_segments.report.numbers import Currency

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
# As root there is no sandbox to be had; the others keep it from calling home.
FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
    "--disable-sync",
]


def guests():
    return [
        {
            "invoice_no": "1",
            "stock_code": "1",
            "description": "MUG",
            "quantity": 1,
            "invoice_date": datetime.datetime(2011, 1, 3, 10, 0),
            "unit_price": Decimal("2.50"),
            "country": "Italy",
        }
    ]


SHOPS = ("three customers", "one guest")


@pytest.fixture(scope="module")
def reports(demo_net, hostile_net, build_warehouse, tmp_path_factory):
    """Warehouses, reports and extracts of the demo and of two small shops, by name."""
    folder = tmp_path_factory.mktemp("reports")
    landing = write_landing(folder / "guest-landing", guests())
    guest_net = build_warehouse(landing, with_gates=False)
    built = {
        "demo": demo_net.path,
        "three customers": hostile_net.path,
        "one guest": guest_net.path,
    }
    for name, warehouse in built.items():
        write_report(warehouse, folder / name, title="A shop", currency_code="GBP")
        write_extracts(
            warehouse, folder / name / "export", key=None, only=["rpt_headline_figures"]
        )
    return {name: (path, folder / name) for name, path in built.items()}


@pytest.fixture(scope="module")
def browser() -> Iterator:
    from playwright.sync_api import sync_playwright

    if CHROMIUM is None:
        pytest.skip("no chromium on the path, and CHROMIUM does not name one")
    with sync_playwright() as playwright:
        yield playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)


@pytest.fixture
def open_page(browser):
    """Open a report without a network, and note whatever goes wrong in it."""

    def open_it(folder: Path, **settings):
        context = browser.new_context(offline=True, **settings)
        page = context.new_page()
        page.faults = []
        page.on(
            "console",
            lambda message: (
                page.faults.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.on(
            "request",
            lambda request: (
                None
                if re.match(r"(file|data|blob):", request.url)
                else page.faults.append(request.url)
            ),
        )
        page.goto((folder / PAGE).as_uri())
        wait_until_drawn(page)
        return page

    return open_it


def wait_until_drawn(page, group="all"):
    page.wait_for_selector(
        f"html[data-drawn={json.dumps(group)}]", state="attached", timeout=60_000
    )


MARKS = """() => Object.fromEntries(
    [...document.querySelectorAll('.plot')].map((plot) => [
        plot.dataset.chart,
        plot.querySelectorAll(
            '.point, .sankey-link, .js-line, .heatmaplayer image, path.fills, .js-fill'
        ).length,
    ])
)"""


@pytest.mark.parametrize("shop", ["demo", *SHOPS])
def test_the_page_opens_offline_and_draws_every_chart(reports, open_page, shop):
    page = open_page(reports[shop][1])

    marks = page.evaluate(MARKS)

    assert page.faults == []
    assert marks
    assert min(marks.values()) > 0, marks
    if shop == "demo":
        assert len(marks) == 24


def test_filters_show_the_group_where_there_is_one(reports, open_page):
    page = open_page(reports["demo"][1])
    heights = "() => document.querySelector('.plot[data-chart=months]').data[0].y"
    everybody = page.evaluate(heights)
    segment = page.locator("select[data-kind=segment] option").nth(1)
    country = page.locator("select[data-kind=country] option").nth(1)

    page.select_option("select[data-kind=segment]", segment.get_attribute("value"))
    wait_until_drawn(page, segment.get_attribute("value"))
    of_segment = page.evaluate(heights)
    rules = page.locator("#rules-table tbody tr:visible")
    named = {row.get_attribute("data-segment") for row in rules.all()}
    page.select_option("select[data-kind=country]", country.get_attribute("value"))
    wait_until_drawn(page, country.get_attribute("value"))

    assert 0 < sum(of_segment) < sum(everybody)
    assert 0 < sum(page.evaluate(heights)) <= sum(everybody)
    assert named <= {segment.inner_text()}
    assert page.locator("select[data-kind=segment]").input_value() == "all"
    assert page.locator(".card.pale").count() == 0
    assert page.faults == []


def test_search_finds_rules_by_product(reports, open_page):
    page = open_page(reports["demo"][1])
    rows = page.locator("#rules-table tbody tr:visible")
    name = rows.first.locator("th").inner_text()
    before = rows.count()

    page.fill("#search", name.lower())
    found = [row.inner_text() for row in rows.all()]

    assert 0 < len(found) < before
    assert all(name in text for text in found)
    assert page.locator("#found").inner_text().startswith(f"{len(found):,} rule")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("shop", ["demo", "three customers"])
def test_nobody_is_kept_out(reports, open_page, shop, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(reports[shop][1], color_scheme=scheme)

    found = Axe().run(page).response["violations"]

    grave = {
        fault["id"]: [node["html"][:200] for node in fault["nodes"][:3]]
        for fault in found
        if fault["impact"] in ("serious", "critical")
    }
    assert grave == {}


def test_it_fits_a_phone_and_prints(reports, open_page, tmp_path):
    page = open_page(reports["demo"][1], viewport={"width": 390, "height": 844})

    wide = page.evaluate("() => document.documentElement.scrollWidth")
    page.pdf(path=tmp_path / "report.pdf", format="A4")

    assert wide <= 390
    assert (tmp_path / "report.pdf").stat().st_size > 50_000
    assert page.faults == []


def test_text_from_the_data_is_text(reports, open_page):
    page = open_page(reports["three customers"][1])

    text = page.locator("body").text_content()
    stray = page.evaluate(
        "() => document.querySelectorAll('main img, main script, main a[href]').length"
    )

    assert page.title() == "A shop"
    assert stray == 0
    assert NAMES[2] in text
    assert "{{ 7 * 7 }}" in text
    assert "W" * 200 not in page.locator("figcaption").all_inner_texts()


def test_the_page_is_small_and_says_no_customer(reports):
    for warehouse, folder in reports.values():
        page = (folder / PAGE).read_text(encoding="utf-8")
        charts = page_data(page)

        assert len(page.encode()) < 8_000_000
        assert charts
        assert "customer_id" not in json.dumps(charts)
        assert warehouse.name in page


def page_data(page):
    [text] = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page
    )
    return json.loads(text)


@pytest.mark.parametrize("shop", ["demo", *SHOPS])
def test_page_and_deck_say_the_figures_of_the_mart(reports, shop):
    from pptx import Presentation

    warehouse, folder = reports[shop]
    currency = Currency("GBP")
    marts = read_marts(warehouse)
    expected = {row["figure_label"]: currency.figure(row) for row in marts["figures"]}
    names = {row["figure"]: row["figure_label"] for row in marts["figures"]}

    page = (folder / PAGE).read_text(encoding="utf-8")
    of_page = {
        names[name]: value
        for name, value in re.findall(r'<dd data-figure="(\w+)">(.*?)</dd>', page)
    }
    slides = list(Presentation(str(folder / DECK)).slides)
    [table] = [shape.table for shape in slides[1].shapes if shape.has_table]
    of_deck = {row.cells[0].text: row.cells[1].text for row in list(table.rows)[1:]}

    assert of_page == expected
    assert of_deck == expected


@pytest.mark.parametrize("shop", ["demo", *SHOPS])
def test_extracts_say_the_figures_of_the_mart(reports, shop):
    warehouse, folder = reports[shop]
    extracts = folder / "export" / "current"
    query = "select figure, figure_value from {} order by figure"
    with duckdb.connect(str(warehouse), read_only=True) as connection:
        expected = connection.sql(query.format("marts.rpt_headline_figures")).fetchall()
    with duckdb.connect(str(extracts / SERVING), read_only=True) as connection:
        served = connection.sql(query.format("marts.rpt_headline_figures")).fetchall()
    files = [
        extracts / PARQUET / "rpt_headline_figures.parquet",
        extracts / SPREADSHEET / "rpt_headline_figures.csv",
    ]

    assert len(expected) == 15
    assert served == expected
    for file in files:
        found = duckdb.sql(query.format(f"'{file}'")).fetchall()
        assert found == expected, file
    assert read_hyper(extracts / TABLEAU / "reports.hyper", query) == expected


def read_hyper(file, query):
    """Read the headline figures with Tableau's own library."""
    hyper = pytest.importorskip("tableauhyperapi")
    table = hyper.TableName("Extract", "rpt_headline_figures")
    with (
        hyper.HyperProcess(
            hyper.Telemetry.DO_NOT_SEND_USAGE_DATA_TO_TABLEAU,
            parameters={"log_config": ""},
        ) as process,
        hyper.Connection(process.endpoint, file) as connection,
    ):
        return [
            tuple(row) for row in connection.execute_list_query(query.format(table))
        ]


def test_the_same_build_gives_the_same_page(reports, tmp_path):
    """Whatever order Python gives its sets, which it shuffles anew in each process."""
    program = Path(sys.executable).with_name("retail-segments")
    pages = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        environment = {"DUCKDB_PATH": str(reports["demo"][0]), "PYTHONHASHSEED": seed}
        subprocess.run(
            [program, "report", "--output", folder],
            cwd=PROJECT,
            env=os.environ | environment,
            check=True,
            capture_output=True,
        )
        pages.append((folder / PAGE).read_bytes())

    assert pages[0] == pages[1]


def test_charts_of_the_deck_can_be_edited(reports):
    from pptx import Presentation

    deck = Presentation(str(reports["demo"][1] / DECK))
    charts = [
        shape.chart
        for slide in deck.slides
        for shape in slide.shapes
        if shape.has_chart
    ]

    assert len(deck.slides) == 14
    assert len(charts) >= 9
    assert all(chart.part.chart_workbook.xlsx_part for chart in charts)
    assert all(slide.shapes.title.text_frame.text for slide in deck.slides)


def test_text_from_the_data_is_text_in_the_deck_and_its_workbooks(reports):
    import openpyxl
    from pptx import Presentation

    deck = Presentation(str(reports["three customers"][1] / DECK))
    cells = []
    for slide in deck.slides:
        assert not [rel for rel in slide.part.rels.values() if rel.is_external]
        for shape in slide.shapes:
            if shape.has_chart:
                blob = shape.chart.part.chart_workbook.xlsx_part.blob
                for sheet in openpyxl.load_workbook(io.BytesIO(blob)):
                    cells += [cell for row in sheet.iter_rows() for cell in row]

    assert [cell.value for cell in cells if "Italy" in str(cell.value)]
    assert not [cell.value for cell in cells if cell.data_type == "f"]


def test_a_report_without_a_build_is_refused_in_words(tmp_path):
    from retail_segments.build import BuildError

    with pytest.raises(BuildError, match="make build"):
        write_report(tmp_path / "none.duckdb", tmp_path, title="A", currency_code=None)
