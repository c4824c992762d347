"""What the mutants came to: by model, in all, and the survivors with their reasons."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from mutants import Mutant
from rich.console import Console
from rich.table import Table
from trials import Verdict

LEAST_SHARE = 0.90
# By model, then by the mutant's text.
Reasons = Mapping[str, Mapping[str, str]]

INTRODUCTION = """# Mutants: what the tests would not notice

`make mutate` makes one wrong change at a time to the SQL of every model: a comparison,
a join, a filter, a constant, the order of a window. It then runs the unit tests of the
model and the data tests of all that reads it. A mutant is killed when one of them turns
red; a survivor is a mistake that no test would tell of, unless its reason says that it
is none. A model without mutants only picks columns. Written by `make mutate`; the
reasons are kept in `tests/mutation/reasons.yml`.

"""


@dataclass(frozen=True)
class Result:
    """A mutant and what became of it."""

    mutant: Mutant
    verdict: Verdict

    @property
    def is_killed(self) -> bool:
        return self.verdict.outcome != "survived"

    def as_dict(self) -> dict[str, Any]:
        mutant = self.mutant
        return {
            "model": mutant.model,
            "kind": mutant.kind,
            "change": mutant.change,
            "text": mutant.text,
            "outcome": self.verdict.outcome,
            "by": self.verdict.by,
        }

    def reason(self, reasons: Reasons) -> str | None:
        return (reasons.get(self.mutant.model) or {}).get(self.mutant.text)


def print_report(
    console: Console, models: Sequence[str], results: Sequence[Result], reasons: Reasons
) -> int:
    """Print the table, the survivors without a reason, and the total.

    Returns
    -------
    int
        0, or 1 where too few are killed or a survivor has no reason.
    """
    table = Table("model", box=None)
    for heading in ("mutants", "unit tests", "data tests", "timeouts", "survivors"):
        table.add_column(heading, justify="right")
    for row in _rows(models, results):
        table.add_row(*map(str, row))
    console.print(table)
    unexplained = [
        result
        for result in results
        if not result.is_killed and not result.reason(reasons)
    ]
    if unexplained:
        console.print(
            "\nSurvivors without a reason, as tests/mutation/reasons.yml has it:"
        )
        by_model: dict[str, dict[str, str]] = {}
        for result in unexplained:
            by_model.setdefault(result.mutant.model, {})[result.mutant.text] = "?"
        console.print(
            yaml.safe_dump(by_model, width=10_000, allow_unicode=True),
            markup=False,
            highlight=False,
        )
    killed_now = [
        f"{result.mutant.model}: {result.mutant.text}"
        for result in results
        if result.is_killed and result.reason(reasons)
    ]
    if killed_now:
        console.print("Killed, so that their reasons can go:", *killed_now, sep="\n")
    killed = sum(result.is_killed for result in results)
    share = killed / len(results) if results else 1.0
    console.print(
        f"{len(results)} mutants, {killed} killed, {share:.1%}; "
        f"{len(results) - killed} survivors, {len(unexplained)} without a reason"
    )
    if share < LEAST_SHARE:
        console.print(f"Fewer than {LEAST_SHARE:.0%} are killed: sharpen the tests.")
    return int(share < LEAST_SHARE or bool(unexplained))


def write_report(
    path: Path, models: Sequence[str], results: Sequence[Result], reasons: Reasons
) -> None:
    """Write the same for readers, with the reasons."""
    killed = sum(result.is_killed for result in results)
    lines = [
        f"{len(results):,} mutants of {len(models)} models, {killed:,} killed: "
        f"{killed / len(results):.1%}.",
        "",
        "## By kind",
        "",
        "| Kind | Mutants | Killed |",
        "|---|---:|---:|",
    ]
    kinds = Counter(result.mutant.kind for result in results)
    found = Counter(result.mutant.kind for result in results if result.is_killed)
    lines += [f"| {kind} | {kinds[kind]} | {found[kind]} |" for kind in sorted(kinds)]
    lines += [
        "",
        "## By model",
        "",
        "| Model | Mutants | By unit tests | By data tests | Timeouts | Survivors |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    lines += [f"| {' | '.join(map(str, row))} |" for row in _rows(models, results)]
    lines += ["", "## Survivors", ""]
    for model in models:
        survivors = [
            result
            for result in results
            if result.mutant.model == model and not result.is_killed
        ]
        if survivors:
            lines += [f"### {model}", ""]
        for result in survivors:
            reason = result.reason(reasons) or "no reason yet"
            lines += [f"- `{result.mutant.text}`", f"  {reason}"]
        if survivors:
            lines.append("")
    path.write_text(INTRODUCTION + "\n".join(lines).rstrip() + "\n", "utf-8")


def _rows(models: Sequence[str], results: Sequence[Result]) -> list[tuple[Any, ...]]:
    outcomes = Counter(
        (result.mutant.model, result.verdict.outcome) for result in results
    )
    kinds = ("unit", "data", "timeout", "survived")
    rows = [
        (model, sum(counts), *counts)
        for model in models
        for counts in [[outcomes[model, kind] for kind in kinds]]
    ]
    sums = [sum(row[column] for row in rows) for column in range(1, 6)]
    return [*rows, ("all", *sums)]
