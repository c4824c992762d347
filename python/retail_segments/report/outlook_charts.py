"""Charts of what goes together, what is to come, and what to do about it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from retail_segments.report import findings
from retail_segments.report.charts import (
    BLUE,
    GREY,
    ORANGE,
    Chart,
    Spec,
    Table,
    axis,
    colours_of,
    figure,
    label,
)
from retail_segments.report.marts import Marts
from retail_segments.report.numbers import Currency, count, day, decimal, month

Rows = Sequence[Mapping[str, Any]]

# Pairs drawn as a network; more are a thicket.
_PAIRS = 40


def network_chart(marts: Marts) -> Chart:
    """Draw the pairs of products that go together most, for all and by segment."""
    rules = marts["associations"]
    everybody = [rule for rule in rules if rule["segment_name"] is None]
    variants = {}
    for name in marts.segment_names:
        drawn = _network_figure([r for r in rules if r["segment_name"] == name])
        if drawn is not None:
            variants[f"segment:{name}"] = drawn
    return Chart(
        "network",
        "Products that are bought together",
        findings.on_associations(marts),
        _network_figure(everybody),
        Table((), ()),
        variants,
        is_wide=True,
    )


def _network_figure(rules: Rows) -> Spec | None:
    pairs: dict[tuple[str, str], Mapping[str, Any]] = {}
    for rule in rules:
        if rule["antecedent_count"] == rule["consequent_count"] == 1:
            ends = sorted((rule["antecedent"], rule["consequent"]))
            pairs.setdefault((ends[0], ends[1]), rule)
        if len(pairs) == _PAIRS:
            break
    if not pairs:
        return None
    import networkx

    graph = networkx.Graph()
    names: dict[str, str] = {}
    for (left, right), rule in pairs.items():
        graph.add_edge(left, right, weight=math.log1p(rule["lift"]))
        names[rule["antecedent"]] = rule["antecedent_name"]
        names[rule["consequent"]] = rule["consequent_name"]
    places = _lay_out(graph)
    edges: Spec = {
        "type": "scatter",
        "mode": "lines",
        "x": [],
        "y": [],
        "line": {"color": GREY, "width": 1.5},
        "hoverinfo": "skip",
        "showlegend": False,
    }
    middles: Spec = {
        "type": "scatter",
        "mode": "markers",
        "x": [],
        "y": [],
        "text": [],
        "marker": {"color": ORANGE, "size": 7, "symbol": "diamond"},
        "hovertemplate": "%{text}<extra></extra>",
        "name": "rule",
    }
    for (left, right), rule in pairs.items():
        (x0, y0), (x1, y1) = places[left], places[right]
        edges["x"] += [x0, x1, None]
        edges["y"] += [y0, y1, None]
        middles["x"].append(round((x0 + x1) / 2, 4))
        middles["y"].append(round((y0 + y1) / 2, 4))
        middles["text"].append(
            f"{label(rule['antecedent_name'])} and {label(rule['consequent_name'])}:"
            f"<br>lift {decimal(rule['lift'], 1)}, together in "
            f"{plural_baskets(rule['basket_count'])}"
        )
    nodes = {
        "type": "scatter",
        "mode": "markers+text",
        "name": "product",
        "x": [places[code][0] for code in names],
        "y": [places[code][1] for code in names],
        "text": [label(name, 18) for name in names.values()],
        "customdata": [label(name, 80) for name in names.values()],
        "textposition": [
            "bottom center" if _is_low(code, graph, places) else "top center"
            for code in names
        ],
        "textfont": {"size": 10},
        "marker": {
            "color": BLUE,
            "size": [9 + 2 * graph.degree(code) for code in names],
        },
        "hovertemplate": "%{customdata}<extra></extra>",
    }
    hidden = {"visible": False, "fixedrange": True}
    return figure(
        [edges, nodes, middles],
        height=560,
        xaxis=hidden,
        yaxis=hidden,
        margin={"l": 20, "r": 20, "t": 30, "b": 10},
    )


def _lay_out(graph: Any) -> dict[str, tuple[float, float]]:
    """Set each connected part of the network beside the others, the largest first."""
    import networkx

    parts = sorted(
        (sorted(part) for part in networkx.connected_components(graph)),
        key=lambda part: (-len(part), part),
    )
    # Parts stand in rows of about the same length, as words do on a page.
    widths = {part[0]: 1.0 + 0.9 * (math.sqrt(len(part)) - 1) for part in parts}
    length = max(6.0, math.sqrt(3.5 * sum(widths.values()) * 1.6))
    places: dict[str, tuple[float, float]] = {}
    left, top, tallest = 0.0, 0.0, 0.0
    for part in parts:
        width = widths[part[0]]
        height = width if len(part) > 2 else 0.8
        if left and left + width > length:
            left, top, tallest = 0.0, top - tallest - 0.45, 0.0
        if len(part) == 2:
            # One above the other, so that their names do not meet.
            drawn = {part[0]: (0.0, 0.4), part[1]: (0.0, -0.4)}
        else:
            # A view of the graph has its nodes in the order of a set, which each run of
            # Python shuffles anew, and places hang on the order.
            ordered = networkx.Graph()
            ordered.add_nodes_from(part)
            ordered.add_edges_from(graph.subgraph(part).edges(data=True))
            drawn = networkx.kamada_kawai_layout(ordered, scale=0.42 * width)
        for code, (x, y) in drawn.items():
            places[code] = (
                round(left + width / 2 + float(x), 4),
                round(top - height / 2 + float(y), 4),
            )
        left, tallest = left + width + 0.25, max(tallest, height)
    return places


def _is_low(code: str, graph: Any, places: Mapping[str, tuple[float, float]]) -> bool:
    """Say whether a product lies below those that go with it."""
    neighbours = [places[other][1] for other in graph.neighbors(code)]
    return places[code][1] < sum(neighbours) / len(neighbours)


def plural_baskets(number: float) -> str:
    """Write a number of baskets."""
    return f"{count(number)} basket{'' if number == 1 else 's'}"


def forecast_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw what each segment is expected to buy, month by month."""
    rows = marts["forecasts"]
    names = [
        name
        for name in marts.segment_names
        if any(row["segment_name"] == name for row in rows)
    ]
    colours = colours_of(marts.segment_names)
    traces = [
        _forecast_trace(
            [row for row in rows if row["segment_name"] == name],
            name,
            colours[name],
            currency,
        )
        for name in names
    ]
    layout: Spec = {
        "barmode": "group",
        "xaxis": axis(type="date", tickformat="%b %Y", dtick="M1"),
        "yaxis": axis(tickprefix=currency.prefix, rangemode="tozero"),
    }
    return Chart(
        "forecast",
        "Expected revenue by segment",
        findings.on_forecast(marts, currency),
        figure(traces, **layout) if traces else None,
        Table(
            ("segment", "month", "days", "orders", "expected", "from", "to"),
            [
                (
                    row["segment_name"] or "no segment",
                    month(row["month_date"]),
                    count(row["day_count"]),
                    count(row["expected_orders"]),
                    currency.amount(row["expected_amount"]),
                    currency.amount(row["amount_low"]),
                    currency.amount(row["amount_high"]),
                )
                for row in rows
            ],
        ),
        {
            f"segment:{name}": figure([trace], **layout)
            for name, trace in zip(names, traces, strict=True)
        },
    )


