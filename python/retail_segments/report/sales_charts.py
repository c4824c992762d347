"""Charts of lines and sales: what is in the figures; when, where, how much is sold."""

from collections.abc import Mapping, Sequence
from typing import Any

from retail_segments.report import findings
from retail_segments.report.charts import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    Chart,
    Spec,
    Table,
    axis,
    figure,
    fill,
    groups,
    heat_map,
    label,
)
from retail_segments.report.marts import Marts
from retail_segments.report.numbers import (
    Currency,
    count,
    decimal,
    month,
    share,
    shorten,
)

Rows = Sequence[Mapping[str, Any]]


def lines_chart(marts: Marts) -> Chart:
    """Draw the way from delivered lines to those in the figures."""
    totals = {
        row["layer"]: row["total"]
        for row in marts["controls"]
        if row["measure"] == "line_count"
    }
    reasons = marts["reasons"]
    nodes = ["delivered", "in the figures", "set aside"]
    nodes += [findings.words(row["reject_reason"]) for row in reasons]
    links = [(0, 1, totals["used"]), (0, 2, totals["set_aside"])]
    links += [(2, 3 + place, row["line_count"]) for place, row in enumerate(reasons)]
    links = [link for link in links if link[2]]
    counts = [totals["delivered"], totals["used"], totals["set_aside"]]
    counts += [row["line_count"] for row in reasons]
    sankey = {
        "type": "sankey",
        "arrangement": "snap",
        "node": {
            "label": [
                f"{name} ({count(number)})"
                for name, number in zip(nodes, counts, strict=True)
            ],
            "color": [BLUE, GREEN, ORANGE] + [GREY] * len(reasons),
            "pad": 18,
            "thickness": 16,
            "hovertemplate": "%{label}<extra></extra>",
        },
        "link": {
            "source": [link[0] for link in links],
            "target": [link[1] for link in links],
            "value": [link[2] for link in links],
            "color": ["rgba(127,127,127,0.35)"] * len(links),
            "hovertemplate": "%{value:,} lines<extra></extra>",
        },
    }
    rows = [("delivered", count(totals["delivered"]), "100.0%")] if links else []
    rows += [
        (name, count(number), share(number / totals["delivered"]))
        for name, number in zip(nodes[1:], counts[1:], strict=True)
        if totals["delivered"]
    ]
    return Chart(
        "lines",
        "From delivered lines to the figures",
        findings.on_lines(marts),
        figure([sankey], height=320, margin={"l": 10, "r": 10, "t": 10, "b": 10})
        if links
        else None,
        Table(("lines", "number", "share"), rows),
    )


