"""Check purchase models against papers, the lifetimes package, and plain simulation.

Under pandas 3 and numpy 2 the oracle's data sets cannot be loaded by its own functions
(they import pkg_resources), so that its files are read instead; and its fitters are
given parameters instead of fitting, so that only its formulas are compared.
"""

import importlib.util
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from retail_segments.lifetime_likelihoods import pareto_nbd_log_likelihood
from retail_segments.lifetime_models import (
    HISTORY_COLUMNS,
    LIKELIHOODS,
    MAX_FITTED_CUSTOMERS,
    PARAMETERS,
    LifetimeModel,
    expected_amount,
    expected_purchases,
    fit_bg_nbd,
    fit_gamma_gamma,
    fit_nbd,
    fit_pareto_nbd,
    probability_active,
)
from scipy.integrate import quad
from scipy.optimize import approx_fprime

FITS = {"nbd": fit_nbd, "bg_nbd": fit_bg_nbd, "pareto_nbd": fit_pareto_nbd}
CDNOW = {
    "bg_nbd": {"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426},
    "pareto_nbd": {"r": 0.553, "alpha": 10.578, "s": 0.606, "beta": 11.669},
}
HISTORIES = pd.DataFrame(
    [(0, 0, 39), (1, 5, 39), (2, 30.43, 38.86), (8, 35, 36), (26, 20, 39), (3, 9, 9)],
    columns=list(HISTORY_COLUMNS),
)


def make_model(name, *parameters, is_degenerate=False):
    named = dict(zip(PARAMETERS[name], parameters, strict=True))
    return LifetimeModel(name, named, 0.0, 1, 1, is_degenerate, None)


def cdnow_model(name):
    return make_model(name, *CDNOW[name].values())


def make_histories(rows):
    return pd.DataFrame(rows, columns=list(HISTORY_COLUMNS), dtype="float64")


@pytest.fixture(scope="module")
def cdnow():
    found = importlib.util.find_spec("lifetimes")
    assert found
    assert found.origin
    folder = Path(found.origin).parent / "datasets"
    return pd.read_csv(folder / "cdnow_customers_summary_with_transactions.csv")


@pytest.fixture(scope="module")
def cdnow_histories(cdnow):
    return make_histories(cdnow[["x", "t_x", "T"]].to_numpy())


def simulate(name, parameters, count, *, days, seed=1, after=0.0):
    """Let customers buy and leave, event by event; count what comes afterwards."""
    random = np.random.default_rng(seed)
    r, alpha, *leaving = parameters
    age = random.uniform(days / 2, days, count)
    rate = random.gamma(r, 1 / alpha, count)
    if name == "bg_nbd":
        chance = random.beta(*leaving, count)
        end = np.full(count, np.inf)
    elif name == "pareto_nbd":
        chance = np.zeros(count)
        end = random.exponential(1 / random.gamma(leaving[0], 1 / leaving[1], count))
    else:
        chance, end = np.zeros(count), np.full(count, np.inf)
    now, x, last, later = (np.zeros(count) for _ in range(4))
    buys = np.ones(count, dtype=bool)
    while buys.any():
        now = now + random.exponential(1 / np.maximum(rate, 1e-300))
        buys &= (now < end) & (now < age + after)
        x += buys & (now <= age)
        later += buys & (now > age)
        last = np.where(buys & (now <= age), now, last)
        end = np.where(buys & (random.random(count) < chance), now, end)
    is_active = end > age
    return make_histories(np.stack([x, last, age], axis=1)), later, is_active


def test_bg_nbd_on_cdnow_is_as_published(cdnow_histories, record_property):
    model = fit_bg_nbd(cdnow_histories)

    for name, published in CDNOW["bg_nbd"].items():
        record_property(f"CDNOW, BG/NBD {name}", float(model.parameters[name]))
        assert model.parameters[name] == pytest.approx(published, abs=6e-4)
    record_property("CDNOW, BG/NBD log likelihood", model.log_likelihood)
    assert model.log_likelihood == pytest.approx(-9582.43, abs=0.01)
    assert not model.is_degenerate


def test_pareto_nbd_on_cdnow_is_as_published(cdnow_histories, record_property):
    model = fit_pareto_nbd(cdnow_histories)

    for name, published in CDNOW["pareto_nbd"].items():
        record_property(f"CDNOW, Pareto/NBD {name}", float(model.parameters[name]))
        assert model.parameters[name] == pytest.approx(published, rel=1e-3)
    record_property("CDNOW, Pareto/NBD log likelihood", model.log_likelihood)
    assert model.log_likelihood == pytest.approx(-9594.98, abs=0.01)
    assert not model.is_degenerate


def test_gamma_gamma_on_cdnow_is_as_published(cdnow, record_property):
    model = fit_gamma_gamma(cdnow["x"], cdnow["zbar"])

    for name, published in {"p": 6.25, "q": 3.74, "v": 15.45}.items():
        record_property(f"CDNOW, Gamma-Gamma {name}", float(model.parameters[name]))
        assert model.parameters[name] == pytest.approx(published, abs=6e-3)
    repeat = cdnow[cdnow["x"] > 0]
    assert model.amount_correlation == pytest.approx(repeat["x"].corr(repeat["zbar"]))
    assert (model.customer_count, model.fitted_customer_count) == (2357, len(repeat))


def test_bg_nbd_equals_the_oracle():
    from lifetimes import BetaGeoFitter

    random = np.random.default_rng(2)
    for _ in range(20):
        r, alpha, a, b = random.uniform(0.2, 3, 4) * (1, 10, 1, 2)
        x = random.integers(0, 30, 50)
        age = random.uniform(5, 100, 50)
        last = np.where(x > 0, age * random.random(50), 0.0)
        histories = make_histories(np.stack([x, last, age], axis=1))
        oracle = BetaGeoFitter()
        oracle.params_ = pd.Series({"r": r, "alpha": alpha, "a": a, "b": b})
        oracle.predict = None
        model = make_model("bg_nbd", r, alpha, a, b)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = oracle.conditional_expected_number_of_purchases_up_to_time(
                20.0, x, last, age
            )
            active = oracle.conditional_probability_alive(x, last, age)

        np.testing.assert_allclose(
            expected_purchases(model, histories, 20.0), expected, rtol=1e-4, atol=1e-9
        )
        np.testing.assert_allclose(
            probability_active(model, histories), active, rtol=1e-4, atol=1e-12
        )


def test_pareto_nbd_equals_the_oracle():
    from lifetimes import ParetoNBDFitter

    random = np.random.default_rng(3)
    for _ in range(20):
        r, alpha, s, beta = random.uniform(0.2, 3, 4) * (1, 10, 1, 10)
        x = random.integers(0, 15, 50)
        age = random.uniform(5, 100, 50)
        last = np.where(x > 0, age * random.random(50), 0.0)
        histories = make_histories(np.stack([x, last, age], axis=1))
        oracle = ParetoNBDFitter()
        oracle.params_ = pd.Series({"r": r, "alpha": alpha, "s": s, "beta": beta})
        model = make_model("pareto_nbd", r, alpha, s, beta)

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = oracle.conditional_expected_number_of_purchases_up_to_time(
                20.0, x, last, age
            )
            active = oracle.conditional_probability_alive(x, last, age)

        np.testing.assert_allclose(
            expected_purchases(model, histories, 20.0), expected, rtol=1e-4, atol=1e-9
        )
        np.testing.assert_allclose(
            probability_active(model, histories), active, rtol=1e-4, atol=1e-9
        )


def test_expected_amounts_equal_the_oracle():
    from lifetimes import GammaGammaFitter

    random = np.random.default_rng(4)
    x, amount = random.integers(0, 20, 100), random.uniform(1, 100, 100)
    oracle = GammaGammaFitter()
    oracle.params_ = pd.Series({"p": 6.25, "q": 3.74, "v": 15.45})

    found = expected_amount(make_model("gamma_gamma", 6.25, 3.74, 15.45), x, amount)

    expected = oracle.conditional_expected_average_profit(
        pd.Series(x), pd.Series(amount)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose(found[x == 0], 6.25 * 15.45 / 2.74)


@pytest.mark.parametrize("name", ["bg_nbd", "pareto_nbd"])
def test_expectations_are_those_of_a_simulation(name):
    # Weeks of 39, and 20 more: 400,000 lives, compared by group of like histories.
    parameters = tuple(CDNOW[name].values())
    model = cdnow_model(name)
    histories, later, is_active = simulate(
        name, parameters, 400_000, days=39.0, after=20.0
    )
    expected = expected_purchases(model, histories, 20.0)
    active = probability_active(model, histories)
    groups = np.minimum(histories["repeat_frequency"], 6) * 2 + (
        histories["recency_at_last_purchase_days"] * 2 > histories["customer_age_days"]
    )
    for _, rows in groups.groupby(groups).groups.items():
        error = later[rows] - expected[rows]
        assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(rows)) + 1e-6
        error = is_active[rows] - active[rows]
        assert abs(error.mean()) < 4 * error.std() / np.sqrt(len(rows)) + 1e-6


@pytest.mark.parametrize("a", [0.3, 1.0, 1.0 + 1e-7, 2.5])
def test_bg_nbd_expectation_is_the_integral_of_its_definition(a):
    # Given p and an active customer, (1 - E exp(-rate p t)) / p purchases follow.
    from scipy.stats import beta as beta_law

    r, alpha, b, t = 0.4, 9.0, 1.7, 50.0
    model = make_model("bg_nbd", r, alpha, a, b)
    for x, age in ((0, 0.0), (0, 30.0), (3, 30.0), (40, 100.0)):
        row = make_histories([(x, age, age)])

        def to_come(p, x=x, age=age):
            return -np.expm1(-(r + x) * np.log1p(p * t / (alpha + age))) / p

        law = beta_law(a, b + x)
        # In the quantile, as the density may be infinite at 0.
        whole = quad(
            lambda q, law=law, f=to_come: f(max(law.ppf(q), 1e-12)), 0, 1, limit=400
        )[0]
        active = probability_active(model, row)[0]
        assert expected_purchases(model, row, t)[0] == pytest.approx(
            active * whole, rel=1e-5
        )


@pytest.mark.parametrize("name", list(LIKELIHOODS))
def test_slopes_are_those_of_the_likelihood(name):
    rows = HISTORIES.to_numpy(dtype="float64").T
    if name == "gamma_gamma":
        rows = np.array([[1.0, 2, 30], [20.0, 3, 8], [0, 0, 0]])
    point = np.array([0.7, 6.0, 1.3, 2.0])[: len(PARAMETERS[name])]
    likelihood = LIKELIHOODS[name]

    slopes = likelihood(point, *rows)[1].sum(axis=1)

    numeric = approx_fprime(point, lambda at: likelihood(at, *rows)[0].sum(), 1e-7)
    np.testing.assert_allclose(slopes, numeric, rtol=1e-4, atol=1e-4)


def test_pareto_nbd_likelihood_is_the_integral_of_its_definition():
    # Over rates and times of leaving, one after the other and without formulas.
    from scipy.special import gammaln

    r, alpha, s, beta = CDNOW["pareto_nbd"].values()
    rows = HISTORIES.to_numpy(dtype="float64")
    found = pareto_nbd_log_likelihood(np.array([r, alpha, s, beta]), *rows.T)[0]
    for (x, last, age), value in zip(rows, found, strict=True):
        scale = gammaln(r + x) - gammaln(r) + r * np.log(alpha)

        def density(u, x=x, scale=scale):
            return np.exp(scale - (r + x) * np.log(alpha + u))

        leaves = quad(
            lambda u, f=density: f(u) * s * beta**s / (beta + u) ** (s + 1),
            last,
            age,
            epsrel=1e-11,
        )[0]
        whole = density(age) * (beta / (beta + age)) ** s + leaves
        assert value == pytest.approx(np.log(whole), rel=1e-8)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("nbd", (0.7, 40.0)),
        ("bg_nbd", (0.8, 20.0, 0.8, 2.5)),
        ("pareto_nbd", (0.9, 20.0, 0.8, 100.0)),
    ],
)
def test_planted_parameters_are_found(name, parameters):
    histories, _, _ = simulate(name, parameters, 20_000, days=400.0)

    model = FITS[name](histories)

    assert not model.is_degenerate, model.degenerate_reason
    np.testing.assert_allclose(list(model.parameters.values()), parameters, rtol=0.12)


