"""Make the slide deck: a finding as each title, below it a chart that can be edited."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from retail_segments.cells import harmless
from retail_segments.report import findings
from retail_segments.report.charts import COLOURS
from retail_segments.report.marts import Marts
from retail_segments.report.numbers import (
    Currency,
    count,
    day,
    decimal,
    month,
    share,
    shorten,
)
from retail_segments.report.segment_charts import METRICS

# Sixteen to nine, in inches.
_WIDTH, _HEIGHT = 13.333, 7.5
_MARGIN = 0.6
_TEXT = "1B1F24"
_SOFT = "4A535E"
_ROWS = 8


@dataclass(frozen=True)
class Bars:
    """A chart of categories and one or more series."""

    kind: str
    categories: Sequence[str]
    series: Sequence[tuple[str, Sequence[float | None]]]
    number_format: str = "#,##0"
    is_log: bool = False


@dataclass(frozen=True)
class Grid:
    """A table; the first row is its header."""

    rows: Sequence[Sequence[str]]
    widths: Sequence[float]


@dataclass(frozen=True)
class Slide:
    """One slide."""

    title: str
    content: Bars | Grid | None
    note: str = ""


def make_slides(marts: Marts, currency: Currency) -> list[Slide]:
    """Say what is on each slide after the first.

    Parameters
    ----------
    marts : Marts
        What was read from the warehouse.
    currency : Currency
        How amounts are written.

    Returns
    -------
    list of Slide
        Those for which the data hold something; a finding that says why there is
        nothing stands alone.
    """
    return [
        _figures(marts, currency),
        _lines(marts),
        _months(marts, currency),
        _countries(marts),
        _concentration(marts),
        _retention(marts),
        _rfm(marts),
        _segments(marts),
        _snake(marts),
        _strategies(marts),
        _associations(marts),
        _forecast(marts, currency),
        _plan(marts, currency),
    ]


def _figures(marts: Marts, currency: Currency) -> Slide:
    rows = [("Figure", "Value", "What it is")]
    rows += [
        (row["figure_label"], currency.figure(row), row["meaning"])
        for row in marts["figures"]
    ]
    return Slide(findings.on_business(marts, currency), Grid(rows, (3.2, 1.9, 7.0)))


def _lines(marts: Marts) -> Slide:
    reasons = marts["reasons"][:_ROWS]
    return Slide(
        findings.on_lines(marts),
        Bars(
            "bar",
            [findings.words(row["reject_reason"]) for row in reasons],
            [("lines set aside", [row["line_count"] for row in reasons])],
        )
        if reasons
        else None,
    )


def _months(marts: Marts, currency: Currency) -> Slide:
    rows = marts["months"]
    return Slide(
        findings.on_months(marts, currency),
        Bars(
            "column",
            [month(row["sales_month"]) + "*" * row["is_partial"] for row in rows],
            [("revenue", [row["counted_amount"] for row in rows])],
        )
        if rows
        else None,
        "* month that is not whole" if any(r["is_partial"] for r in rows) else "",
    )


def _countries(marts: Marts) -> Slide:
    rows = marts["countries"][:10]
    return Slide(
        findings.on_countries(marts),
        Bars(
            "bar",
            [shorten(row["country"]) for row in rows],
            [("revenue", [row["counted_amount"] for row in rows])],
            is_log=len(rows) > 1,
        )
        if rows
        else None,
        "Each line of the scale is ten times the one before." if len(rows) > 1 else "",
    )


def _concentration(marts: Marts) -> Slide:
    rows = [row for row in marts["concentration"] if row["percentile"] % 10 == 0]
    return Slide(
        findings.on_concentration(marts),
        Bars(
            "column",
            [f"best {row['percentile']}%" for row in rows if row["percentile"]],
            [
                (
                    "share of monetary value",
                    [row["best_amount_share"] for row in rows if row["percentile"]],
                )
            ],
            "0%",
        )
        if rows
        else None,
    )


def _retention(marts: Marts) -> Slide:
    rows = [row for row in marts["curve"] if row["periods_since"] >= 1]
    return Slide(
        findings.on_retention(marts),
        Bars(
            "line",
            [str(row["periods_since"]) for row in rows],
            [
                ("all cohorts", [row["retention_rate"] for row in rows]),
                (
                    "without the first cohort",
                    [row["uncensored_retention_rate"] for row in rows],
                ),
            ],
            "0%",
        )
        if rows
        else None,
        f"{rows[0]['cohort_period'].capitalize()}s since the first purchase."
        if rows
        else "",
    )


def _rfm(marts: Marts) -> Slide:
    rows = [row for row in marts["rfm_segments"] if row["group_kind"] == "all"]
    return Slide(
        findings.on_rfm(marts),
        Bars(
            "bar",
            [row["rfm_segment"] for row in rows],
            [
                ("customers", [row["customer_share"] for row in rows]),
                ("monetary value", [row["monetary_share"] for row in rows]),
            ],
            "0%",
        )
        if rows
        else None,
    )


def _segments(marts: Marts) -> Slide:
    rows = marts["segments"]
    return Slide(
        findings.on_segments(marts),
        Bars(
            "bar",
            [shorten(row["segment_name"]) for row in rows],
            [
                ("customers", [row["customer_share"] for row in rows]),
                ("monetary value", [row["monetary_share"] for row in rows]),
                ("returns", [row["returned_share"] for row in rows]),
            ],
            "0%",
        )
        if rows
        else None,
        findings.on_choice(marts) if rows else "",
    )


def _snake(marts: Marts) -> Slide:
    profiles = marts["profiles"]
    metrics = [
        name for name in METRICS if any(row["metric"] == name for row in profiles)
    ]
    cells = {
        (row["segment_name"], row["metric"]): row["standardised_mean"]
        for row in profiles
    }
    return Slide(
        findings.on_migration(marts)
        if marts["segments"]
        else findings.no_segments(marts),
        Bars(
            "line",
            [METRICS[name] for name in metrics],
            [
                (shorten(name), [cells.get((name, metric)) for metric in metrics])
                for name in marts.segment_names
            ],
            "0.0",
        )
        if metrics and marts["segments"]
        else None,
        "Snake plot: standard deviations from the mean of all customers."
        if metrics
        else "",
    )


def _strategies(marts: Marts) -> Slide:
    rows = [("Segment", "Customers", "Strategy", "First action")]
    rows += [
        (
            row["segment_name"],
            count(row["customer_count"]),
            row["strategy"],
            shorten(row["recommended_action"], 150),
        )
        for row in marts["segments"]
    ]
    return Slide(
        "Each segment has a strategy of its own."
        if marts["segments"]
        else "Without segments there is no strategy for one.",
        Grid(rows, (2.4, 1.3, 3.4, 5.0)) if marts["segments"] else None,
    )


def _associations(marts: Marts) -> Slide:
    rules = [
        row
        for row in marts["associations"]
        if row["segment_name"] is None and row["is_replicated"]
    ]
    rows = [("Who buys", "Also buys", "Baskets", "Confidence", "Lift")]
    rows += [
        (
            shorten(row["antecedent_name"], 48),
            shorten(row["consequent_name"], 48),
            count(row["basket_count"]),
            share(row["confidence"]),
            decimal(row["lift"], 1),
        )
        for row in rules[:_ROWS]
    ]
    return Slide(
        findings.on_associations(marts),
        Grid(rows, (4.4, 4.4, 1.1, 1.2, 1.0)) if rules else None,
    )


def _forecast(marts: Marts, currency: Currency) -> Slide:
    rows = marts["forecasts"]
    months = sorted({row["month_date"] for row in rows})
    cells = {
        (row["segment_name"], row["month_date"]): row["expected_amount"] for row in rows
    }
    names = list(dict.fromkeys(row["segment_name"] for row in rows))
    return Slide(
        findings.on_forecast(marts, currency),
        Bars(
            "stacked",
            [month(start) for start in months],
            [
                (
                    shorten(name or "no segment"),
                    [cells.get((name, start)) for start in months],
                )
                for name in names
            ],
        )
        if rows
        else None,
        "The first and the last month are not whole." if len(months) > 2 else "",
    )


def _plan(marts: Marts, currency: Currency) -> Slide:
    rows = [row for row in marts["plan"] if row["expected_uplift_amount"] is not None]
    return Slide(
        findings.on_plan(marts, currency),
        Bars(
            "bar",
            [shorten(row["segment_name"]) for row in rows],
            [("expected to add", [row["expected_uplift_amount"] for row in rows])],
        )
        if rows
        else None,
        "Effects are assumptions until your own campaigns have measured them.",
    )


def write_deck(
    marts: Marts, path: Path, *, title: str, currency: Currency, source: str
) -> None:
    """Write the deck.

    Parameters
    ----------
    marts : Marts
        What was read from the warehouse.
    path : Path
        The file; one that is there is replaced.
    title : str
        The title of the first slide.
    currency : Currency
        How amounts are written.
    source : str
        What the deck says it was made from.
    """
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    deck.slide_width, deck.slide_height = Inches(_WIDTH), Inches(_HEIGHT)
    deck.core_properties.title = title
    deck.core_properties.author = "retail_segments"
    blank = deck.slide_layouts[5]
    first = deck.slides.add_slide(deck.slide_layouts[5])
    _set_title(first, title, size=40, top=2.4)
    _write(first, findings.on_business(marts, currency), top=3.9, size=20)
    known = f"As of {day(marts.as_of_date)}. " if marts.as_of_date else ""
    _write(first, f"{known}Made from {source}.", top=6.6, size=12)
    for content in make_slides(marts, currency):
        slide = deck.slides.add_slide(blank)
        _set_title(slide, content.title, size=24 if len(content.title) < 150 else 20)
        if isinstance(content.content, Bars):
            _add_chart(slide, content.content)
        elif isinstance(content.content, Grid):
            _add_table(slide, content.content)
        if content.note:
            _write(slide, content.note, top=6.85, size=12)
    deck.save(str(path))


def _set_title(slide: Any, text: str, *, size: int, top: float = 0.35) -> None:
    from pptx.enum.text import PP_ALIGN
    from pptx.util import Inches, Pt

    shape = slide.shapes.title
    shape.left, shape.top = Inches(_MARGIN), Inches(top)
    shape.width, shape.height = Inches(_WIDTH - 2 * _MARGIN), Inches(1.15)
    frame = shape.text_frame
    frame.word_wrap = True
    frame.text = _clean(text)
    paragraph = frame.paragraphs[0]
    paragraph.alignment = PP_ALIGN.LEFT
    paragraph.font.size, paragraph.font.bold = Pt(size), True
    paragraph.font.color.rgb = _colour(_TEXT)


def _write(slide: Any, text: str, *, top: float, size: int) -> None:
    from pptx.util import Inches, Pt

    box = slide.shapes.add_textbox(
        Inches(_MARGIN), Inches(top), Inches(_WIDTH - 2 * _MARGIN), Inches(0.5)
    )
    box.text_frame.word_wrap = True
    box.text_frame.text = _clean(text)
    font = box.text_frame.paragraphs[0].font
    font.size, font.color.rgb = Pt(size), _colour(_SOFT)


def _add_chart(slide: Any, bars: Bars) -> None:
    from pptx.chart.data import CategoryChartData
    from pptx.enum.chart import XL_CHART_TYPE, XL_LEGEND_POSITION, XL_MARKER_STYLE
    from pptx.util import Inches, Pt

    kinds = {
        "bar": XL_CHART_TYPE.BAR_CLUSTERED,
        "column": XL_CHART_TYPE.COLUMN_CLUSTERED,
        "stacked": XL_CHART_TYPE.COLUMN_STACKED,
        "line": XL_CHART_TYPE.LINE_MARKERS,
    }
    data = CategoryChartData(number_format=bars.number_format)
    # They are cells of the workbook behind the chart, too.
    data.categories = [harmless(_clean(name)) for name in bars.categories]
    for name, values in bars.series:
        data.add_series(harmless(_clean(name)), values)
    chart = slide.shapes.add_chart(
        kinds[bars.kind],
        Inches(_MARGIN),
        Inches(1.6),
        Inches(_WIDTH - 2 * _MARGIN),
        Inches(5.2),
        data,
    ).chart
    chart.font.size = Pt(13)
    chart.has_title = False
    chart.has_legend = len(bars.series) > 1
    if chart.has_legend:
        chart.legend.position = XL_LEGEND_POSITION.TOP
        chart.legend.include_in_layout = False
    if bars.kind == "bar":
        # The first category on top, as in the table.
        chart.category_axis.reverse_order = True
    chart.value_axis.tick_labels.number_format = bars.number_format
    chart.value_axis.tick_labels.number_format_is_linked = False
    chart.value_axis.major_gridlines.format.line.color.rgb = _colour("C9CED6")
    if bars.is_log:
        _use_powers_of_ten(chart)
    for place, series in enumerate(chart.plots[0].series):
        colour = _colour(COLOURS[place % len(COLOURS)][1:])
        if bars.kind == "line":
            series.smooth = False
            series.format.line.color.rgb = colour
            series.marker.format.fill.solid()
            series.marker.format.fill.fore_color.rgb = colour
            styles = (
                XL_MARKER_STYLE.CIRCLE,
                XL_MARKER_STYLE.SQUARE,
                XL_MARKER_STYLE.DIAMOND,
                XL_MARKER_STYLE.TRIANGLE,
                XL_MARKER_STYLE.X,
            )
            series.marker.style = styles[place % len(styles)]
        else:
            series.format.fill.solid()
            series.format.fill.fore_color.rgb = colour


def _use_powers_of_ten(chart: Any) -> None:
    """Make the scale of values logarithmic, which python-pptx has no word for."""
    from pptx.oxml.ns import qn

    scaling = chart.value_axis._element.find(qn("c:scaling"))
    base = scaling.makeelement(qn("c:logBase"), {"val": "10"})
    scaling.insert(0, base)


def _add_table(slide: Any, grid: Grid) -> None:
    from pptx.util import Inches, Pt

    height = min(0.42 * len(grid.rows), 5.2)
    table = slide.shapes.add_table(
        len(grid.rows),
        len(grid.widths),
        Inches(_MARGIN),
        Inches(1.6),
        Inches(sum(grid.widths)),
        Inches(height),
    ).table
    size = 12 if len(grid.rows) <= 10 else 10
    for column, width in enumerate(grid.widths):
        table.columns[column].width = Inches(width)
    for line, row in enumerate(grid.rows):
        table.rows[line].height = Inches(height / len(grid.rows))
        for column, text in enumerate(row):
            cell = table.cell(line, column)
            cell.text = _clean(text)
            cell.margin_top = cell.margin_bottom = Inches(0.02)
            font = cell.text_frame.paragraphs[0].font
            font.size = Pt(size)
            font.bold = line == 0
            cell.fill.solid()
            cell.fill.fore_color.rgb = _colour(
                COLOURS[0][1:] if line == 0 else "F6F7F9" if line % 2 else "FFFFFF"
            )
            font.color.rgb = _colour("FFFFFF" if line == 0 else _TEXT)


def _colour(digits: str) -> Any:
    """Make a colour of six hexadecimal digits."""
    from pptx.dml.color import RGBColor

    return RGBColor(*bytes.fromhex(digits))


def _clean(text: str) -> str:
    """Leave out what XML cannot hold."""
    return "".join(
        character
        for character in text
        if character in "\t\n" or (character >= " " and character not in "\ufffe\uffff")
    )
