"""Does a wrong SQL model turn a test red? `make mutate`, docs/mutants.md."""

import argparse
import json
import shutil
import sys
import time
from pathlib import Path

import yaml
from mutant_page import Result, print_report, write_report
from mutants import mutants_of
from rich.console import Console
from rich.progress import Progress, TextColumn, TimeElapsedColumn
from shop import build_shop, run_unit_tests
from trials import Trials

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "target" / "mutation"
REASONS = Path(__file__).with_name("reasons.yml")
MOST = 20


def main() -> int:
    """Make the mutants, try each, and say which the tests do not find."""
    settings = _settings()
    console = Console(soft_wrap=True)
    folder = settings.folder.resolve()
    if not settings.built:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        console.print("A small shop is built, and the unit tests run: two minutes.")
        build_shop(folder)
    elif not (folder / "build").exists():
        console.print(f"--built: there is no build in {folder}. Leave the option out.")
        return 2
    run_unit_tests(folder, settings.models or [])
    trials = Trials(folder)
    red = list(trials.check())
    if red:
        console.print("Without any mutant, all must be green:", *red, sep="\n")
        return 1
    models = settings.models or sorted(trials.models)
    strangers = [model for model in models if model not in trials.models]
    if strangers:
        console.print(f"No SQL model is called {', '.join(strangers)}.")
        return 2
    most = None if settings.all else settings.most
    results = _try_all(trials, models, most=most, console=console, folder=folder)
    reasons = yaml.safe_load(REASONS.read_text("utf-8")) or {}
    is_whole = not (settings.models or settings.all or settings.most != MOST)
    if is_whole:
        write_report(PROJECT / "docs" / "mutants.md", models, results, reasons)
    return print_report(console, models, results, reasons)


def _try_all(
    trials: Trials,
    models: list[str],
    *,
    most: int | None,
    console: Console,
    folder: Path,
) -> list[Result]:
    results = []
    words = TextColumn("{task.description}")
    with Progress(
        words, *Progress.get_default_columns()[1:], TimeElapsedColumn(), console=console
    ) as progress:
        task = progress.add_task("", total=len(models))
        for model in models:
            progress.update(task, description=model)
            start = time.monotonic()
            # Some do not fit the tables, and are no mutants; others take their place.
            spare = None if most is None else 2 * most
            tried = []
            for mutant in mutants_of(model, trials.sql(model), most=spare):
                if len(tried) == most:
                    break
                verdict = trials.try_mutant(mutant)
                if verdict.outcome != "invalid":
                    tried.append(Result(mutant, verdict))
            results += tried
            # So far, should the run be stopped.
            (folder / "results.json").write_text(
                json.dumps([result.as_dict() for result in results], indent=1), "utf-8"
            )
            progress.advance(task)
            found = sum(result.is_killed for result in tried)
            if not console.is_terminal:
                console.print(
                    f"{model}: {found} of {len(tried)} mutants killed, "
                    f"{time.monotonic() - start:.0f} s"
                )
    return results


def _settings() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", help="these models alone")
    parser.add_argument("--all", action="store_true", help="every mutant: some hours")
    parser.add_argument(
        "--most", type=int, default=MOST, help=f"mutants of a model at most ({MOST})"
    )
    parser.add_argument(
        "--built",
        action="store_true",
        help="on the warehouse of the run before; unit tests alone are read anew",
    )
    parser.add_argument(
        "--folder", type=Path, default=FOLDER, help="where to build (target/mutation)"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