def test_planted_amounts_are_found():
    random = np.random.default_rng(5)
    x = random.integers(1, 9, 20_000)
    rate = random.gamma(4.0, 1 / 15.0, 20_000)
    amount = random.gamma(6.0 * x) / rate / x

    model = fit_gamma_gamma(x, amount)

    # p and v offset each other; their product, and with it the mean of 30, does not.
    p, q, v = model.parameters.values()
    np.testing.assert_allclose((p, q, v), (6, 4, 15), rtol=0.15)
    assert p * v / (q - 1) == pytest.approx(30, rel=0.01)
    assert abs(model.amount_correlation) < 0.03


@pytest.mark.parametrize("name", list(FITS))
def test_order_does_not_matter_and_repetition_is_weight(name, cdnow_histories):
    model = FITS[name](cdnow_histories)
    shuffled = cdnow_histories.sample(frac=1, random_state=1)
    twice = FITS[name](pd.concat([cdnow_histories, shuffled]))

    assert FITS[name](shuffled) == model
    assert dict(twice.parameters) == dict(model.parameters)
    assert twice.log_likelihood == pytest.approx(2 * model.log_likelihood)


@pytest.mark.parametrize("name", list(FITS))
def test_times_may_be_in_any_unit(name, cdnow_histories):
    weeks = FITS[name](cdnow_histories)
    days = FITS[name](cdnow_histories * (1, 7, 7))

    for parameter, value in weeks.parameters.items():
        unit = 7 if parameter in ("alpha", "beta") else 1
        assert days.parameters[parameter] == pytest.approx(value * unit, rel=1e-3)
    purchases = cdnow_histories["repeat_frequency"].sum()
    assert days.log_likelihood == pytest.approx(
        weeks.log_likelihood - purchases * np.log(7)
    )


