"""Features on one scale, and the nearest of several centroids."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retail_segments.clustering import nearest_centroids, scale_features

FEATURES = ["recency_days", "frequency", "monetary_value"]

customer_tables = st.lists(
    st.tuples(
        st.integers(1, 400),
        st.integers(1, 40),
        st.integers(1, 2_000_000).map(lambda pennies: pennies / 100),
    ),
    min_size=6,
    max_size=40,
).map(
    lambda rows: pd.DataFrame(rows, columns=FEATURES).assign(
        customer_id=[f"{number:05}" for number in range(len(rows))]
    )
)


def scale_by_hand(customers, features, transform):
    values = customers[features].to_numpy(dtype="float64")
    if transform == "log1p":
        values = np.log1p(values)
    spread = values.std(axis=0)
    return (values - values.mean(axis=0)) / np.where(spread == 0, 1, spread)


@settings(max_examples=60)
@given(customers=customer_tables, transform=st.sampled_from(["log1p", "none"]))
def test_features_are_scaled_as_numpy_scales_them(customers, transform):
    scaled = scale_features(customers, features=FEATURES, transform=transform)

    expected = scale_by_hand(customers, FEATURES, transform)

    np.testing.assert_allclose(scaled, expected, rtol=0, atol=1e-9)


def test_a_constant_feature_is_all_zero():
    customers = pd.DataFrame({"frequency": [3, 3, 3]})

    scaled = scale_features(customers, features=["frequency"], transform="log1p")

    assert scaled.tolist() == [[0.0], [0.0], [0.0]]


@pytest.mark.parametrize("bad", [None, np.nan, np.inf, -1.0])
def test_values_that_cannot_be_scaled_are_counted_in_the_error(bad):
    customers = pd.DataFrame({"frequency": [1.0, 2.0, 3.0], "spent": [bad, 5.0, bad]})

    with pytest.raises(ValueError, match=r"spent \(2 rows\)") as error:
        scale_features(customers, features=["frequency", "spent"], transform="log1p")

    assert "frequency (" not in str(error.value)


points = st.lists(
    st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=12
).map(lambda rows: np.array(rows, dtype="float64"))


@given(customers=points, centroids=points)
def test_the_nearest_centroid_is_the_first_of_those_at_the_smallest_distance(
    customers, centroids
):
    labels, squared = nearest_centroids(customers, centroids)

    for row, label, distances in zip(customers, labels, squared, strict=True):
        by_hand = [float(((row - centroid) ** 2).sum()) for centroid in centroids]
        assert distances.tolist() == by_hand
        assert label == by_hand.index(min(by_hand))


def test_distances_that_differ_in_their_last_bits_are_a_tie():
    third = np.array([[0.1 + 0.2], [0.3]])

    labels, _ = nearest_centroids(np.array([[0.0]]), third)

    assert labels.tolist() == [0]
