"""The command line: each command is thin over a function of the package."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console

from retail_segments.audiences import (
    AudienceError,
    Campaign,
    Layout,
    Member,
    check_target,
    lay_out,
    list_campaigns,
    pseudonym_key,
    read_audience,
    read_launch,
    record_launch,
    usual_window_days,
    write_csv,
)
from retail_segments.build import (
    build_project,
    check_project,
    check_vars,
    last_good_build,
    warehouse_path,
)
from retail_segments.download import (
    DATA_SET_URL,
    ContentError,
    check_content,
    discard,
    download_data_set,
)
from retail_segments.errors import ExitCode, SpokenError, printable
from retail_segments.headers import parse_column_options, read_columns_file
from retail_segments.landing import landed_kind, landing_path
from retail_segments.load import LoadReport, load_files
from retail_segments.progress import LateBar
from retail_segments.results import read_line_counts, read_results, to_markdown
from retail_segments.results_table import print_results
from retail_segments.summary import print_summary

_DEMO_FOLDER = Path("demo")
_COLUMNS_FILE = Path("columns.yml")
_CLUSTER_FOLDER = Path("warehouse/spark-cluster")


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
        print_summary(last_good_build(), Console())


@main.command()
def summary() -> None:
    """Print what the last build made."""
    with _spoken_errors():
        print_summary(last_good_build(), Console())


@main.command()
@click.option(
    "--target-path",
    "target",
    type=click.Path(path_type=Path),
    default=Path("target"),
    envvar="DBT_TARGET_PATH",
    show_default=True,
    help="The folder that dbt wrote to.",
)
@click.option(
    "--markdown", "is_markdown", is_flag=True, help="Write Markdown, for GitHub."
)
def results(target: Path, is_markdown: bool) -> None:
    """Print what the last run of dbt came to, whoever started it.

    What failed, what it means and how to look into it; the lines used, the slowest
    nodes. Ends with 1 where something failed.
    """
    with _spoken_errors():
        run = read_results(target)
        lines = read_line_counts(run, warehouse_path())
    if is_markdown:
        click.echo(to_markdown(run, lines), nl=False)
    else:
        print_results(run, lines, Console())
    if not run.is_green:
        raise SystemExit(ExitCode.FAILED)


@main.command()
@click.argument("campaign", required=False)
@click.option("--list", "is_list", is_flag=True, help="Show the campaigns instead.")
@click.option(
    "--to",
    "target",
    type=click.Path(path_type=Path),
    metavar="FILE.csv",
    help="Where to write.  [default: CAMPAIGN.csv]",
)
@click.option(
    "--customer-ids",
    is_flag=True,
    help="Write the shop's own customer ids instead of pseudonyms.",
)
@click.option(
    "--with-control", is_flag=True, help="Write those held out too, marked as such."
)
@click.option(
    "--with-amounts", is_flag=True, help="Write what each is expected to spend too."
)
@click.option(
    "--launched",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="yyyy-mm-dd",
    help="The first day of the campaign.  [default: the as-of date of the build]",
)
@click.option(
    "--window-days",
    type=click.IntRange(1, 3660),
    help="How long it is measured.  [default: the var forecast_horizon_days, or 90]",
)
@click.option("--dry-run", is_flag=True, help="Write the file, record no launch.")
@click.option(
    "--again", is_flag=True, help="Write the file of a recorded launch once more."
)
def export_audience(
    campaign: str | None,
    is_list: bool,
    target: Path | None,
    customer_ids: bool,
    with_control: bool,
    with_amounts: bool,
    launched: datetime | None,
    window_days: int | None,
    dry_run: bool,
    again: bool,
) -> None:
    """Write whom a CAMPAIGN is for, for a mailing tool, and record its launch.

    Customers drawn for the control group are left out. Later builds measure by the
    record what the campaign brought in: rpt_campaign_results.

    Ids are pseudonyms, made with the key in RETAIL_SEGMENTS_PSEUDONYM_KEY.
    """
    with _spoken_errors():
        if is_list:
            _print_campaigns(list_campaigns(last_good_build(), landing_path()))
            return
        if campaign is None:
            raise AudienceError("Name a campaign. --list shows which there are.")
        if again and (dry_run or launched or window_days):
            raise AudienceError(
                "--again leaves the record as it is, so --launched, --window-days and "
                "--dry-run do not go with it."
            )
        if again:
            members = read_launch(landing_path(), campaign)
        else:
            members = read_audience(last_good_build(), campaign)
        layout = Layout(has_control=with_control, has_amounts=with_amounts)
        rows = lay_out(members, layout, key=None if customer_ids else pseudonym_key())
        if target is None:
            target = Path(f"{campaign.replace('/', '-')}.csv")
        check_target(target)
        launch = ""
        if not again and not dry_run:
            # Before the file, so that nobody is written to without a record.
            launch = _launch(
                members,
                launched.date() if launched else members[0]["audience_date"],
                window_days or usual_window_days(),
            )
        write_csv(target, rows)
        held_out = sum(member["is_control"] for member in members)
        click.echo(
            f"{target}  {len(members) - held_out:,} customers to write to, "
            f"{held_out:,} held out{' (marked control)' if with_control else ''}."
        )
        if not held_out:
            click.echo("Nobody is held out, so what it brings in cannot be measured.")
        if dry_run:
            click.echo("A dry run: no launch is recorded, so do not send this file.")
        click.echo(launch, nl=bool(launch))


def _launch(members: Sequence[Member], first_day: date, window_days: int) -> str:
    """Record a launch, and say so."""
    record = record_launch(
        landing_path(), members, launched_date=first_day, window_days=window_days
    )
    end = first_day + timedelta(days=window_days)
    return (
        f"Launched {first_day}, recorded in {record}. A build with lines up to {end} "
        "measures it in rpt_campaign_results."
    )


def _print_campaigns(campaigns: Sequence[Campaign]) -> None:
    """Print campaigns in columns."""
    if not campaigns:
        click.echo("There is no campaign: no customer is in a segment.")
        return
    width = max(len("campaign"), *(len(each.campaign_id) for each in campaigns))
    click.echo(f"{'campaign':{width}}  {'treated':>9}  {'control':>9}  launched")
    for each in campaigns:
        click.echo(
            f"{each.campaign_id:{width}}  {each.treated_count:>9,}  "
            f"{each.control_count:>9,}  {each.launched_date or '-'}"
        )


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


@main.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("report"),
    show_default=True,
    help="The folder to write to.",
)
@click.option("--title", default="Customer segments", show_default=True)
@click.option(
    "--currency",
    metavar="CODE",
    help="The currency of the amounts, such as GBP.  [default: that of the lines]",
)
def report(output: Path, title: str, currency: str | None) -> None:
    """Make a page and a slide deck of the last build."""
    from retail_segments.report.files import write_report

    with _spoken_errors():
        for path in write_report(
            last_good_build(), output, title=title, currency_code=currency
        ):
            click.echo(f"{path}  {path.stat().st_size / 1e6:.1f} MB")


@main.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("export"),
    show_default=True,
    help="The folder to write to; BI tools open what is in its folder current.",
)
@click.option(
    "--table",
    "tables",
    multiple=True,
    metavar="NAME",
    help="Write this mart only. Repeatable.  [default: all]",
)
@click.option(
    "--customer-ids",
    is_flag=True,
    help="Write the shop's own customer ids instead of pseudonyms.",
)
@click.option(
    "--hyper/--no-hyper",
    "with_hyper",
    default=None,
    help="Write .hyper files for Tableau.  [default: if the extra is installed]",
)
def export(
    output: Path, tables: tuple[str, ...], customer_ids: bool, with_hyper: bool | None
) -> None:
    """Write the marts of the last build for BI tools.

    Parquet files, a DuckDB file that only readers open, and .hyper files for Tableau,
    swapped in as a whole.

    Ids are pseudonyms, made with the key in RETAIL_SEGMENTS_PSEUDONYM_KEY.
    """
    from retail_segments.extracts import write_extracts

    with _spoken_errors():
        key = None if customer_ids else pseudonym_key()
        with LateBar() as bar:
            extracts = write_extracts(
                last_good_build(),
                output,
                key=key,
                only=tables,
                with_hyper=with_hyper,
                progress=bar,
            )
        lines = sum(extracts.row_counts.values())
        count = len(extracts.row_counts)
        click.echo(f"{count} {'table' if count == 1 else 'tables'}, {lines:,} rows")
        width = max(len(str(path)) for path in extracts.files)
        for path in extracts.files:
            click.echo(f"{path!s:{width}}  {_size(path) / 1e6:8.1f} MB")
        if extracts.left_out:
            click.echo(extracts.left_out)


def _size(path: Path) -> int:
    """Add up a file, or the files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