def test_of_very_many_customers_a_sample_is_fitted():
    histories, _, _ = simulate(
        "bg_nbd", (0.8, 20.0, 0.8, 2.5), 2 * MAX_FITTED_CUSTOMERS + 1, days=400.0
    )

    model = fit_bg_nbd(histories.round())

    assert model.customer_count == 2 * MAX_FITTED_CUSTOMERS + 1
    assert model.fitted_customer_count > MAX_FITTED_CUSTOMERS / 2
    assert model.fitted_customer_count <= MAX_FITTED_CUSTOMERS
    np.testing.assert_allclose(
        list(model.parameters.values()), (0.8, 20.0, 0.8, 2.5), rtol=0.12
    )


def test_fits_are_the_same_bits_on_any_number_of_threads():
    program = (
        "import numpy as np, pandas as pd\n"
        "from retail_segments.lifetime_models import *\n"
        "from retail_segments.lifetime_models import HISTORY_COLUMNS\n"
        "random = np.random.default_rng(1)\n"
        "x, age = random.geometric(0.3, 3000) - 1, random.integers(50, 300, 3000)\n"
        "last = np.where(x > 0, np.floor(age * random.beta(2, 1, 3000)), 0)\n"
        "rows = pd.DataFrame(dict(zip(HISTORY_COLUMNS, (x, last, age))))\n"
        "fits = [f(rows) for f in (fit_nbd, fit_bg_nbd, fit_pareto_nbd)]\n"
        "fits.append(fit_gamma_gamma(x, random.lognormal(3, 1, 3000)))\n"
        "print([v.hex() for m in fits for v in m.parameters.values()])\n"
        "print([e.sum().hex() for m in fits[:3] for e in\n"
        "    [expected_purchases(m, rows, 90)]])\n"
    )

    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "OMP_NUM_THREADS": n, "OPENBLAS_NUM_THREADS": n},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for n in ("1", "4", "4")
    }

    assert len(printed) == 1


