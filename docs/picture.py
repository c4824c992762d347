"""Draw the README's picture from the warehouse: `python docs/picture.py`."""

from pathlib import Path

import duckdb
import matplotlib as mpl
from retail_segments.build import warehouse_path

mpl.use("Agg")
from matplotlib import pyplot as plt

# Okabe and Ito's colours, told apart by the colour-blind; markers differ for print.
STYLES = [
    ("#0072B2", "o"),
    ("#E69F00", "s"),
    ("#009E73", "^"),
    ("#CC79A7", "D"),
    ("#56B4E9", "v"),
    ("#D55E00", "P"),
    ("#F0E442", "X"),
    ("#000000", "*"),
    ("#999999", "<"),
    ("#661100", ">"),
]
# Points at the same place hide each other; a sample of each segment is enough.
SHOWN = 700


def main() -> None:
    """Read the segment mart and write docs/segments.png."""
    with duckdb.connect(str(warehouse_path()), read_only=True) as connection:
        segments = connection.execute(
            "select cluster_id, segment_name, customer_count, customer_share, "
            "monetary_share from marts.dim_segments order by cluster_id"
        ).df()
        customers = connection.execute(
            "select cluster_id, recency_days, monetary_value "
            "from marts.dim_customer_segments where cluster_id is not null "
            "order by hash(customer_id)"
        ).df()

    figure, (scatter, bars) = plt.subplots(
        1, 2, figsize=(11, 4.2), width_ratios=(3, 2), layout="constrained"
    )
    for row, (colour, marker) in zip(segments.itertuples(), STYLES, strict=False):
        members = customers[customers["cluster_id"] == row.cluster_id].head(SHOWN)
        scatter.scatter(
            members["recency_days"],
            members["monetary_value"],
            s=10,
            color=colour,
            marker=marker,
            alpha=0.55,
            linewidths=0,
            label=f"{row.segment_name} ({row.customer_count:,})",
        )
    scatter.set(
        xscale="log",
        yscale="log",
        xlabel="days since the last purchase",
        ylabel="monetary value, net of returns",
        title="Customers by segment",
    )
    for axis in (scatter.xaxis, scatter.yaxis):
        axis.set_major_formatter("{x:,.0f}")
    legend = scatter.legend(
        loc="lower left", fontsize=8, markerscale=2, framealpha=0.9, edgecolor="none"
    )
    for handle in legend.legend_handles:
        handle.set_alpha(1)

    positions = range(len(segments))
    for offset, column, label, hatch in (
        (-0.2, "customer_share", "of customers", "//"),
        (0.2, "monetary_share", "of revenue", ""),
    ):
        drawn = bars.barh(
            [position + offset for position in positions],
            segments[column] * 100,
            height=0.38,
            color=[colour for colour, _ in STYLES[: len(segments)]],
            alpha=0.5 if hatch else 1,
            hatch=hatch,
            edgecolor="white",
        )
        bars.bar_label(
            drawn, [f"{v:.0%} {label}" for v in segments[column]], padding=3, fontsize=8
        )
    bars.set_yticks(positions, segments["segment_name"])
    bars.invert_yaxis()
    bars.set(title="What they are worth", xlim=(0, 100))
    bars.xaxis.set_visible(False)
    for axes in (scatter, bars):
        axes.spines[["top", "right"]].set_visible(False)
    bars.spines["bottom"].set_visible(False)
    figure.savefig(
        Path(__file__).with_name("segments.png"), dpi=130, metadata={"Software": None}
    )


if __name__ == "__main__":
    main()
