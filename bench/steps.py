"""Hold the steps of ``floor.py`` against the models that do the same, and more.

``bench/run.py`` calls it. A model that no step names is counted under ``OTHER``.
"""

import re

from tables import lay_out

OTHER = "views, dates and the rest"
# A heading, the floor's steps under it, and the models.
STEPS = {
    "lines: copies, reasons": (
        ["deduplicate", "classify"],
        ["int_lines_classified"],
    ),
    "returns to purchases": (["allocate returns"], ["int_returns_allocated"]),
    "orders, months": (
        ["orders", "months"],
        [
            "int_invoice_parts_totalled",
            "int_invoices_totalled",
            "fct_orders",
            "rpt_sales_monthly",
        ],
    ),
    "RFM, cohorts": (
        ["rfm", "scores", "cohorts"],
        [
            "int_orders_versioned",
            "int_customers_totalled",
            "int_customers_snapshotted",
            "int_customers_cohorted",
            "rpt_cohort_retention",
        ],
    ),
    "baskets, pairs": (
        ["basket items", "pairs"],
        [
            "int_baskets_numbered",
            "int_basket_items_kept",
            "int_basket_products_counted",
            "int_product_pairs_counted",
        ],
    ),
    "products and days of customers": (
        [],
        ["int_customer_products_totalled", "int_customer_days_totalled"],
    ),
    "fingerprints for daily builds": (
        [],
        [
            "int_change_groups_delivered",
            "int_change_groups_settled",
            "int_snapshots_fingerprinted",
        ],
    ),
}


def seconds_of_floor(output: str) -> dict[str, float]:
    """Read the seconds of each step from what ``floor.py`` printed."""
    found = re.findall(r"^(\S.*?)\s+([\d.]+) s$", output, re.MULTILINE)
    return {name: float(seconds) for name, seconds in found}


def compare(
    floor: dict[str, float], models: dict[str, float]
) -> list[tuple[str, float, float]]:
    """Lay the floor's seconds and the models' side by side, under each heading.

    A step or a model that was not run is a KeyError: the list above is out of date.
    """
    rows = [
        (
            heading,
            sum(floor[step] for step in steps),
            sum(models[model] for model in names),
        )
        for heading, (steps, names) in STEPS.items()
    ]
    rest = sum(models.values()) - sum(ours for _, _, ours in rows)
    return [*rows, (OTHER, 0.0, rest)]


def to_markdown(sizes: dict[int, list[tuple[str, float, float]]]) -> str:
    """Lay out a table: a row per heading, two columns per number of lines.

    The last row adds up the steps that both have.
    """
    head = ["step"]
    for lines in sizes:
        head += [f"{lines:,} lines: floor.py", "models"]
    rows = [head]
    for steps in zip(*sizes.values(), strict=True):
        row = [steps[0][0]]
        for _, floor, ours in steps:
            row += [f"{floor:.1f}" if floor else "", f"{ours:.1f}"]
        rows.append(row)
    row = ["together, where both have it"]
    for measured in sizes.values():
        floor = sum(theirs for _, theirs, _ in measured)
        ours = sum(models for _, theirs, models in measured if theirs)
        row += [f"{floor:.1f}", f"{ours:.1f} ({ours / floor:.1f} x)"]
    return lay_out([*rows, row], left=0)