def months_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw what was bought in each month, with the trend of the whole months."""
    months = marts["months"]
    by_group = groups(marts["group_months"])
    partial = {row["sales_month"] for row in months if row["is_partial"]}
    return Chart(
        "months",
        "Revenue by month",
        findings.on_months(marts, currency),
        _month_figure(months, partial, currency) if months else None,
        Table(
            (
                "month",
                "revenue",
                "orders",
                "customers",
                "average order",
                "seasonal index",
            ),
            [
                (
                    month(row["sales_month"]) + (" (partial)" * row["is_partial"]),
                    currency.amount(row["counted_amount"]),
                    count(row["order_count"]),
                    count(row["customer_count"]),
                    currency.amount(row["average_order_value"]),
                    decimal(row["seasonal_index"]),
                )
                for row in months
            ],
        ),
        {
            name: _month_figure(rows, partial, currency)
            for name, rows in by_group.items()
        },
    )


def _month_figure(rows: Rows, partial: set[Any], currency: Currency) -> Spec:
    bars = {
        "type": "bar",
        "name": "revenue",
        "x": [row["sales_month"].isoformat() for row in rows],
        "y": [row["counted_amount"] for row in rows],
        "customdata": [
            [
                count(row["order_count"]),
                "partial month" * (row["sales_month"] in partial),
            ]
            for row in rows
        ],
        "marker": {
            "color": BLUE,
            "pattern": {
                "shape": ["/" if row["sales_month"] in partial else "" for row in rows],
                "fillmode": "overlay",
            },
        },
        "hovertemplate": (
            f"%{{x|%b %Y}}: {currency.prefix}%{{y:,.0f}}, %{{customdata[0]}} orders "
            "%{customdata[1]}<extra></extra>"
        ),
    }
    traces = [bars]
    trend = [row for row in rows if row.get("trend_amount") is not None]
    if trend:
        traces.append(
            {
                "type": "scatter",
                "mode": "lines",
                "name": "trend of whole months",
                "x": [row["sales_month"].isoformat() for row in trend],
                "y": [row["trend_amount"] for row in trend],
                "line": {"color": ORANGE, "width": 2, "dash": "dash"},
                "hoverinfo": "skip",
            }
        )
    return figure(
        traces,
        xaxis=axis(type="date", tickformat="%b %Y", hoverformat="%b %Y"),
        yaxis=axis(tickprefix=currency.prefix, rangemode="tozero"),
        bargap=0.15,
    )


def new_customers_chart(marts: Marts) -> Chart:
    """Draw new and returning customers of each month."""
    months = marts["months"]
    return Chart(
        "new-customers",
        "New and returning customers",
        findings.on_new_customers(marts),
        _new_customer_figure(months)
        if any(r["customer_count"] for r in months)
        else None,
        Table(
            ("month", "new", "returning"),
            [
                (
                    month(row["sales_month"]),
                    count(row["new_customer_count"]),
                    count(row["returning_customer_count"]),
                )
                for row in months
            ],
        ),
        {
            name: _new_customer_figure(rows)
            for name, rows in groups(marts["group_months"]).items()
        },
    )


def _new_customer_figure(rows: Rows) -> Spec:
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": [row["sales_month"].isoformat() for row in rows],
            "y": [row[column] for row in rows],
            "marker": fill(colour, shape),
            "hovertemplate": f"%{{x|%b %Y}}: %{{y:,}} {name}<extra></extra>",
        }
        for name, column, colour, shape in (
            ("returning", "returning_customer_count", BLUE, ""),
            ("new", "new_customer_count", ORANGE, "."),
        )
    ]
    return figure(
        traces,
        barmode="stack",
        xaxis=axis(type="date", tickformat="%b %Y"),
        yaxis=axis("customers", rangemode="tozero"),
        bargap=0.15,
    )


def countries_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw what each country brings, as points on a scale of powers of ten."""
    rows = marts["countries"]
    dots = {
        "type": "scatter",
        "mode": "markers+text",
        "x": [row["counted_amount"] for row in rows],
        "y": [label(row["country"]) for row in rows],
        "text": [share(row["amount_share"]) for row in rows],
        "textposition": "middle right",
        "marker": {"color": BLUE, "size": 11},
        "customdata": [[count(row["order_count"])] for row in rows],
        "cliponaxis": False,
        "hovertemplate": (
            f"%{{y}}: {currency.prefix}%{{x:,.0f}}, %{{customdata[0]}} orders"
            "<extra></extra>"
        ),
    }
    return Chart(
        "countries",
        "Revenue by country",
        findings.on_countries(marts),
        figure(
            [dots],
            height=60 + 24 * max(len(rows), 4),
            margin={"l": 60, "r": 60, "t": 10, "b": 50},
            xaxis=axis(
                "each line ten times the one before",
                type="log",
                tickprefix=currency.prefix,
                dtick=1,
            ),
            yaxis=axis(autorange="reversed"),
        )
        if rows
        else None,
        Table(
            ("country", "revenue", "share", "orders", "customers", "average order"),
            [
                (
                    row["country"],
                    currency.amount(row["counted_amount"]),
                    share(row["amount_share"]),
                    count(row["order_count"]),
                    count(row["customer_count"]),
                    currency.amount(row["average_order_value"]),
                )
                for row in rows
            ],
        ),
    )


def hours_chart(marts: Marts) -> Chart:
    """Draw when orders come, by weekday and hour."""
    rows = marts["hours"]
    days = list(dict.fromkeys(row["weekday_name"] for row in rows))
    busy = [row["hour_of_day"] for row in rows if row["order_count"]]
    hours = list(range(min(busy), max(busy) + 1)) if busy else []
    orders = {(row["weekday_name"], row["hour_of_day"]): row for row in rows}
    z = [[orders[name, hour]["order_count"] for hour in hours] for name in days]
    return Chart(
        "hours",
        "Orders by weekday and hour",
        findings.on_hours(marts),
        figure(
            [
                heat_map(
                    x=hours,
                    y=days,
                    z=z,
                    text=[
                        [count(value) if value else "" for value in row] for row in z
                    ],
                    hovertemplate="%{y}, %{x}:00: %{z:,} orders<extra></extra>",
                )
            ],
            height=340,
            xaxis=axis("hour in which the order was written", type="category"),
            yaxis=axis(autorange="reversed"),
        )
        if hours
        else None,
        Table(
            ("weekday", *(f"{hour}:00" for hour in hours)),
            [
                (name, *(count(value) for value in values))
                for name, values in zip(days, z, strict=True)
            ],
        ),
    )


