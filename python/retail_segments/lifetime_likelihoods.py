"""How likely histories of purchases are, if customers buy for a while and then leave.

Each function returns one log likelihood per history, and its slope per parameter. All
sums of exponentials are taken of logarithms, so that a thousand purchases stay finite.
"""

import numpy as np
import numpy.typing as npt
from scipy.special import gammaln, psi

Floats = npt.NDArray[np.float64]

# The integral over the time of leaving is smooth once its variable is a logarithm: 48
# points give ten digits, and what lies below e**-45 of its start is left out.
NODES, NODE_WEIGHTS = np.polynomial.legendre.leggauss(48)
NEGLIGIBLE = 45.0
TINY = 1e-300


def nbd_log_likelihood(
    parameters: Floats, x: Floats, _last: Floats, age: Floats
) -> tuple[Floats, Floats]:
    """Return log likelihoods and slopes where nobody ever leaves [1]_.

    Parameters
    ----------
    parameters : ndarray
        r and alpha of the gamma distribution of rates.
    x, _last, age : ndarray
        Repeat purchases, time of the last (of no matter here) and time observed.

    Returns
    -------
    tuple of ndarray
        One log likelihood per history; slopes, one row per parameter.

    References
    ----------
    .. [1] A. S. C. Ehrenberg, "The pattern of consumer purchases", Applied Statistics
       8, 1959.

    Examples
    --------
    >>> one = np.ones(1)
    >>> nbd_log_likelihood(np.array([1.0, 1.0]), one, one, one)[0].round(4)
    array([-1.3863])
    """
    r, alpha = parameters
    log_age = np.log(alpha + age)
    value = gammaln(r + x) - gammaln(r) + r * np.log(alpha) - (r + x) * log_age
    slopes = np.stack(
        [
            psi(r + x) - psi(r) + np.log(alpha) - log_age,
            r / alpha - (r + x) / (alpha + age),
        ]
    )
    return value, slopes


def bg_nbd_log_likelihood(
    parameters: Floats, x: Floats, last: Floats, age: Floats
) -> tuple[Floats, Floats]:
    """Return log likelihoods and slopes where some leave after a purchase [1]_.

    Parameters
    ----------
    parameters : ndarray
        r and alpha of the rates, a and b of the probability to leave.
    x, last, age : ndarray
        Repeat purchases, time of the last and time observed, both since the first.

    Returns
    -------
    tuple of ndarray
        One log likelihood per history; slopes, one row per parameter.

    References
    ----------
    .. [1] P. S. Fader, B. G. S. Hardie and K. L. Lee, "Counting your customers the easy
       way: an alternative to the Pareto/NBD model", Marketing Science 24, 2005.

    Examples
    --------
    >>> one = np.ones(1)
    >>> bg_nbd_log_likelihood(np.ones(4), one, one, one)[0].round(4)
    array([-1.3863])
    """
    r, alpha, a, b = parameters
    is_repeat = x > 0
    log_age, log_last = np.log(alpha + age), np.log(alpha + last)
    # With no repeat purchase there was no occasion to leave.
    before = np.where(is_repeat, b + x - 1, 1.0)
    stays = -(r + x) * log_age
    leaves = np.where(
        is_repeat, np.log(a) - np.log(before) - (r + x) * log_last, -np.inf
    )
    either = np.logaddexp(stays, leaves)
    stay, leave = np.exp(stays - either), np.exp(leaves - either)
    value = (
        gammaln(r + x)
        - gammaln(r)
        + r * np.log(alpha)
        + (gammaln(b + x) - gammaln(b))
        - (gammaln(a + b + x) - gammaln(a + b))
        + either
    )
    both = psi(a + b) - psi(a + b + x)
    slopes = np.stack(
        [
            psi(r + x) - psi(r) + np.log(alpha) - stay * log_age - leave * log_last,
            r / alpha - (r + x) * (stay / (alpha + age) + leave / (alpha + last)),
            both + leave / a,
            both + psi(b + x) - psi(b) - leave / before,
        ]
    )
    return value, slopes


