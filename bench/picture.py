"""Draw what `run.py` measured: seconds and memory by number of lines."""

from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

# Okabe and Ito's colours, told apart by the colour-blind; markers differ for print.
STYLES = [
    ("#000000", "o"),
    ("#E69F00", "s"),
    ("#0072B2", "^"),
    ("#56B4E9", "v"),
    ("#009E73", "D"),
    ("#D55E00", "P"),
]


def draw(sizes: dict[int, dict[str, tuple[float, float]]], path: Path) -> None:
    """Write two panels, seconds and megabytes, on logarithmic scales."""
    names = list(dict.fromkeys(name for timings in sizes.values() for name in timings))
    figure, panels = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
    titles = ("Seconds", "Largest process, MB")
    for measure, (panel, title) in enumerate(zip(panels, titles, strict=True)):
        for name, (color, marker) in zip(names, STYLES, strict=False):
            points = [
                (lines, timings[name][measure])
                for lines, timings in sizes.items()
                if name in timings
            ]
            panel.plot(
                *zip(*points, strict=True), color=color, marker=marker, label=name
            )
        panel.set(xscale="log", yscale="log", xlabel="Invoice lines", title=title)
        panel.grid(visible=True, color="#dddddd", linewidth=0.5)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=130)
