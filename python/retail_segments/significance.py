"""Tell what is bought together, or apart, more often than by chance."""

import numpy as np
import numpy.typing as npt
from scipy.stats import false_discovery_control, hypergeom

Counts = npt.ArrayLike
Floats = npt.NDArray[np.float64]


def p_values(
    together: Counts, left: Counts, right: Counts, total: Counts, *, apart: Counts
) -> Floats:
    """Return how likely chance alone is to go as far, by Fisher's exact test [1]_.

    With both counts given, the number of baskets that hold both sides is
    hypergeometric where they have nothing to do with each other.

    Parameters
    ----------
    together, left, right, total : array_like of int
        Baskets with both sides, with each of them, and all baskets.
    apart : array_like of bool
        True where the question is whether so few hold both, False where it is whether
        so many do.

    Returns
    -------
    ndarray of float
        One-sided p-values; 0 where they are below what a double can hold, and 1 where
        there is no basket.

    References
    ----------
    .. [1] R. A. Fisher, "The design of experiments", 1935, chapter 2.

    Examples
    --------
    >>> p_values([3, 0], [3, 3], [3, 3], [6, 6], apart=[False, True])
    array([0.05, 0.05])
    """
    k, n, m, all_ = (
        np.atleast_1d(np.asarray(x, dtype="int64"))
        for x in (together, left, right, total)
    )
    is_low = np.atleast_1d(np.asarray(apart, dtype="bool")) & (all_ > 0)
    is_high = ~is_low & (all_ > 0)
    found = np.ones(len(k))
    found[is_low] = hypergeom.cdf(k[is_low], all_[is_low], n[is_low], m[is_low])
    found[is_high] = hypergeom.sf(
        k[is_high] - 1, all_[is_high], n[is_high], m[is_high]
    )
    return np.clip(found, 0.0, 1.0)


def q_values(p: npt.ArrayLike, *, tests: float) -> Floats:
    """Adjust p-values for how many tests were made, by Benjamini and Hochberg [1]_.

    Parameters
    ----------
    p : array_like of float
        The p-values that are worth knowing.
    tests : float
        Number of all tests that could have shown something. Those whose p-value is not
        given are taken to have shown nothing, which never makes a q-value smaller.

    Returns
    -------
    ndarray of float
        For each test the smallest share of false finds among all that are as likely.

    Raises
    ------
    ValueError
        If there are more p-values than tests.

    References
    ----------
    .. [1] Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", Journal
       of the Royal Statistical Society B 57, 1995.

    Examples
    --------
    >>> q_values([0.01, 0.02], tests=4)
    array([0.04, 0.04])
    """
    values = np.asarray(p, dtype="float64")
    if len(values) > tests:
        raise ValueError(f"{len(values)} p-values cannot come from {tests} tests")
    if not len(values):
        return values
    # A common factor changes neither the order nor the running minimum.
    adjusted = false_discovery_control(values, method="bh") * (tests / len(values))
    return np.clip(adjusted, 0.0, 1.0)