def pareto_nbd_log_likelihood(
    parameters: Floats, x: Floats, last: Floats, age: Floats
) -> tuple[Floats, Floats]:
    """Return log likelihoods and slopes where some leave at any time [1]_.

    The likelihood [2]_ is that of staying plus an integral over the time of leaving.
    The integral is taken numerically instead of by two hypergeometric functions, whose
    difference loses all digits where customers buy often.

    Parameters
    ----------
    parameters : ndarray
        r and alpha of the rates of purchases, s and beta of the rates of leaving.
    x, last, age : ndarray
        Repeat purchases, time of the last and time observed, both since the first.

    Returns
    -------
    tuple of ndarray
        One log likelihood per history; slopes, one row per parameter.

    References
    ----------
    .. [1] D. C. Schmittlein, D. G. Morrison and R. Colombo, "Counting your customers:
       who are they and what will they do next?", Management Science 33, 1987.
    .. [2] P. S. Fader and B. G. S. Hardie, "A note on deriving the Pareto/NBD model and
       related expressions", 2005.

    Examples
    --------
    >>> one = np.ones(1)
    >>> pareto_nbd_log_likelihood(np.ones(4), one, one, one)[0].round(4)
    array([-2.0794])
    """
    r, alpha, s, beta = parameters
    stays, leaves, times = pareto_nbd_parts(parameters, x, last, age)
    top = np.maximum(stays, leaves.max(axis=1))
    stay, leave = np.exp(stays - top), np.exp(leaves - top[:, None])
    total = stay + leave.sum(axis=1)
    stay, leave = stay / total, leave / total[:, None]
    log_r = stay * np.log(alpha + age) + (leave * np.log(alpha + times)).sum(axis=1)
    log_s = stay * np.log(beta + age) + (leave * np.log(beta + times)).sum(axis=1)
    per_r = stay / (alpha + age) + (leave / (alpha + times)).sum(axis=1)
    left = (leave / (beta + times)).sum(axis=1)
    value = (
        gammaln(r + x)
        - gammaln(r)
        + r * np.log(alpha)
        + s * np.log(beta)
        + top
        + np.log(total)
    )
    slopes = np.stack(
        [
            psi(r + x) - psi(r) + np.log(alpha) - log_r,
            r / alpha - (r + x) * per_r,
            np.log(beta) - log_s + leave.sum(axis=1) / s,
            s / beta - s * stay / (beta + age) - (s + 1) * left,
        ]
    )
    return value, slopes


def pareto_nbd_parts(
    parameters: Floats, x: Floats, last: Floats, age: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return the logarithms of staying and of leaving at each of some times.

    Parameters
    ----------
    parameters, x, last, age : ndarray
        As for the likelihood.

    Returns
    -------
    tuple of ndarray
        Log likelihood of staying (up to a factor that both share), one per history; of
        leaving, one per history and point of the integral; the points.

    Examples
    --------
    >>> one = np.ones(1)
    >>> stays, leaves, _ = pareto_nbd_parts(np.ones(4), one, 0 * one, one)
    >>> np.exp(leaves).sum(axis=1).round(4), np.exp(stays).round(4)
    (array([0.2917]), array([0.125]))
    """
    r, alpha, s, beta = parameters
    least = min(alpha, beta)
    start = np.log(least + last)
    # In the logarithm of time the slope only falls: the first one bounds all.
    steepness = (least + last) * (
        (r + x) / (alpha + last) + (s + 1) / (beta + last)
    ) - 1
    width = np.log1p((age - last) / (least + last))
    width = np.minimum(width, NEGLIGIBLE / np.maximum(steepness, 1e-3))
    points = start[:, None] + width[:, None] * ((NODES + 1) / 2)
    # Rounding must not carry a point out of the time observed.
    times = np.clip(np.exp(points) - least, last[:, None], age[:, None])
    leaves = (
        np.log(s)
        + np.log(np.maximum(width, TINY) / 2)[:, None]
        + np.log(NODE_WEIGHTS)
        + points
        - (r + x)[:, None] * np.log(alpha + times)
        - (s + 1) * np.log(beta + times)
    )
    stays = -(r + x) * np.log(alpha + age) - s * np.log(beta + age)
    return stays, leaves, times


def gamma_gamma_log_likelihood(
    parameters: Floats, x: Floats, amount: Floats, _age: Floats
) -> tuple[Floats, Floats]:
    """Return log likelihoods and slopes of mean amounts per purchase [1]_.

    Parameters
    ----------
    parameters : ndarray
        p, shape of a customer's amounts; q and v, shape and scale of their rates.
    x, amount, _age : ndarray
        Purchases, their mean amount, and what is of no matter here.

    Returns
    -------
    tuple of ndarray
        One log likelihood per customer; slopes, one row per parameter.

    References
    ----------
    .. [1] P. S. Fader and B. G. S. Hardie, "The Gamma-Gamma model of monetary value",
       2013.

    Examples
    --------
    >>> one = np.ones(1)
    >>> gamma_gamma_log_likelihood(np.ones(3), one, one, one)[0].round(4)
    array([-1.3863])
    """
    p, q, v = parameters
    shape, total = p * x, np.log(v + x * amount)
    logs = np.log(x) + np.log(amount)
    value = (
        gammaln(shape + q)
        - gammaln(shape)
        - gammaln(q)
        + q * np.log(v)
        + shape * logs
        - np.log(amount)
        - (shape + q) * total
    )
    both = psi(shape + q)
    slopes = np.stack(
        [
            x * (both - psi(shape) + logs - total),
            both - psi(q) + np.log(v) - total,
            q / v - (shape + q) / (v + x * amount),
        ]
    )
    return value, slopes
