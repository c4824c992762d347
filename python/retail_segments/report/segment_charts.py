"""Charts of segments: why so many, who is in them, and who moved."""

from collections.abc import Mapping, Sequence
from typing import Any

from retail_segments.report import findings
from retail_segments.report.charts import (
    BLUE,
    GREY,
    ORANGE,
    TWO_SIDED,
    Chart,
    Spec,
    Table,
    axis,
    colours_of,
    figure,
    heat_map,
    label,
    share_bars,
)
from retail_segments.report.marts import Marts
from retail_segments.report.numbers import NOTHING, Currency, count, decimal, share

Rows = Sequence[Mapping[str, Any]]

# Names of the metrics of rpt_segment_profiles, for readers.
METRICS = {
    "recency_days": "days since the last purchase",
    "frequency": "orders",
    "monetary_value": "monetary value",
    "average_order_value": "average order value",
    "return_rate": "return rate",
    "items_per_order": "items per order",
    "products_per_order": "products per order",
    "basket_size": "basket size",
    "tenure_days": "days since the first purchase",
    "days_between_orders": "days between orders",
    "product_count": "different products",
}
_SYMBOLS = (
    "circle",
    "square",
    "diamond",
    "triangle-up",
    "cross",
    "x",
    "star",
    "hexagon",
)
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def choice_chart(marts: Marts) -> Chart:
    """Draw what decided the number of clusters: elbow, silhouette, stability, sizes."""
    rows = [row for row in marts["candidates"] if row["algorithm"] == "kmeans"]
    fitted = [row for row in rows if row["inertia"] is not None]
    chosen = next((row["k"] for row in rows if row["is_chosen"]), None)
    panels = (
        ("inertia", "inertia (elbow)", ""),
        ("silhouette", "silhouette", "2"),
        ("smallest_jaccard", "smallest Jaccard (stability)", "3"),
        ("smallest_share", "share of the smallest", "4"),
    )
    traces: list[Spec] = []
    layout: Spec = {"annotations": [], "shapes": [], "showlegend": False}
    for place, (column, title, number) in enumerate(panels):
        left, low = (0.0 if place % 2 == 0 else 0.57), (0.58 if place < 2 else 0.0)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [row["k"] for row in fitted],
                "y": [row[column] for row in fitted],
                "xaxis": f"x{number}",
                "yaxis": f"y{number}",
                "line": {"color": BLUE},
                "marker": {
                    "size": [14 if row["k"] == chosen else 7 for row in fitted],
                    "color": [ORANGE if row["k"] == chosen else BLUE for row in fitted],
                    "symbol": [
                        "star" if row["k"] == chosen else "circle" for row in fitted
                    ],
                },
                "customdata": [[label(row["reason"] or "", 160)] for row in fitted],
                "hovertemplate": (
                    f"k = %{{x}}: {title} %{{y:.3~g}}<br>%{{customdata[0]}}"
                    "<extra></extra>"
                ),
            }
        )
        layout[f"xaxis{number}"] = axis(
            "k", domain=[left, left + 0.43], anchor=f"y{number}", dtick=1
        )
        layout[f"yaxis{number}"] = axis(domain=[low, low + 0.36], anchor=f"x{number}")
        layout["annotations"].append(
            {
                "text": title,
                "x": left,
                "y": low + 0.37,
                "xref": "paper",
                "yref": "paper",
                "xanchor": "left",
                "yanchor": "bottom",
                "showarrow": False,
            }
        )
    candidates = sorted(
        marts["candidates"],
        key=lambda row: (row["algorithm"] != "kmeans", row["algorithm"], row["k"] or 0),
    )
    return Chart(
        "choice",
        "Choosing the number of segments",
        findings.on_choice(marts),
        figure(traces, height=520, **layout) if fitted else None,
        Table(
            (
                "algorithm",
                "k",
                "silhouette",
                "Davies-Bouldin",
                "smallest share",
                "smallest Jaccard",
                "adjusted Rand",
                "why",
            ),
            [
                (
                    findings.words(row["algorithm"]),
                    count(row["k"]) + (" (chosen)" * bool(row["is_chosen"])),
                    decimal(row["silhouette"]),
                    decimal(row["davies_bouldin"]),
                    share(row["smallest_share"]),
                    decimal(row["smallest_jaccard"]),
                    decimal(row["bootstrap_ari"]),
                    row["reason"] or row["unfit_reason"] or "",
                )
                for row in candidates
            ],
        ),
    )


