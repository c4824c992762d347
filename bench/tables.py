"""Lay tables out for a page and for a terminal alike: Markdown with aligned columns."""

from collections.abc import Sequence


def lay_out(rows: Sequence[Sequence[str]], left: int) -> str:
    """Align the cells of a table: the column `left` to the left, others to the right.

    The first row is the heading.
    """
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = [
        "-" * width if column == left else "-" * (width - 1) + ":"
        for column, width in enumerate(widths)
    ]
    return "\n".join(
        "| "
        + " | ".join(
            cell.ljust(width) if column == left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in [rows[0], rule, *rows[1:]]
    )