@pytest.mark.parametrize("name", list(FITS))
@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([], "no customer"),
        ([(0, 0, 0)] * 50, "observed for a day"),
        ([(0, 0, 30)] * 50, "0 customers have a repeat purchase"),
        ([(3, 20, 30)], "1 customers have a repeat purchase"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_too_little_data_is_said_in_words(name, rows, words):
    histories = make_histories(np.array(rows, dtype="float64").reshape(-1, 3))

    model = FITS[name](histories)

    assert model.is_degenerate
    assert words in model.degenerate_reason
    assert np.isnan(expected_purchases(model, histories, 90.0)).all()
    assert probability_active(model, histories) is None


@pytest.mark.parametrize("name", ["bg_nbd", "pareto_nbd"])
@pytest.mark.filterwarnings("error")
def test_where_nobody_leaves_the_model_is_degenerate(name):
    histories, _, _ = simulate("nbd", (2.0, 20.0), 3_000, days=300.0)

    model = FITS[name](histories)

    assert model.is_degenerate
    assert probability_active(model, histories) is None
    # It still counts as the NBD does.
    np.testing.assert_allclose(
        expected_purchases(model, histories, 90.0),
        expected_purchases(fit_nbd(histories), histories, 90.0),
        rtol=0.05,
    )


def test_the_real_data_have_nobody_leave(real_file, record_property):
    lines = pd.read_parquet(real_file)
    lines = lines[
        lines["CustomerID"].notna()
        & (lines["Quantity"] > 0)
        & (lines["UnitPrice"] > 0)
        & (lines["InvoiceDate"] < "2011-09-01")
    ]
    days = lines.assign(day=lines["InvoiceDate"].dt.normalize()).groupby("CustomerID")
    found = days["day"].agg(["nunique", "min", "max"])
    histories = pd.DataFrame(
        {
            "repeat_frequency": found["nunique"] - 1,
            "recency_at_last_purchase_days": (found["max"] - found["min"]).dt.days,
            "customer_age_days": (pd.Timestamp("2011-08-31") - found["min"]).dt.days,
        }
    )

    model = fit_bg_nbd(histories)

    assert len(histories) == 3_317
    for name, value in model.parameters.items():
        record_property(f"Online Retail to 2011-08-31, BG/NBD {name}", float(value))
    assert model.is_degenerate
    assert "a lowest, b highest" in model.degenerate_reason
    assert probability_active(model, histories) is None
    assert np.isfinite(expected_purchases(model, histories, 100.0)).all()


def powers(low, high):
    return st.floats(low, high).map(lambda exponent: 10.0**exponent)


@given(
    name=st.sampled_from(["nbd", "bg_nbd", "pareto_nbd"]),
    # Rates that vary between customers, times of a day to three years.
    parameters=st.tuples(powers(-2, 0.5), powers(0, 3), powers(-1, 1), powers(-1, 3)),
    x=st.integers(0, 1_000),
    share=st.floats(0, 1),
    age=st.floats(0, 5_000),
    days=st.floats(0, 730),
)
@settings(max_examples=60)
@pytest.mark.filterwarnings("error")
def test_figures_are_finite_and_in_range(name, parameters, x, share, age, days):
    point = np.array(parameters[: len(PARAMETERS[name])])
    row = make_histories([(x, share * age if x else 0.0, age)])
    model = make_model(name, *point)

    expected = expected_purchases(model, row, days)[0]
    active = probability_active(model, row)
    value, slopes = LIKELIHOODS[name](point, *row.to_numpy().T)

    # Nobody's mean exceeds that of a customer who stays for good.
    most = (point[0] + x) / (point[1] + age) * days
    assert 0 <= expected <= most * (1 + 1e-6) + 1e-9
    assert active is None or 0 <= active[0] <= 1
    assert np.isfinite(value).all()
    assert np.isfinite(slopes).all()


@pytest.mark.parametrize(
    "row", [(-1, 0, 5), (1, 6, 5), (1, -1, 5), (1, np.nan, 5), (np.inf, 1, 5)]
)
def test_impossible_histories_are_refused(row):
    with pytest.raises(ValueError, match="1 of 2 histories are impossible"):
        fit_nbd(make_histories([(1, 2, 5), row]))


def test_a_model_is_asked_only_what_it_knows():
    with pytest.raises(ValueError, match="knows no amounts"):
        expected_amount(cdnow_model("bg_nbd"), [1], [1.0])
    with pytest.raises(ValueError, match="knows only amounts"):
        expected_purchases(make_model("gamma_gamma", 1, 2, 3), HISTORIES, 9.0)
    with pytest.raises(ValueError, match="0 or more, not -1"):
        expected_purchases(cdnow_model("bg_nbd"), HISTORIES, -1)


def test_amounts_without_a_mean_are_flagged():
    # So heavy a tail that the mean amount of all customers is infinite.
    random = np.random.default_rng(6)
    amount = random.gamma(6.0, size=3_000) / random.gamma(0.5, size=3_000)

    model = fit_gamma_gamma(np.ones(3_000), amount)

    assert model.is_degenerate
    assert np.isnan(expected_amount(model, [0], [0.0])).all()