def _forecast_trace(rows: Rows, name: str, colour: str, currency: Currency) -> Spec:
    return {
        "type": "bar",
        "name": label(name),
        "x": [row["month_date"].isoformat() for row in rows],
        "y": [row["expected_amount"] for row in rows],
        "marker": {"color": colour},
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": [
                (row["amount_high"] or row["expected_amount"]) - row["expected_amount"]
                for row in rows
            ],
            "arrayminus": [
                row["expected_amount"] - (row["amount_low"] or 0) for row in rows
            ],
            "thickness": 1,
        },
        "customdata": [row["day_count"] for row in rows],
        "hovertemplate": (
            f"%{{x|%b %Y}} (%{{customdata}} days): {currency.prefix}%{{y:,.0f}}"
            "<extra>%{fullData.name}</extra>"
        ),
    }


def methods_chart(marts: Marts) -> Chart:
    """Draw how far each method was off when it was tried on earlier dates."""
    rows = [row for row in marts["forecast_methods"] if row["target"] == "amount"]
    tried = sorted(
        (row for row in rows if row["mean_value"] is not None),
        key=lambda row: (row["mean_value"], row["method"]),
    )
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [findings.words(row["method"]) for row in tried],
        "x": [row["mean_value"] for row in tried],
        "marker": {
            "color": [
                ORANGE if row["is_chosen"] else GREY if row["is_baseline"] else BLUE
                for row in tried
            ],
        },
        "text": ["in use" * bool(row["is_chosen"]) for row in tried],
        "customdata": [label(row["reason"] or "", 160) for row in tried],
        "hovertemplate": "%{y}: %{x:,.0f}<br>%{customdata}<extra></extra>",
    }
    return Chart(
        "methods",
        "Methods of forecasting, tried on earlier dates",
        "The bar is the root mean squared error of a customer's amount: shorter is "
        "better. Simple rules are grey.",
        figure(
            [bars],
            height=120 + 34 * max(len(tried), 3),
            xaxis=axis("root mean squared error"),
            yaxis=axis(autorange="reversed"),
        )
        if tried
        else None,
        Table(
            ("target", "method", "error", "tried on", "verdict", "how it works"),
            [
                (
                    row["target"],
                    findings.words(row["method"]),
                    decimal(row["mean_value"]),
                    f"{count(row['origin_count'])} dates",
                    row["reason"] or "",
                    row["meaning"],
                )
                for row in marts["forecast_methods"]
            ],
        ),
    )


