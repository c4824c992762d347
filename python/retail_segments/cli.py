"""The command line: each command is thin over a function of the package."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console

from retail_segments.build import (
    BuildError,
    build_project,
    check_project,
    check_vars,
    warehouse_path,
)
from retail_segments.download import (
    DATA_SET_URL,
    ContentError,
    check_content,
    discard,
    download_data_set,
)
from retail_segments.headers import parse_column_options, read_columns_file
from retail_segments.landing import LoadError, landed_kind, landing_path
from retail_segments.load import LoadReport, load_files
from retail_segments.progress import LateBar
from retail_segments.summary import print_summary

_DEMO_FOLDER = Path("demo")
_COLUMNS_FILE = Path("columns.yml")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="retail-segments")
def main() -> None:
    """Turn retail invoice lines into customer segments."""


@main.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE..."
)
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ATTRIBUTE=HEADER",
    help="Your own header for an attribute, such as unit_price=Preis. Repeatable.",
)
@click.option(
    "--columns-file",
    type=click.Path(path_type=Path),
    help="YAML such as columns: {unit_price: Preis}.  [default: columns.yml, if any]",
)
@click.option(
    "--date-format",
    metavar="FORMAT",
    help="How dates are written, such as '%d/%m/%Y %H:%M'.  [default: found out]",
)
@click.option(
    "--max-unreadable",
    type=click.FloatRange(0, 1),
    default=0.01,
    show_default=True,
    metavar="SHARE",
    help="Refuse a file of which a larger share of lines cannot be read.",
)
def load(
    files: tuple[Path, ...],
    columns: tuple[str, ...],
    columns_file: Path | None,
    date_format: str | None,
    max_unreadable: float,
) -> None:
    """Load files of invoice lines: .xlsx, .csv, .tsv or .parquet.

    Lines go into the folder that LANDING_PATH names, by default landing. The same file
    adds nothing a second time. Demo lines are put aside.
    """
    with _spoken_errors(), LateBar() as bar:
        load_files(
            files,
            landing=landing_path(),
            columns=_read_mapping(columns, columns_file),
            date_format=date_format,
            max_unreadable=max_unreadable,
            progress=bar,
            on_report=_Reporter([path.name for path in files], bar),
        )


@main.command()
@click.option(
    "--url", default=DATA_SET_URL, show_default=True, help="Where the archive is."
)
@click.option(
    "--sha256", metavar="HEX", help="The checksum that the archive must have."
)
@click.option(
    "--to",
    "folder",
    type=click.Path(path_type=Path),
    default=Path("data"),
    show_default=True,
    help="Folder for what is fetched.",
)
@click.option("--no-load", is_flag=True, help="Only fetch and unpack.")
def download(url: str, sha256: str | None, folder: Path, no_load: bool) -> None:
    """Fetch the public Online Retail data set, check it, and load it."""
    with _spoken_errors(), LateBar() as bar:
        fetched = download_data_set(url, folder=folder, sha256=sha256, progress=bar)
        bar.clear()
        verb = "Found" if fetched.was_there else "Fetched"
        click.echo(f"{verb} {fetched.archive}, sha256 {fetched.sha256}.")
        click.echo(f"Unpacked {fetched.data_file}.")
        if no_load:
            return
        try:
            load_files(
                [fetched.data_file],
                landing=landing_path(),
                check=check_content,
                progress=bar,
                on_report=_Reporter([fetched.data_file.name], bar),
            )
        except ContentError:
            discard(fetched)
            raise


@main.command()
@click.option(
    "--customers",
    type=click.IntRange(min=1),
    default=4300,
    show_default=True,
    help="How many customers buy.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=20111209,
    show_default=True,
    help="The same seed makes the same lines.",
)
def demo(customers: int, seed: int) -> None:
    """Make invoice lines of a shop that does not exist, and load them.

    The lines, and the truth that they were made from, are written to the folder demo.
    """
    with _spoken_errors():
        _load_demo(customers, seed)


@main.command()
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Load this file first. Demo lines are put aside.",
)
@click.option(
    "--vars",
    "dbt_vars",
    default="",
    metavar="YAML",
    help="Vars of the project, such as '{cluster_count: 5}'.",
)
def build(data: Path | None, dbt_vars: str) -> None:
    """Build the warehouse and run every gate, then print a summary.

    With nothing loaded, demo lines are made first.
    """
    with _spoken_errors():
        check_project()
        source_table = check_vars(dbt_vars).get("source_table")
        if data is not None:
            _load_data(data)
        elif landed_kind(landing_path()) is None and not source_table:
            click.echo("No lines are loaded yet, so demo lines are made.")
            _load_demo(customers=4300, seed=20111209)
        build_project(dbt_vars, Console(stderr=True))
        print_summary(warehouse_path(), Console())


@main.command()
def summary() -> None:
    """Print what the last build made."""
    with _spoken_errors():
        print_summary(warehouse_path(), Console())


def _load_data(data: Path) -> None:
    """Load a file of the user's own, with the columns file if there is one."""
    with LateBar() as bar:
        load_files(
            [data],
            landing=landing_path(),
            columns=_read_mapping((), None),
            progress=bar,
            on_report=_Reporter([data.name], bar),
        )


def _load_demo(customers: int, seed: int) -> None:
    # Importing pandas takes a second, which no other command has to wait for.
    from retail_segments.demo import write_demo

    with LateBar() as bar:
        files = write_demo(
            _DEMO_FOLDER,
            customers=customers,
            seed=seed,
            progress=lambda done, total: bar("Making", done / total),
        )
        load_files(
            [files.lines],
            landing=landing_path(),
            kind="demo",
            progress=bar,
            on_report=_Reporter([files.lines.name], bar),
        )


class _Reporter:
    """Print what became of each file, in columns."""

    def __init__(self, names: Sequence[str], bar: LateBar) -> None:
        self._width = max(map(len, names))
        self._bar = bar

    def __call__(self, report: LoadReport) -> None:
        self._bar.clear()
        name = report.source_file.ljust(self._width)
        if report.already_loaded:
            click.echo(f"{name}  {report.notes[0]}")
            return
        unreadable = (
            f"{report.unreadable_count:,} unreadable"
            if report.unreadable_count
            else "all readable"
        )
        click.echo(f"{name}  {report.line_count:>11,} lines  {unreadable}")
        for note in report.notes:
            click.echo(f"{'':{self._width}}  {note}")


def _read_mapping(columns: Sequence[str], columns_file: Path | None) -> dict[str, str]:
    """Combine the columns file with the options, which prevail."""
    mapping: dict[str, str] = {}
    if columns_file is not None:
        mapping = read_columns_file(columns_file)
    elif _COLUMNS_FILE.exists():
        mapping = read_columns_file(_COLUMNS_FILE)
    return mapping | parse_column_options(columns)


@contextmanager
def _spoken_errors() -> Iterator[None]:
    """Say what stopped a command, without a traceback."""
    try:
        yield
    except (LoadError, BuildError) as error:
        raise click.ClickException(str(error)) from error
