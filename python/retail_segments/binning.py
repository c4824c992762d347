"""Put numbers into a few classes of about equal weight, as trees want them."""

import numpy as np

from retail_segments.clustering import Floats, Integers


def find_edges(values: Floats, weights: Floats, *, count: int) -> Floats:
    """Find the edges between classes: weighted quantiles, or what lies between values.

    The edges are those of scikit-learn's histogram gradient boosting, which sorts all
    values once per edge where they are weighted; here they are sorted once.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite numbers, one at least.
    weights : ndarray of shape (n,)
        Above 0.
    count : int
        How many classes there may be, 2 or more.

    Returns
    -------
    ndarray of shape (at most count - 1,)
        Ascending. Where no more values than `count` differ, the middles between them;
        else quantiles [1]_, in their definition 2.

    Raises
    ------
    ValueError
        If there are not as many weights as values, or one is not above 0.

    References
    ----------
    .. [1] R. J. Hyndman and Y. Fan, "Sample quantiles in statistical packages", The
       American Statistician 50, 1996.

    Examples
    --------
    >>> find_edges(np.array([1.0, 2.0, 4.0]), np.ones(3), count=3)
    array([1.5, 3. ])
    >>> find_edges(np.arange(8.0), np.ones(8), count=4)
    array([1.5, 3.5, 5.5])
    """
    if len(values) != len(weights) or not (weights > 0).all():
        raise ValueError(
            f"{len(values)} values have {len(weights)} weights, of which "
            f"{int((weights > 0).sum())} are above 0; give each value one above 0"
        )
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    distinct = np.unique(ordered)
    if len(distinct) <= count:
        middles: Floats = (distinct[:-1] + distinct[1:]) / 2
        return middles
    sums = np.cumsum(weights[order])
    wanted = np.linspace(0, 100, num=count + 1)[1:-1] / 100 * sums[-1]
    places = np.searchsorted(sums, wanted).clip(max=len(sums) - 1)
    is_between = sums[places] - wanted <= np.finfo("float64").eps
    above = ordered[(places + 1).clip(max=len(sums) - 1)]
    found = np.where(is_between, (ordered[places] + above) / 2, ordered[places])
    return np.unique(found)


def number_classes(values: Floats, edges: Floats) -> Integers:
    """Give each value the number of its class; an edge is in the class below it.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Finite numbers.
    edges : ndarray
        See `find_edges`.

    Returns
    -------
    ndarray of shape (n,)

    Examples
    --------
    >>> number_classes(np.array([1.0, 1.5, 9.0]), np.array([1.5, 3.0]))
    array([0, 0, 2])
    """
    return np.searchsorted(edges, values).astype("int64")