@main.command()
@click.argument("customer")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--vars", "dbt_vars", default="", metavar="YAML", help="Vars of your builds."
)
@click.option(
    "--exports",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("export"),
    show_default=True,
    help="The folder that exports were written to; they are removed.",
)
def forget(customer: str, yes: bool, dbt_vars: str, exports: Path) -> None:
    """Forget a CUSTOMER: in landing files, campaign records, the warehouse and exports.

    What they bought stays, as a guest's, so that sales add up as before. Lines that are
    loaded later do not bring them back. It cannot be undone.
    """
    from retail_segments.forgetting import forget_customer

    with _spoken_errors():
        check_project()
        check_vars(dbt_vars)
        if not yes:
            click.confirm(
                f"Forget customer {customer}? It cannot be undone", abort=True
            )
        forgotten = forget_customer(
            customer,
            landing=landing_path(),
            warehouse=warehouse_path(),
            exports=exports,
            build=lambda: build_project(dbt_vars, Console(stderr=True)),
        )
        for name, count in forgotten.rows.items():
            click.echo(f"{name}  {count:,} {'row' if count == 1 else 'rows'}")
        for path in forgotten.removed:
            click.echo(f"{path}  removed; `retail-segments export` writes a new one")
        for name, count in forgotten.leftovers.items():
            click.echo(f"{name}  {count:,} reading like the id: look whose they are")
        if forgotten.sources:
            click.echo(
                "The customer is still in files that were delivered: "
                f"{', '.join(forgotten.sources)}; and in csv files of audiences, "
                "backups, and what others took from here."
            )
        click.echo(f"Customer {forgotten.customer_id} is forgotten.")


