"""One thread is used until all who asked for it are done, in whichever order."""

from threading import Event, Thread

import numpy as np
import scipy.linalg  # noqa: F401
from retail_segments.threads import one_thread
from threadpoolctl import threadpool_info, threadpool_limits


def _threads() -> set[int]:
    np.linalg.norm(np.ones(4))
    return {
        pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"
    }


def test_the_first_to_end_does_not_lift_the_limit_of_the_second() -> None:
    inside, may_end = Event(), Event()

    def first() -> None:
        with one_thread():
            inside.set()
            may_end.wait(10)

    with threadpool_limits(limits=2, user_api="blas"):
        other = Thread(target=first)
        other.start()
        assert inside.wait(10)
        with one_thread():
            may_end.set()
            other.join(10)
            assert _threads() == {1}
        assert _threads() == {2}


def test_an_error_lifts_the_limit() -> None:
    with threadpool_limits(limits=2, user_api="blas"):
        try:
            with one_thread():
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert _threads() == {2}
