"""Charts of customers over time and by RFM: who comes back, and where they stand."""

from collections.abc import Mapping, Sequence
from typing import Any

from retail_segments.report import findings
from retail_segments.report.charts import (
    BLUE,
    MUCH,
    ORANGE,
    Chart,
    Spec,
    Table,
    axis,
    figure,
    groups,
    heat_map,
    share_bars,
)
from retail_segments.report.marts import Marts
from retail_segments.report.numbers import Currency, count, decimal, month, share

Rows = Sequence[Mapping[str, Any]]


def retention_chart(marts: Marts) -> Chart:
    """Draw which share of each cohort bought again, period by period."""
    return _cohort_chart(
        marts,
        name="retention",
        title="Customers who came back, by cohort",
        finding=findings.on_retention(marts),
        column="retention_rate",
        write=share,
        cell=lambda value: f"{value:.0%}",
        # The first column is everybody, and would hide all differences.
        first=1,
        colorbar={"tickformat": ".0%"},
    )


def worth_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw what a customer of each cohort has brought so far."""
    return _cohort_chart(
        marts,
        name="worth",
        title="Revenue per customer so far, by cohort",
        finding=findings.on_cohort_worth(marts, currency),
        column="cumulative_net_amount_per_customer",
        write=currency.amount,
        cell=lambda value: f"{value:,.0f}",
        first=0,
        colorbar={"tickprefix": currency.prefix},
    )


def _cohort_chart(
    marts: Marts,
    *,
    name: str,
    title: str,
    finding: str,
    column: str,
    write: Any,
    cell: Any,
    first: int,
    colorbar: Spec,
) -> Chart:
    rows = marts["cohorts"]
    period = rows[0]["cohort_period"] if rows else "month"

    def draw(cells: Rows) -> Spec | None:
        shown = [row for row in cells if row["periods_since"] >= first]
        if not shown:
            return None
        return _cohort_figure(shown, column, period, cell, colorbar)

    variants = {
        group: drawn
        for group, cells in groups(marts["group_cohorts"]).items()
        if (drawn := draw(cells)) is not None
    }
    spans = sorted({row["periods_since"] for row in rows})
    return Chart(
        name,
        title,
        finding,
        draw(rows),
        Table(
            ("first bought", "customers", *(f"{period} {span}" for span in spans)),
            _cohort_table(rows, spans, column, write),
        ),
        variants,
        is_wide=True,
    )


def _cohort_figure(
    rows: Rows, column: str, period: str, cell: Any, colorbar: Spec
) -> Spec:
    dates = sorted({row["cohort_date"] for row in rows})
    spans = sorted({row["periods_since"] for row in rows})
    values = {(row["cohort_date"], row["periods_since"]): row for row in rows}
    sizes = {row["cohort_date"]: row["cohort_size"] for row in rows}
    z = [
        [
            values[start, span][column] if (start, span) in values else None
            for span in spans
        ]
        for start in dates
    ]
    # A period that is not over yet is drawn, and said to be so.
    text = [
        [
            ""
            if value is None
            else cell(value) + ("" if values[start, span]["is_complete"] else "…")
            for span, value in zip(spans, line, strict=True)
        ]
        for start, line in zip(dates, z, strict=True)
    ]
    names = [
        (month(start) if period == "month" else start.isoformat())
        + f" ({count(sizes[start])})"
        for start in dates
    ]
    return figure(
        [
            heat_map(
                x=spans,
                y=names,
                z=z,
                text=text,
                colorbar={"thickness": 12, "outlinewidth": 0, **colorbar},
                hovertemplate=f"%{{y}}, {period} %{{x}}: %{{text}}<extra></extra>",
            )
        ],
        height=110 + 26 * max(len(dates), 3),
        xaxis=axis(f"{period}s since the first purchase", type="category"),
        yaxis=axis(autorange="reversed", type="category"),
    )


def _cohort_table(
    rows: Rows, spans: Sequence[int], column: str, write: Any
) -> list[tuple[str, ...]]:
    values = {(row["cohort_date"], row["periods_since"]): row[column] for row in rows}
    sizes = {row["cohort_date"]: row["cohort_size"] for row in rows}
    return [
        (
            month(start),
            count(size),
            *(
                write(values[start, span]) if (start, span) in values else ""
                for span in spans
            ),
        )
        for start, size in sizes.items()
    ]


def curve_chart(marts: Marts) -> Chart:
    """Draw the mean retention curve with its interval."""
    rows = [row for row in marts["curve"] if row["periods_since"] >= 1]
    period = rows[0]["cohort_period"] if rows else "month"
    spans = [row["periods_since"] for row in rows]
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "95% interval",
            "x": spans + spans[::-1],
            "y": [row["retention_high"] for row in rows]
            + [row["retention_low"] for row in rows[::-1]],
            "fill": "toself",
            "fillcolor": "rgba(0,114,178,0.2)",
            "line": {"width": 0},
            "hoverinfo": "skip",
        },
        {
            "type": "scatter",
            "mode": "lines+markers",
            "name": "all cohorts",
            "x": spans,
            "y": [row["retention_rate"] for row in rows],
            "line": {"color": BLUE, "width": 2},
            "customdata": [[count(row["customer_count"])] for row in rows],
            "hovertemplate": (
                f"{period} %{{x}}: %{{y:.1%}} of %{{customdata[0]}} customers"
                "<extra></extra>"
            ),
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "without the first cohort, which may be older than the data",
            "x": spans,
            "y": [row["uncensored_retention_rate"] for row in rows],
            "line": {"color": ORANGE, "width": 2, "dash": "dash"},
            "hovertemplate": f"{period} %{{x}}: %{{y:.1%}}<extra></extra>",
        },
    ]
    return Chart(
        "curve",
        "Retention curve",
        findings.on_retention(marts),
        figure(
            traces,
            xaxis=axis(f"{period}s since the first purchase", dtick=1),
            yaxis=axis("bought in it", tickformat=".0%", rangemode="tozero"),
        )
        if rows
        else None,
        Table(
            (f"{period}s since", "customers", "came back", "from", "to"),
            [
                (
                    count(row["periods_since"]),
                    count(row["customer_count"]),
                    share(row["retention_rate"]),
                    share(row["retention_low"]),
                    share(row["retention_high"]),
                )
                for row in rows
            ],
        ),
    )


def rfm_grid_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw how many customers have each pair of scores."""
    by_group = groups(marts["rfm_grid"])
    rows = by_group.pop("all", [])
    return Chart(
        "rfm-grid",
        "Customers by recency and frequency score",
        findings.on_rfm(marts),
        _rfm_grid_figure(rows, currency) if rows else None,
        Table(
            (
                "recency score",
                "frequency score",
                "customers",
                "share",
                "monetary value",
            ),
            [
                (
                    count(row["r_score"]),
                    count(row["f_score"]),
                    count(row["customer_count"]),
                    share(row["customer_share"]),
                    currency.amount(row["monetary_value"]),
                )
                for row in rows
            ],
        ),
        {name: _rfm_grid_figure(cells, currency) for name, cells in by_group.items()},
    )