@main.command("spark-up")
@click.option("--workers", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option("--worker-memory", default="2g", show_default=True, metavar="SIZE")
@click.option("--port", type=click.IntRange(1, 65535), default=7077, show_default=True)
def spark_up(workers: int, worker_memory: str, port: int) -> None:
    """Start a Spark cluster of this machine: a master, and workers of one core."""
    from retail_segments.spark_cluster import ClusterSettings, start_cluster

    settings = ClusterSettings(
        folder=_CLUSTER_FOLDER, workers=workers, worker_memory=worker_memory, port=port
    )
    with _spoken_errors():
        started = start_cluster(settings)
    for what in started:
        click.echo(f"Started {what}")
    click.echo(
        ("" if started else "The cluster is up already. ")
        + f"Build on it: SPARK_MASTER_URL={settings.url} dbt build --target spark"
    )


@main.command("spark-down")
def spark_down() -> None:
    """Stop the Spark cluster that spark-up started."""
    from retail_segments.spark_cluster import stop_cluster

    stopped = stop_cluster(_CLUSTER_FOLDER)
    click.echo(f"Stopped {', '.join(stopped)}" if stopped else "No cluster is up.")


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
        self._width = max(len(printable(name)) for name in names)
        self._bar = bar

    def __call__(self, report: LoadReport) -> None:
        self._bar.clear()
        name = printable(report.source_file).ljust(self._width)
        if report.already_loaded:
            click.echo(f"{name}  {printable(report.notes[0])}")
            return
        unreadable = (
            f"{report.unreadable_count:,} unreadable"
            if report.unreadable_count
            else "all readable"
        )
        click.echo(f"{name}  {report.line_count:>11,} lines  {unreadable}")
        for note in report.notes:
            click.echo(f"{'':{self._width}}  {printable(note)}")


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
    except SpokenError as error:
        click.echo(f"Error: {printable(str(error))}", err=True)
        raise SystemExit(error.exit_code) from error
