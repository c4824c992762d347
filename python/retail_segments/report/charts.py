"""What a chart is, and what all charts share: colours, scales, labels, tables.

A chart is a Plotly figure written as plain data, so that the page needs no more than
Plotly's script to draw it. Each has a table of the same numbers, for readers who cannot
see it and for those who want the digits.
"""

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from retail_segments.report.numbers import shorten

Spec = dict[str, Any]

# Okabe and Ito's colours, which people with any colour vision tell apart, in the order
# of their contrast on white and on dark grounds.
COLOURS = (
    "#0072B2",
    "#D55E00",
    "#009E73",
    "#CC79A7",
    "#E69F00",
    "#56B4E9",
    "#8C6D31",
    "#7F7F7F",
    "#5E4FA2",
    "#A6761D",
)
BLUE, ORANGE, GREEN, GREY = COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[7]
# Colour scales that lose nothing in grey print: dark is much. The two-sided one goes
# from orange (below) over a light middle to blue (above).
MUCH = "Cividis"
TWO_SIDED = [
    [0.0, "#B35806"],
    [0.25, "#F1A340"],
    [0.5, "#F7F7F7"],
    [0.75, "#67A9CF"],
    [1.0, "#2166AC"],
]
EVERYBODY = "all"


@dataclass(frozen=True)
class Table:
    """The numbers of a chart, written for people."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Chart:
    """One chart of the page.

    Parameters
    ----------
    name : str
        What the page calls it; lower case, with hyphens.
    title : str
        What it shows.
    finding : str
        What it says, in a sentence.
    figure : dict
        Plotly's ``data`` and ``layout``; none where there is nothing to draw, and then
        the finding says why.
    table : Table
        The same numbers.
    variants : mapping of str to dict
        Other figures by group, such as ``country:Germany``; the page's filters choose.
    is_wide : bool
        Whether it takes the width of two.
    """

    name: str
    title: str
    finding: str
    figure: Spec | None
    table: Table
    variants: Mapping[str, Spec] = field(default_factory=dict)
    is_wide: bool = False


def figure(traces: Iterable[Spec], *, height: int = 380, **layout: Any) -> Spec:
    """Put traces on the ground that all charts share."""
    return {
        "data": list(traces),
        "layout": {
            "height": height,
            "margin": {"l": 60, "r": 20, "t": 10, "b": 50},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": list(COLOURS),
            "hovermode": "closest",
            "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
            "hoverlabel": {"namelength": -1},
            **layout,
        },
    }


def axis(title: str | None = None, **settings: Any) -> Spec:
    """Describe an axis that makes room for its labels."""
    described: Spec = {"automargin": True, **settings}
    if title:
        described["title"] = {"text": title}
    return described


def label(text: str, length: int = 32) -> str:
    r"""Make a name from the data safe and short for a chart.

    Plotly reads some HTML in labels, so what looks like it is escaped; text of either
    direction is kept from turning its neighbours around.

    Examples
    --------
    >>> label("<b>MUG</b>") == "\u2068&lt;b&gt;MUG&lt;/b&gt;\u2069"
    True
    """
    return f"\u2068{html.escape(shorten(text, length), quote=False)}\u2069"


def heat_map(
    *,
    x: Sequence[Any],
    y: Sequence[Any],
    z: Sequence[Sequence[float | None]],
    text: Sequence[Sequence[str]],
    scale: Any = MUCH,
    **settings: Any,
) -> Spec:
    """Describe a heat map whose cells carry their numbers."""
    return {
        "type": "heatmap",
        "x": list(x),
        "y": list(y),
        "z": [list(row) for row in z],
        "text": [list(row) for row in text],
        "texttemplate": "%{text}",
        "textfont": {"size": 11},
        "colorscale": scale,
        "reversescale": scale == MUCH,
        "xgap": 1,
        "ygap": 1,
        "hoverongaps": False,
        "colorbar": {"thickness": 12, "outlinewidth": 0},
        **settings,
    }


def fill(colour: str, shape: str) -> Spec:
    """Fill bars with a colour, and a pattern that tells them apart without it."""
    return {
        "color": colour,
        "pattern": {"shape": shape, "fillmode": "overlay", "fgcolor": "#ffffff"},
    }


def share_bars(
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
    shares: Sequence[tuple[str, str, str, str]],
    *,
    height: int,
) -> Spec:
    """Draw several shares of each row as bars, side by side.

    Parameters
    ----------
    rows : sequence of dict
        What has the shares.
    names : sequence of str
        What each row is called.
    shares : sequence of (str, str, str, str)
        What a share is of, its column, and the colour and pattern of its bars.
    height : int
        Pixels.

    Returns
    -------
    dict
        The figure.
    """
    traces = [
        {
            "type": "bar",
            "orientation": "h",
            "name": name,
            "y": names,
            "x": [row[column] or 0 for row in rows],
            "marker": fill(colour, shape),
            "hovertemplate": f"%{{y}}: %{{x:.1%}} of {name}<extra></extra>",
        }
        for name, column, colour, shape in shares
    ]
    return figure(
        traces,
        height=height,
        barmode="group",
        xaxis=axis("share", tickformat=".0%"),
        yaxis=axis(autorange="reversed"),
    )


def groups(rows: Iterable[Mapping[str, Any]]) -> dict[str, list[Mapping[str, Any]]]:
    """Part rows by their group, named as the page's filters name it."""
    parted: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        kind = row["group_kind"]
        name = EVERYBODY if kind == EVERYBODY else f"{kind}:{row['group_name']}"
        parted.setdefault(name, []).append(row)
    return parted


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """Give each segment the colour that it has in every chart."""
    return {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(names)}
