"""One thread for numerics, while dbt runs two models at once in the same process."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from threading import Lock

from threadpoolctl import threadpool_limits

_lock = Lock()
_limits = ExitStack()
_users = 0


@contextmanager
def one_thread() -> Iterator[None]:
    """Let libraries use one thread until all who asked for that are done.

    Several threads add up in any order, which changes the last bits, and where matrices
    are small they cost twice the time and wait for each other. A limit holds for the
    whole process: if each model lifted its own, the first that ends would lift those
    of the others. A limit holds for libraries that are loaded by then, so import them
    before.

    Yields
    ------
    None

    Examples
    --------
    >>> import numpy as np
    >>> with one_thread():
    ...     float(np.linalg.norm(np.ones(4)))
    2.0
    """
    global _users
    with _lock:
        _limits.enter_context(threadpool_limits(limits=1))
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _limits.close()