def calibration_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw what groups of customers were expected to buy, and what they bought."""
    rows = [
        row
        for row in marts["calibration"]
        if row["expected_amount"] is not None and row["actual_amount"] is not None
    ]
    top = max(
        (max(row["expected_amount"], row["actual_amount"]) for row in rows), default=0
    )
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "as expected",
            "x": [0, top],
            "y": [0, top],
            "line": {"color": GREY, "dash": "dot"},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "markers",
            "name": "groups of customers",
            "x": [row["expected_amount"] for row in rows],
            "y": [row["actual_amount"] for row in rows],
            "marker": {"color": BLUE, "size": 10},
            "customdata": [count(row["customer_count"]) for row in rows],
            "hovertemplate": (
                f"expected {currency.prefix}%{{x:,.2f}}, bought "
                f"{currency.prefix}%{{y:,.2f}}, %{{customdata}} customers"
                "<extra></extra>"
            ),
        },
    ]
    origin = rows[0]["origin_date"] if rows else None
    return Chart(
        "calibration",
        "Were forecasts right?",
        (
            f"Each point is a group of customers, expected to buy for so much per head "
            f"on {day(origin)}, and what they bought. On the line the two are equal."
            if rows
            else "No forecast has been tried on earlier dates yet."
        ),
        figure(
            traces,
            xaxis=axis("expected per customer", tickprefix=currency.prefix),
            yaxis=axis("bought per customer", tickprefix=currency.prefix),
        )
        if rows
        else None,
        Table(
            ("group", "customers", "expected each", "bought each"),
            [
                (
                    count(row["group_number"]),
                    count(row["customer_count"]),
                    currency.amount(row["expected_amount"]),
                    currency.amount(row["actual_amount"]),
                )
                for row in rows
            ],
        ),
    )


def plan_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw what each lever of the plan adds, and how sure that is."""
    rows = [row for row in marts["plan"] if row["expected_uplift_amount"] is not None]
    bars = {
        "type": "bar",
        "orientation": "h",
        "y": [f"{label(row['segment_name'])}" for row in rows],
        "x": [row["expected_uplift_amount"] for row in rows],
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [
                row["uplift_high"] - row["expected_uplift_amount"] for row in rows
            ],
            "arrayminus": [
                row["expected_uplift_amount"] - row["uplift_low"] for row in rows
            ],
        },
        "marker": {
            "color": [BLUE if row["is_in_plan"] else GREY for row in rows],
        },
        "text": ["" if row["is_in_plan"] else "not in the plan" for row in rows],
        "customdata": [findings.words(row["lever"]) for row in rows],
        "hovertemplate": (
            f"%{{y}}, %{{customdata}}: {currency.prefix}%{{x:,.0f}}<extra></extra>"
        ),
    }
    return Chart(
        "plan",
        "The plan for the next quarter",
        findings.on_plan(marts, currency),
        figure(
            [bars],
            height=120 + 44 * max(len(rows), 2),
            xaxis=axis("expected to add", tickprefix=currency.prefix),
            yaxis=axis(autorange="reversed"),
        )
        if rows
        else None,
        Table(
            (
                "segment",
                "lever",
                "action",
                "to write to",
                "baseline",
                "adds",
                "from",
                "to",
                "pays up to, per contact",
            ),
            [
                (
                    row["segment_name"],
                    findings.words(row["lever"] or "none"),
                    row["action"] or row["no_plan_reason"] or "",
                    count(row["contacted_count"]),
                    currency.amount(row["baseline_amount"]),
                    currency.amount(row["expected_uplift_amount"]),
                    currency.amount(row["uplift_low"]),
                    currency.amount(row["uplift_high"]),
                    currency.amount(row["largest_contact_cost"]),
                )
                for row in marts["plan"]
            ],
        ),
    )
