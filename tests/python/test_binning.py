"""Classes are those that scikit-learn's trees would make of the same numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from retail_segments.binning import find_edges, number_classes
from sklearn.ensemble import HistGradientBoostingRegressor

numbers = st.floats(-1e6, 1e6, allow_subnormal=False).map(lambda x: round(x, 3))


@given(st.lists(st.tuples(numbers, st.floats(0.1, 10)), min_size=1), st.integers(2, 9))
def test_classes_are_about_equal_and_keep_the_order(
    rows: list[tuple[float, float]], count: int
) -> None:
    values, weights = np.array(rows).T
    edges = find_edges(values, weights, count=count)
    classes = number_classes(values, edges)

    assert len(edges) < count
    assert (np.diff(edges) > 0).all()
    assert (np.diff(classes[np.argsort(values)]) >= 0).all()
    # A class outweighs its share by no more than the value that it ends with.
    for number in np.unique(classes):
        is_in = classes == number
        last = values == values[is_in].max()
        within = weights[is_in & ~last].sum()
        if len(np.unique(values)) > count:
            assert within <= weights.sum() / count * (1 + 1e-9)


def test_few_values_are_told_apart() -> None:
    values = np.array([3.0, 1.0, 2.0, 1.0])
    edges = find_edges(values, np.ones(4), count=3)
    assert number_classes(values, edges).tolist() == [2, 0, 1, 0]


def test_trees_see_the_same_in_classes_as_in_numbers() -> None:
    random = np.random.default_rng(7)
    matrix = np.column_stack(
        [
            random.lognormal(3, 2, 4_000),
            random.poisson(2, 4_000),
            random.normal(size=4_000),
        ]
    )
    weights = random.gamma(1, 1, 4_000) + 1e-3
    target = random.poisson(np.sqrt(matrix[:, 0] + 1) * weights) / weights
    edges = [find_edges(column, weights, count=64) for column in matrix.T]
    classes = np.column_stack(
        [number_classes(*pair) for pair in zip(matrix.T, edges, strict=True)]
    )
    settings = {"max_bins": 64, "max_iter": 20, "early_stopping": False}

    plain, classed = (
        HistGradientBoostingRegressor(loss="poisson", random_state=1, **settings)
        .fit(given, target, sample_weight=weights)
        .predict(given)
        for given in (matrix, classes)
    )

    assert (plain == classed).all()


@pytest.mark.parametrize("weights", [np.ones(2), np.array([1.0, 0.0, 1.0])])
def test_weights_that_do_not_fit_are_refused(weights: np.ndarray) -> None:
    with pytest.raises(ValueError, match="give each value one above 0"):
        find_edges(np.arange(3.0), weights, count=2)