def order_values_chart(marts: Marts) -> Chart:
    """Draw how many orders are small, and what large ones bring."""
    rows = marts["order_values"]
    traces = [
        {
            "type": "bar",
            "name": name,
            "x": [row["band_name"] for row in rows],
            "y": [row[column] for row in rows],
            "marker": fill(colour, shape),
            "hovertemplate": f"%{{x}}: %{{y:.1%}} of the {name}<extra></extra>",
        }
        for name, column, colour, shape in (
            ("orders", "order_share", BLUE, ""),
            ("amount", "amount_share", ORANGE, "/"),
        )
    ]
    return Chart(
        "order-values",
        "Order values",
        findings.on_order_values(marts),
        figure(
            traces,
            barmode="group",
            xaxis=axis("value of the order", type="category"),
            yaxis=axis("share", tickformat=".0%"),
        )
        if rows
        else None,
        Table(
            ("order value", "orders", "share of orders", "share of the amount"),
            [
                (
                    row["band_name"],
                    count(row["order_count"]),
                    share(row["order_share"]),
                    share(row["amount_share"]),
                )
                for row in rows
            ],
        ),
    )


def concentration_chart(marts: Marts) -> Chart:
    """Draw the share that the best customers bring: a Lorenz curve from the top."""
    rows = marts["concentration"]
    traces = [
        {
            "type": "scatter",
            "mode": "lines",
            "name": "the best customers",
            "x": [row["customer_share"] for row in rows],
            "y": [row["best_amount_share"] for row in rows],
            "fill": "tozeroy",
            "line": {"color": BLUE, "width": 2},
            "hovertemplate": "best %{x:.0%}: %{y:.1%} of the value<extra></extra>",
        },
        {
            "type": "scatter",
            "mode": "lines",
            "name": "if all were alike",
            "x": [0, 1],
            "y": [0, 1],
            "line": {"color": GREY, "dash": "dot"},
            "hoverinfo": "skip",
        },
    ]
    return Chart(
        "concentration",
        "Concentration of customers",
        findings.on_concentration(marts),
        figure(
            traces,
            xaxis=axis("share of customers, the best first", tickformat=".0%"),
            yaxis=axis("share of monetary value", tickformat=".0%", range=[0, 1.02]),
        )
        if rows
        else None,
        Table(
            ("best customers", "share of monetary value"),
            [
                (f"{row['percentile']}%", share(row["best_amount_share"]))
                for row in rows
                if row["percentile"] % 10 == 0 and row["percentile"]
            ],
        ),
    )


def products_chart(marts: Marts, currency: Currency) -> Chart:
    """Draw the products that bring most."""
    rows = marts["products"]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": [row["counted_amount"] for row in rows],
        # A zero-width space tells products of one name apart.
        "y": [
            label(row["product_name"]) + "\u200b" * place
            for place, row in enumerate(rows)
        ],
        "customdata": [
            [label(row["stock_code"]), count(row["order_count"])] for row in rows
        ],
        "marker": {"color": BLUE},
        "hovertemplate": (
            f"%{{y}} (%{{customdata[0]}}): {currency.prefix}%{{x:,.0f}}, "
            "%{customdata[1]} orders<extra></extra>"
        ),
    }
    return Chart(
        "products",
        "Products that bring most",
        findings.on_products(marts),
        figure(
            [bars],
            height=60 + 24 * max(len(rows), 4),
            xaxis=axis(tickprefix=currency.prefix),
            yaxis=axis(autorange="reversed"),
        )
        if rows
        else None,
        Table(
            ("product", "code", "revenue", "share", "orders", "returned", "class"),
            [
                (
                    shorten(row["product_name"], 120),
                    row["stock_code"],
                    currency.amount(row["counted_amount"]),
                    share(row["amount_share"]),
                    count(row["order_count"]),
                    share(row["return_rate"]),
                    row["abc_class"] or "",
                )
                for row in rows
            ],
        ),
    )