def _rfm_grid_figure(rows: Rows, currency: Currency) -> Spec:
    cells = {(row["r_score"], row["f_score"]): row for row in rows}
    scores = sorted({row["r_score"] for row in rows})
    grid = [[cells[r, f] for f in scores] for r in scores]
    return figure(
        [
            heat_map(
                x=scores,
                y=scores,
                z=[[cell["customer_count"] for cell in line] for line in grid],
                text=[
                    [
                        f"{count(cell['customer_count'])}<br>"
                        f"{share(cell['monetary_share'] or 0)}"
                        for cell in line
                    ]
                    for line in grid
                ],
                customdata=[
                    [currency.amount(cell["monetary_value"]) for cell in line]
                    for line in grid
                ],
                hovertemplate=(
                    "recency score %{y}, frequency score %{x}: %{z:,} customers, "
                    "%{customdata}<extra></extra>"
                ),
                scale=MUCH,
            )
        ],
        height=420,
        xaxis=axis("frequency score (5: most orders)", type="category"),
        yaxis=axis("recency score (5: bought last)", type="category"),
    )


def rfm_segments_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw the share of customers and of value under each RFM name."""
    by_group = groups(marts["rfm_segments"])
    rows = by_group.pop("all", [])
    return Chart(
        "rfm-segments",
        "RFM segments",
        findings.on_rfm(marts),
        _rfm_segments_figure(rows) if rows else None,
        Table(
            (
                "RFM segment",
                "customers",
                "share",
                "monetary value",
                "share of value",
                "mean days since the last purchase",
                "mean orders",
            ),
            [
                (
                    row["rfm_segment"],
                    count(row["customer_count"]),
                    share(row["customer_share"]),
                    currency.amount(row["monetary_value"]),
                    share(row["monetary_share"]),
                    decimal(row["mean_recency_days"], 0),
                    decimal(row["mean_frequency"], 1),
                )
                for row in rows
            ],
        ),
        {name: _rfm_segments_figure(cells) for name, cells in by_group.items()},
    )


def _rfm_segments_figure(rows: Rows) -> Spec:
    return share_bars(
        rows,
        [row["rfm_segment"] for row in rows],
        (
            ("customers", "customer_share", BLUE, ""),
            ("monetary value", "monetary_share", ORANGE, "/"),
        ),
        height=420,
    )
