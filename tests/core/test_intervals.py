"""Ratios of estimates against Fieller's definition, solved numerically, and against simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, stats

from edgenas.core.intervals import ratio, typical_ratio
from edgenas.core.records import Interval


def symmetric(mean: float, half: float) -> Interval:
    return Interval(mean, mean - half, mean + half)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (symmetric(3.0, 0.5), symmetric(1.0, 0.2)),
        (symmetric(0.2, 0.5), symmetric(2.0, 0.4)),  # the numerator spans zero
        (symmetric(-3.0, 0.5), symmetric(1.0, 0.2)),
        (symmetric(3.0, 0.5), symmetric(-1.0, 0.2)),
        (symmetric(-0.4, 0.1), symmetric(-0.1, 0.02)),
    ],
)
def test_it_is_fiellers_interval(a: Interval, b: Interval) -> None:
    """Fieller: all r for which a - r b is not further from zero than its own half-width."""
    half_a, half_b = a.upper - a.mean, b.upper - b.mean

    def excess(r: float) -> float:
        return float((a.mean - r * b.mean) ** 2 - half_a**2 - (r * half_b) ** 2)

    middle = a.mean / b.mean
    lower = optimize.brentq(excess, middle - 50, middle, xtol=1e-13)
    upper = optimize.brentq(excess, middle, middle + 50, xtol=1e-13)
    found = ratio(a, b)
    assert found is not None
    assert (found.mean, found.lower, found.upper) == pytest.approx((middle, lower, upper))


def test_a_denominator_that_may_be_zero_gives_no_ratio() -> None:
    assert ratio(symmetric(1.0, 0.1), symmetric(0.1, 0.2)) is None
    assert ratio(symmetric(1.0, 0.1), Interval(0.1, 0.05, 0.25)) is None
    assert ratio(symmetric(1.0, 0.1), symmetric(0.0, 0.0)) is None


def test_the_interval_covers_the_true_ratio_as_often_as_it_says() -> None:
    rng = np.random.default_rng(3)
    half = stats.norm.ppf(0.975)
    inside = 0
    for _ in range(4000):
        a = symmetric(rng.normal(3.0, 0.4), 0.4 * half)
        b = symmetric(rng.normal(1.5, 0.15), 0.15 * half)
        found = ratio(a, b)
        assert found is not None
        inside += found.lower <= 2.0 <= found.upper
    assert inside / 4000 == pytest.approx(0.95, abs=0.012)


def test_a_typical_ratio_is_that_of_the_logarithms() -> None:
    rng = np.random.default_rng(4)
    denominators = rng.uniform(0.5, 2.0, 30)
    numerators = denominators * rng.lognormal(np.log(3.0), 0.1, 30)
    found = typical_ratio(list(numerators), list(denominators), 0.95)
    expected = stats.ttest_1samp(np.log(numerators / denominators), 0.0).confidence_interval(0.95)
    assert found is not None
    assert (found.lower, found.upper) == pytest.approx(tuple(np.exp(expected)))
    assert found.lower < 3.0 < found.upper
    assert typical_ratio([1.0, 2.0], [1.0, 2.0], 0.95) is None
