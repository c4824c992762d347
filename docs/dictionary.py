"""Write docs/data_dictionary.md, and the glossary of the docs site: `make dictionary`.

Every mart, column and type in the words of the models' own YAML, every term in those
of models/_glossary.md.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
TARGET = ROOT / "docs" / "data_dictionary.md"
GLOSSARY = ROOT / "models" / "_glossary.md"
OVERVIEW = ROOT / "models" / "_overview.md"
# What stands before it is written by hand.
MARK = "# Glossary\n"
HEAD = """\
# Data dictionary

Every mart, written by `make dictionary` from the YAML beside the models. The same words
are in the warehouse as comments, in `make docs` with the lineage, and in each export.
"""


def to_markdown(nodes: Mapping[str, Mapping[str, Any]]) -> str:
    """Lay the marts out, subject by subject.

    Parameters
    ----------
    nodes : dict
        The nodes of dbt's manifest.

    Returns
    -------
    str
        The page.
    """
    marts: dict[str, list[Mapping[str, Any]]] = {}
    for node in nodes.values():
        if node["resource_type"] == "model" and node["fqn"][1] == "marts":
            marts.setdefault(node["fqn"][2], []).append(node)
    lines = [HEAD]
    for subject in sorted(marts):
        marts[subject].sort(key=lambda node: node["name"])
        links = ", ".join(
            f"[{node['name']}](#{node['name']})" for node in marts[subject]
        )
        lines.append(f"- **{subject}**: {links}")
    for subject in sorted(marts):
        lines.append(f"\n## {subject}")
        for node in marts[subject]:
            lines += _table(node)
    return "\n".join(lines) + "\n"


def with_glossary(overview: str, glossary: str) -> str:
    """Write the terms of the glossary into the overview of the docs site.

    Parameters
    ----------
    overview : str
        The page, with an older glossary at its end.
    glossary : str
        dbt's blocks of documentation.

    Returns
    -------
    str
        The page, with this one.
    """
    blocks = re.findall(r"{% docs (\w+) %}\n(.*?)\n{% enddocs %}", glossary, re.S)
    terms = [f"- **{name}**: {_text(meaning)}" for name, meaning in sorted(blocks)]
    head, _, _ = overview.partition(MARK)
    return head + MARK + "\n" + "\n".join(terms) + "\n{% enddocs %}\n"


def _table(node: Mapping[str, Any]) -> Iterator[str]:
    """Lay one mart out."""
    yield f"\n### {node['name']}\n"
    yield f"{_text(node['description'])}\n"
    yield "| Column | Type | Meaning |"
    yield "|---|---|---|"
    for column in node["columns"].values():
        name, meaning = column["name"], _text(column["description"])
        yield f"| `{name}` | {column['data_type']} | {meaning} |"


def _text(description: str) -> str:
    return " ".join(description.split()).replace("|", "\\|")


def main() -> None:
    """Let dbt parse the project, and write both pages."""
    overview = with_glossary(OVERVIEW.read_text(), GLOSSARY.read_text())
    OVERVIEW.write_text(overview, encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(sys.executable).with_name("dbt")), "parse", "--quiet"]
        command += ["--target-path", folder, "--log-path", folder]
        subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603
        manifest = json.loads((Path(folder) / "manifest.json").read_text())
    TARGET.write_text(to_markdown(manifest["nodes"]), encoding="utf-8")


if __name__ == "__main__":
    main()