def sizes_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw the share of customers, of value and of returns of each segment."""
    rows = marts["segments"]
    names = [label(row["segment_name"]) for row in rows]
    return Chart(
        "sizes",
        "Segments: customers, value, returns",
        findings.on_segments(marts),
        share_bars(
            rows,
            names,
            (
                ("customers", "customer_share", BLUE, ""),
                ("monetary value", "monetary_share", ORANGE, "/"),
                ("returns", "returned_share", GREY, "."),
            ),
            height=120 + 70 * max(len(rows), 2),
        )
        if rows
        else None,
        Table(
            (
                "segment",
                "customers",
                "share",
                "monetary value",
                "share of value",
                "share of returns",
            ),
            [
                (
                    row["segment_name"],
                    count(row["customer_count"]),
                    share(row["customer_share"]),
                    currency.amount(row["monetary_value"]),
                    share(row["monetary_share"]),
                    share(row["returned_share"]),
                )
                for row in rows
            ],
        ),
    )


def snake_chart(marts: Marts) -> Chart:
    """Draw the standardised means of each segment: a snake plot."""
    names, metrics, cells = _profiles(marts, "standardised_mean")
    colours = colours_of(marts.segment_names)
    traces = [
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": label(name),
            "meta": name,
            "x": metrics,
            "y": [cells.get((name, metric)) for metric in metrics],
            "line": {
                "color": colours[name],
                "width": 2,
                "dash": _DASHES[place % len(_DASHES)],
            },
            "marker": {"symbol": _SYMBOLS[place % len(_SYMBOLS)], "size": 9},
            "hovertemplate": "%{x}: %{y:.2f}<extra>%{fullData.name}</extra>",
        }
        for place, name in enumerate(names)
    ]
    return Chart(
        "snake",
        "Snake plot: standardised means",
        "Zero is the average customer, one a standard deviation above it; lines that "
        "lie far apart tell segments from each other.",
        figure(
            traces,
            height=440,
            xaxis=axis(type="category"),
            yaxis=axis("standard deviations from the mean", zeroline=True),
        )
        if traces
        else None,
        _profile_table(names, metrics, cells, lambda value: decimal(value)),
        {f"segment:{name}": _highlight(traces, name) for name in names},
        is_wide=True,
    )


def _highlight(traces: Sequence[Spec], name: str) -> Spec:
    """Draw the snake plot with one segment in front of the pale others."""
    shown = [
        {**trace, "opacity": 1 if trace["meta"] == name else 0.2} for trace in traces
    ]
    return figure(
        shown,
        height=440,
        xaxis=axis(type="category"),
        yaxis=axis("standard deviations from the mean", zeroline=True),
    )


def importance_chart(marts: Marts) -> Chart:
    """Draw how far each mean of a segment lies from the mean of all: a heat map."""
    names, metrics, cells = _profiles(marts, "relative_importance")
    z = [[cells.get((name, metric)) for metric in metrics] for name in names]
    known = [abs(value) for line in z for value in line if value is not None]
    # One huge ratio would make all others look alike.
    limit = min(max(known, default=1.0), 2.0)
    return Chart(
        "importance",
        "Relative importance",
        "A cell is the segment's mean over the mean of all customers, less one: what "
        "sets the segment apart is far from zero.",
        figure(
            [
                heat_map(
                    x=metrics,
                    y=[label(name) for name in names],
                    z=z,
                    text=[
                        ["" if value is None else f"{value:+.0%}" for value in line]
                        for line in z
                    ],
                    scale=TWO_SIDED,
                    zmid=0,
                    zmin=-limit,
                    zmax=limit,
                    hovertemplate="%{y}, %{x}: %{text}<extra></extra>",
                )
            ],
            height=150 + 44 * max(len(names), 2),
            xaxis=axis(type="category"),
            yaxis=axis(autorange="reversed"),
        )
        if known
        else None,
        _profile_table(
            names,
            metrics,
            cells,
            lambda value: NOTHING if value is None else f"{value:+.0%}",
        ),
        is_wide=True,
    )


def _profiles(
    marts: Marts, column: str
) -> tuple[list[str], list[str], dict[tuple[str, str], float | None]]:
    rows = marts["profiles"]
    order = list(METRICS)
    present = sorted(
        {row["metric"] for row in rows},
        key=lambda name: (order.index(name) if name in order else len(order), name),
    )
    named = {metric: METRICS.get(metric, findings.words(metric)) for metric in present}
    cells = {(row["segment_name"], named[row["metric"]]): row[column] for row in rows}
    return marts.segment_names, list(named.values()), cells


def _profile_table(
    names: Sequence[str],
    metrics: Sequence[str],
    cells: Mapping[tuple[str, str], float | None],
    write: Any,
) -> Table:
    return Table(
        ("segment", *metrics),
        [
            (name, *(write(cells.get((name, metric))) for metric in metrics))
            for name in names
        ],
    )


def points_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw a sample of customers by recency and monetary value."""
    names = marts.segment_names
    colours = colours_of(names)
    traces = []
    for place, name in enumerate(names):
        rows = [
            row
            for row in marts["points"]
            if row["segment_name"] == name and (row["monetary_value"] or 0) > 0
        ]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": label(name),
                "meta": name,
                "x": [row["recency_days"] for row in rows],
                "y": [round(row["monetary_value"], 2) for row in rows],
                "customdata": [row["frequency"] for row in rows],
                "marker": {
                    "color": colours[name],
                    "symbol": _SYMBOLS[place % len(_SYMBOLS)],
                    "size": 6,
                    "opacity": 0.7,
                },
                "hovertemplate": (
                    f"%{{x}} days, %{{customdata}} orders, {currency.prefix}%{{y:,.0f}}"
                    "<extra>%{fullData.name}</extra>"
                ),
            }
        )
    layout: Spec = {
        "height": 480,
        "xaxis": axis("days since the last purchase", type="log", dtick=1),
        "yaxis": axis(
            "monetary value", type="log", dtick=1, tickprefix=currency.prefix
        ),
    }
    shown = sum(len(trace["x"]) for trace in traces)
    everybody = sum(row["customer_count"] for row in marts["segments"])
    return Chart(
        "points",
        "Customers by recency and value",
        f"Each point is a customer; {count(shown)} of {count(everybody)} are drawn, "
        "chosen without regard to who they are. Both scales are of powers of ten.",
        figure(traces, **layout) if shown else None,
        Table(
            ("segment", "centre: days", "centre: orders", "centre: value"),
            [
                (
                    row["segment_name"],
                    decimal(row["centroid_recency_days"], 1),
                    decimal(row["centroid_frequency"], 1),
                    currency.amount(row["centroid_monetary_value"]),
                )
                for row in marts["segments"]
            ],
        ),
        {
            f"segment:{name}": figure(
                [
                    {**trace, "opacity": 1 if trace["meta"] == name else 0.12}
                    for trace in traces
                ],
                **layout,
            )
            for name in names
        },
    )


