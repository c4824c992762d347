"""Write the page and the deck into a folder, each as a whole or not at all."""

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from tempfile import NamedTemporaryFile

from retail_segments.errors import ExitCode, SpokenError
from retail_segments.report.marts import read_marts
from retail_segments.report.numbers import Currency

PAGE, DECK = "index.html", "report.pptx"
_GLOSSARY = Path("models/_glossary.md")
_NEEDED = ("jinja2", "networkx", "plotly", "pptx")


class ReportError(SpokenError):
    """Why no report can be made."""

    exit_code = ExitCode.UNUSABLE


def write_report(
    warehouse: Path, folder: Path, *, title: str, currency_code: str | None
) -> list[Path]:
    """Make the page and the deck of the last build.

    Parameters
    ----------
    warehouse : Path
        The DuckDB file; it is opened read-only.
    folder : Path
        Where to; it is made if it is not there. Files of an earlier report are
        replaced once the new ones are whole.
    title : str
        The heading of both.
    currency_code : str or None
        The currency of the amounts; none for the one that the lines name, if any.

    Returns
    -------
    list of Path
        What was written.

    Raises
    ------
    ReportError
        If the extra ``report`` is not installed, or the folder cannot be written to.
    BuildError
        If there is no finished build.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ReportError(
            f"The report needs {', '.join(missing)}, which the extra `report` "
            "installs: `make report` does both, or `uv sync --inexact --extra report`."
        )
    from retail_segments.report.deck import write_deck
    from retail_segments.report.page import make_page

    marts = read_marts(warehouse)
    currency = Currency(currency_code or marts.currency_code)
    source = warehouse.name
    page = make_page(
        marts, title=title, currency=currency, source=source, glossary=_GLOSSARY
    )
    return [
        _replace(folder / PAGE, lambda path: path.write_text(page, encoding="utf-8")),
        _replace(
            folder / DECK,
            lambda path: write_deck(
                marts, path, title=title, currency=currency, source=source
            ),
        ),
    ]


def _replace(path: Path, write: Callable[[Path], object]) -> Path:
    """Write a file beside the old one, then put it in its place."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.stem}-", suffix=path.suffix, delete=False
        ) as file:
            beside = Path(file.name)
        try:
            write(beside)
            # Temporary files are their owner's alone; a report is read by others.
            beside.chmod(0o666 & ~_umask())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ReportError(
            f"{path} cannot be written ({error.strerror}). Choose another folder with "
            "--output."
        ) from error
    return path


def _umask() -> int:
    """Return the mask of new files, which can be read only by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
