"""Tell what is bought together, or apart, more often than by chance."""

import numpy as np
import numpy.typing as npt

# scipy.stats takes a second to import, so that it is imported where it computes: a
# table that is kept costs nothing.

Counts = npt.ArrayLike
Floats = npt.NDArray[np.float64]


def fisher_p_values(
    together: Counts, left: Counts, right: Counts, total: Counts, *, apart: Counts
) -> Floats:
    """Return how likely chance is to go as far, if all baskets were of one size.

    This is Fisher's exact test [1]_: with both counts given, the number of baskets that
    hold both sides is hypergeometric.

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
    >>> fisher_p_values([3, 0], [3, 3], [3, 3], [6, 6], apart=[False, True])
    array([0.05, 0.05])
    """
    from scipy.stats import hypergeom

    k, n, m, all_ = (
        np.atleast_1d(np.asarray(x, dtype="int64"))
        for x in (together, left, right, total)
    )
    is_low = np.atleast_1d(np.asarray(apart, dtype="bool")) & (all_ > 0)
    is_high = ~is_low & (all_ > 0)
    found = np.ones(len(k))
    for is_asked, tail, first in (
        (is_low, hypergeom.cdf, k),
        (is_high, hypergeom.sf, k - 1),
    ):
        # Both directions of a rule ask for the same tail, which takes long to add up.
        questions, place = np.unique(
            np.column_stack([first, all_, np.minimum(n, m), np.maximum(n, m)])[
                is_asked
            ],
            axis=0,
            return_inverse=True,
        )
        found[is_asked] = tail(*questions.T)[place.ravel()]
    return np.clip(found, 0.0, 1.0)


def p_values(
    together: Counts, expected: Counts, most: Counts, *, apart: Counts
) -> Floats:
    """Return how likely chance is to go as far, given how large baskets are and when.

    Among the baskets of one size and time the number that hold both sides is
    hypergeometric, and so a sum of as many independent draws as the rarer side has
    baskets [1]_. Of all such sums with the same mean the binomial one goes furthest
    [2]_, so that its tail is never below the exact one.

    Parameters
    ----------
    together : array_like of int
        Baskets with both sides.
    expected : array_like of float
        Baskets with both sides that chance would give.
    most : array_like of int
        Baskets that could hold both at most, given each size and time.
    apart : array_like of bool
        True where the question is whether so few hold both, False where it is whether
        so many do.

    Returns
    -------
    ndarray of float
        One-sided p-values, 1 where no basket could hold both.

    References
    ----------
    .. [1] V. A. Vatutin and V. G. Mikhailov, "Limit theorems for the number of empty
       cells in an equiprobable scheme for group allocation of particles", Theory of
       Probability and its Applications 27, 1982.
    .. [2] W. Hoeffding, "On the distribution of the number of successes in independent
       trials", Annals of Mathematical Statistics 27, 1956.

    Examples
    --------
    >>> p_values([2, 0], [1.0, 1.0], [2, 2], apart=[False, True])
    array([0.25, 0.25])
    """
    from scipy.stats import binom

    k, n = (np.atleast_1d(np.asarray(x, dtype="int64")) for x in (together, most))
    mean = np.atleast_1d(np.asarray(expected, dtype="float64"))
    share = np.clip(mean / np.maximum(n, 1), 0.0, 1.0)
    is_low = np.atleast_1d(np.asarray(apart, dtype="bool"))
    found = np.where(is_low, binom.cdf(k, n, share), binom.sf(k - 1, n, share))
    return np.where(n > 0, np.clip(found, 0.0, 1.0), 1.0)


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
    from scipy.stats import false_discovery_control

    # A common factor changes neither the order nor the running minimum.
    adjusted = false_discovery_control(values, method="bh") * (tests / len(values))
    clipped: Floats = np.clip(adjusted, 0.0, 1.0)
    return clipped
