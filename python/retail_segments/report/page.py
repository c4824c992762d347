"""Make the report page: one HTML file that needs nothing but a browser."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from retail_segments.report import findings
from retail_segments.report.charts import Chart, colours_of
from retail_segments.report.customer_charts import (
    curve_chart,
    retention_chart,
    rfm_grid_chart,
    rfm_segments_chart,
    worth_chart,
)
from retail_segments.report.marts import Marts, Row
from retail_segments.report.numbers import (
    NOTHING,
    Currency,
    count,
    day,
    decimal,
    plural,
    share,
    shorten,
)
from retail_segments.report.outlook_charts import (
    calibration_chart,
    forecast_chart,
    methods_chart,
    network_chart,
    plan_chart,
)
from retail_segments.report.sales_charts import (
    concentration_chart,
    countries_chart,
    hours_chart,
    lines_chart,
    months_chart,
    new_customers_chart,
    order_values_chart,
    products_chart,
)
from retail_segments.report.segment_charts import (
    choice_chart,
    importance_chart,
    migration_chart,
    points_chart,
    sizes_chart,
    snake_chart,
)

# Entries of the glossary that the page uses.
_TERMS = {
    "gross_amount": "Gross amount",
    "returned_amount": "Returned amount",
    "net_amount": "Net amount",
    "counted_amount": "What counts",
    "recency_days": "Recency",
    "frequency": "Frequency",
    "monetary_value": "Monetary value",
    "r_score": "Recency score",
    "f_score": "Frequency score",
    "rfm_segment": "RFM segment",
    "cohort_date": "Cohort",
    "retention_rate": "Retention rate",
    "support": "Support",
    "confidence": "Confidence",
    "lift": "Lift",
    "q_value": "q-value",
    "is_replicated": "Holds twice",
    "silhouette": "Silhouette",
    "davies_bouldin": "Davies-Bouldin index",
    "smallest_jaccard": "Smallest Jaccard",
    "bootstrap_ari": "Adjusted Rand index",
    "standardised_mean": "Standardised mean",
    "relative_importance": "Relative importance",
    "expected_amount": "Expected amount",
    "assumed_effect": "Assumed effect",
}
_BLOCK = re.compile(r"{% docs (\w+) %}\s*(.*?)\s*{% enddocs %}", re.DOTALL)


@dataclass(frozen=True)
class Part:
    """A section of the page and its charts."""

    name: str
    short: str
    title: str
    intro: str
    charts: Sequence[Chart]


def make_parts(marts: Marts, currency: Currency) -> list[Part]:
    """Draw all charts, in the order of the page.

    Parameters
    ----------
    marts : Marts
        What was read from the warehouse.
    currency : Currency
        How amounts are written.

    Returns
    -------
    list of Part
        Quality, sales, cohorts, RFM, segments, associations, forecast and plan.
    """
    return [
        Part(
            "quality",
            "Lines",
            "What the figures are made of",
            "Every delivered line is either in the figures or set aside with a reason.",
            [lines_chart(marts)],
        ),
        Part(
            "sales",
            "Sales",
            "Sales",
            "What counts as a purchase, less what was sent back of it.",
            [
                months_chart(marts, currency),
                new_customers_chart(marts),
                countries_chart(marts, currency),
                hours_chart(marts),
                order_values_chart(marts),
                concentration_chart(marts),
                products_chart(marts, currency),
            ],
        ),
        Part(
            "cohorts",
            "Cohorts",
            "Who comes back",
            "Customers by the time of their first purchase. The first cohort may be "
            "older than the data; an ellipsis marks a period that is not over.",
            [retention_chart(marts), worth_chart(marts, currency), curve_chart(marts)],
        ),
        Part(
            "rfm",
            "RFM",
            "Recency, frequency, monetary value",
            "Scores of 1 to 5 by rank; in the grid, customers and their share of the "
            "value.",
            [rfm_grid_chart(marts, currency), rfm_segments_chart(marts, currency)],
        ),
        Part(
            "segments",
            "Segments",
            "Segments",
            findings.on_choice(marts),
            [
                sizes_chart(marts, currency),
                points_chart(marts, currency),
                snake_chart(marts),
                importance_chart(marts),
                migration_chart(marts),
                choice_chart(marts),
            ],
        ),
        Part(
            "associations",
            "Associations",
            "What goes together",
            "Rules of association among baskets of known customers.",
            [network_chart(marts)],
        ),
        Part(
            "forecast",
            "Forecast",
            "What is to come",
            findings.on_forecast(marts, currency),
            [
                forecast_chart(marts, currency),
                methods_chart(marts),
                calibration_chart(marts, currency),
            ],
        ),
        Part(
            "plan-part",
            "Plan",
            "What to do",
            "Effects are assumptions until your own campaigns have measured them.",
            [plan_chart(marts, currency)],
        ),
    ]


def make_page(
    marts: Marts, *, title: str, currency: Currency, source: str, glossary: Path | None
) -> str:
    """Write the page.

    Parameters
    ----------
    marts : Marts
        What was read from the warehouse.
    title : str
        The page's heading.
    currency : Currency
        How amounts are written.
    source : str
        What the page says it was made from.
    glossary : Path or None
        The file of dbt doc blocks that definitions are taken from.

    Returns
    -------
    str
        HTML with its styles, scripts and data in it. A policy in its head forbids the
        browser to load anything else, and to run any other script.
    """
    from jinja2 import Environment, StrictUndefined
    from plotly.offline import get_plotlyjs

    parts = make_parts(marts, currency)
    plotly, script = get_plotlyjs(), _resource("page.js")
    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["shorten"] = shorten
    rules = [_rule(row) for row in marts["associations"]]
    return environment.from_string(_resource("page.html.j2")).render(
        title=title,
        lead=findings.on_business(marts, currency),
        policy=_policy(plotly, script),
        style=_resource("page.css"),
        script=script,
        plotly=plotly,
        data=_as_json(parts),
        parts=parts,
        figures=[row | {"written": currency.figure(row)} for row in marts["figures"]],
        choices=_choices(marts),
        cards=_cards(marts, currency),
        rules=rules,
        rules_caption=(
            f"{plural(len(rules), 'rule')}, the strongest first: those that hold in "
            "both halves of the time before the others. Choose a segment to see its "
            "own."
        ),
        method=_method(marts),
        terms=_terms(glossary),
        warehouse=source,
    )


def _resource(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")


def _policy(*scripts: str) -> str:
    """Allow the scripts that are in the page, by their hashes, and nothing else."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
        for text in scripts
    )
    return (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _as_json(parts: Iterable[Part]) -> str:
    """Write the figures so that no text in them can end the script they stand in."""
    charts = {
        chart.name: {"figure": chart.figure, "variants": dict(chart.variants)}
        for part in parts
        for chart in part.charts
        if chart.figure
    }
    text = json.dumps(
        charts, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _choices(marts: Marts) -> dict[str, list[str]]:
    """List what the filters offer; a single country or segment is no choice."""
    names: dict[str, list[str]] = {"segment": list(marts.segment_names), "country": []}
    countries = {
        row["group_name"]
        for row in marts["group_months"]
        if row["group_kind"] == "country" and row["group_name"] != "Guests"
    }
    amounts = {
        name: sum(
            row["counted_amount"]
            for row in marts["group_months"]
            if row["group_kind"] == "country" and row["group_name"] == name
        )
        for name in countries
    }
    names["country"] = sorted(countries, key=lambda name: (-amounts[name], name))
    return {kind: found if len(found) > 1 else [] for kind, found in names.items()}


def _cards(marts: Marts, currency: Currency) -> list[Row]:
    colours = colours_of(marts.segment_names)
    return [
        {
            "name": segment["segment_name"],
            "colour": colours[segment["segment_name"]],
            "summary": findings.on_segment(segment, currency) + ".",
            "meaning": segment["meaning"],
            "strategy": segment["strategy"],
            "actions": [
                segment[name]
                for name in ("recommended_action", "second_action", "third_action")
                if segment[name]
            ],
            "rules": [
                f"{rule['conditions']} ({share(rule['right_share'])} of "
                f"{plural(rule['customer_count'], 'customer')} rightly)"
                for rule in marts["rules_of_segments"]
                if rule["cluster_id"] == segment["cluster_id"]
            ],
            "likes": _likes(marts, segment["cluster_id"]),
        }
        for segment in marts["segments"]
    ]


def _likes(marts: Marts, cluster: int) -> str:
    found = [
        f"{shorten(row['item_name'])} ({decimal(row['lift'], 1)} times as common)"
        for row in marts["affinities"]
        if row["cluster_id"] == cluster and row["lift"] >= 1.2
    ]
    return f"More than others: {', '.join(found)}." if found else ""


def _rule(row: Row) -> Row:
    return {
        "segment": row["segment_name"] or "",
        "antecedent": shorten(row["antecedent_name"], 120),
        "consequent": shorten(row["consequent_name"], 120),
        "customers": row["segment_name"] or "all",
        "baskets": count(row["basket_count"]),
        "confidence": share(row["confidence"]),
        "lift": decimal(row["lift"], 1),
        "q_value": NOTHING if row["q_value"] is None else f"{row['q_value']:.1g}",
        "holds": "yes" if row["is_replicated"] else "no",
    }


def _method(marts: Marts) -> str:
    model = marts.one("models")
    if not model:
        return findings.no_segments(marts)
    return (
        f"Segments as of {day(marts.as_of_date)} by the model {model['model_id']}: "
        f"K-Means on {model['features'].replace(',', ', ')} "
        f"({model['transform']}, standardised), fitted on "
        f"{plural(model['customer_count'], 'customer')}."
    )


def _terms(glossary: Path | None) -> list[dict[str, str]]:
    """Take definitions from the project's glossary, where it is at hand."""
    if glossary is None or not glossary.is_file():
        return []
    blocks = dict(_BLOCK.findall(glossary.read_text(encoding="utf-8")))
    return [
        {"name": name, "meaning": blocks[key].replace("`", "").replace("\n", " ")}
        for key, name in _TERMS.items()
        if key in blocks
    ]
