"""Write docs/faults.md: which gate stops which fault."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from shop import Fault

TARGET = Path(__file__).parents[2] / "docs" / "faults.md"
HEAD = """\
# What stops a fault

Written by `make test-faults`, which takes a shop whose build is green and published,
puts in one fault after the other, and builds. Of each, the gate named here has to go
red, and what readers open has to be, byte for byte, the build from before. A gate is a
data test, a contract, a check of the vars, or `load`, which refuses a file with a
sentence. Unit tests are left out, as in production. The faults are listed in
`tests/faults`; one that no gate stops is a finding.
"""


def to_markdown(faults: Iterable[Fault], gates: Mapping[str, str]) -> str:
    """Lay the faults out by where they are put in.

    Parameters
    ----------
    faults : iterable of Fault
        The faults.
    gates : dict
        What gates say, by their names.

    Returns
    -------
    str
        The page.
    """
    faults = list(faults)
    named = Counter(fault.gate for fault in faults)
    lines = [
        HEAD,
        f"{len(faults)} faults, stopped by {len(named)} gates.",
        "",
        "| Fault | Where | Gate that goes red |",
        "|---|---|---|",
    ]
    lines += [
        f"| {fault.fault} | `{fault.where}` | `{fault.gate}` |" for fault in faults
    ]
    lines += ["", "## What the gates say", "", "| Gate | It says | Faults |"]
    lines += ["|---|---|--:|"]
    lines += [
        f"| `{gate}` | {_cell(_says(gate, gates, faults))} | {named[gate]} |"
        for gate in sorted(named)
    ]
    return "\n".join(lines) + "\n"


def _says(gate: str, gates: Mapping[str, str], faults: Iterable[Fault]) -> str:
    """Give a gate's words; of one that stops with a sentence, a part of each."""
    if gate in gates:
        return gates[gate]
    if gate.startswith("contract of"):
        return "The table has the columns and types that its YAML promises."
    if gate.startswith("freshness of"):
        return "The newest line is no older than the var freshness_error_days."
    said = dict.fromkeys(fault.says for fault in faults if fault.gate == gate)
    return "; ".join(f"“… {text} …”" for text in said if text)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
