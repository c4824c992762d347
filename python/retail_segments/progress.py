"""Show a person at a terminal how far a slow command has got."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn


class LateBar:
    """A progress bar on stderr that appears once a command has taken a while.

    It appears at a terminal only, and vanishes when it is done. Call it with what is
    being done and the share that is done, or None where that is not known.

    Parameters
    ----------
    patience : float, default 2
        Seconds before it appears.

    Examples
    --------
    >>> with LateBar() as progress:
    ...     progress("reading", 0.5)
    """

    def __init__(self, patience: float = 2.0) -> None:
        self._patience = patience
        self._is_watched = sys.stderr.isatty()
        self._began = time.monotonic()
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> "LateBar":
        """Begin to wait."""
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """Take the bar away, however the command ended."""
        self.clear()

    def __call__(self, what: str, share: float | None) -> None:
        """Take note of what is being done, and show it if it is time."""
        if not self._is_watched or time.monotonic() - self._began < self._patience:
            return
        if self._bar is None:
            self._bar = Progress(
                TextColumn("{task.description:>12}"),
                BarColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
        if what not in self._tasks:
            for task in self._tasks.values():
                self._bar.update(task, visible=False)
            self._tasks[what] = self._bar.add_task(what, total=None)
        total = None if share is None else 1.0
        self._bar.update(self._tasks[what], total=total, completed=share or 0.0)

    def clear(self) -> None:
        """Take the bar away, and wait anew before it appears again."""
        if self._bar is not None:
            self._bar.stop()
        self._bar = None
        self._tasks = {}
        self._began = time.monotonic()