def migration_chart(marts: Marts) -> Chart:
    """Draw who went from which segment to which since the last month end."""
    rows = marts["migration"]
    names = marts.segment_names
    colours = colours_of(names)
    sources = [*names, "not a customer yet"]
    targets = [*names, "in no segment"]
    links = []
    for row in rows:
        source = row["from_segment_name"] or sources[-1]
        target = row["to_segment_name"] or targets[-1]
        # A segment of another model has no place among today's.
        if source in sources and target in targets:
            links.append((source, target, row))
    used_sources = [name for name in sources if any(link[0] == name for link in links)]
    used_targets = [name for name in targets if any(link[1] == name for link in links)]
    sankey = {
        "type": "sankey",
        "node": {
            "label": [label(name) for name in (*used_sources, *used_targets)],
            "color": [
                colours.get(name, GREY) for name in (*used_sources, *used_targets)
            ],
            "pad": 16,
            "thickness": 16,
            "hovertemplate": "%{label}: %{value:,} customers<extra></extra>",
        },
        "link": {
            "source": [used_sources.index(link[0]) for link in links],
            "target": [
                len(used_sources) + used_targets.index(link[1]) for link in links
            ],
            "value": [link[2]["customer_count"] for link in links],
            "customdata": [link[2]["cause"] or "stayed" for link in links],
            "color": [
                "rgba(127,127,127,0.25)"
                if link[0] == link[1]
                else "rgba(213,94,0,0.45)"
                if _is_worse(link[2])
                else "rgba(0,114,178,0.45)"
                for link in links
            ],
            "hovertemplate": (
                "%{source.label} to %{target.label}: %{value:,} customers "
                "(%{customdata})<extra></extra>"
            ),
        },
    }
    return Chart(
        "migration",
        "Moves between segments since the last month end",
        findings.on_migration(marts),
        figure([sankey], height=440, margin={"l": 10, "r": 10, "t": 10, "b": 10})
        if links
        else None,
        Table(
            ("from", "to", "cause", "customers"),
            [
                (source, target, row["cause"] or "stayed", count(row["customer_count"]))
                for source, target, row in links
            ],
        ),
    )


def _is_worse(row: Mapping[str, Any]) -> bool:
    """Clusters are numbered by value, the best first."""
    if row["from_cluster_id"] is None:
        return False
    return row["to_cluster_id"] is None or row["to_cluster_id"] > row["from_cluster_id"]
