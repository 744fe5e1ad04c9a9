"""Ratios of estimates that have confidence intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from edgenas.core.records import Interval

EXTRAPOLATION = (
    "Outside what was measured, where intervals are no promise, is a row whose mean is less "
    "certain than that of any measured row predicted from all others, that is farther out in a "
    "term than its whole measured range, or that has a new category."
)


def ratio(numerator: Interval, denominator: Interval) -> Interval | None:
    """Return numerator / denominator with its confidence interval, at the level of the two.

    Both are independent estimates; None where the denominator's interval does not exclude zero,
    for the ratio is then unbounded. Fieller's (1954) interval, in the closed form of Donner and Zou
    (2012, Statistical Methods in Medical Research 21, 347), which takes uneven intervals too.
    """
    if denominator.mean < 0:
        numerator, denominator = _negated(numerator), _negated(denominator)
    if numerator.mean < 0:
        mirrored = ratio(_negated(numerator), denominator)
        return None if mirrored is None else _negated(mirrored)
    a, b = numerator, denominator
    widest = b.upper * (2 * b.mean - b.upper)  # mean² - (upper - mean)²
    narrowest = b.lower * (2 * b.mean - b.lower)
    if b.lower <= 0 or widest <= 0:
        return None
    product = a.mean * b.mean
    below = product**2 - a.lower * b.upper * (2 * a.mean - a.lower) * (2 * b.mean - b.upper)
    above = product**2 - a.upper * b.lower * (2 * a.mean - a.upper) * (2 * b.mean - b.lower)
    return Interval(
        a.mean / b.mean,
        (product - math.sqrt(max(0.0, below))) / widest,
        (product + math.sqrt(max(0.0, above))) / narrowest,
    )


def typical_ratio(
    numerators: Sequence[float], denominators: Sequence[float], confidence: float
) -> Interval | None:
    """Return the geometric mean of paired ratios, with its interval; None of fewer than three.

    numerators, denominators : positive, of the same unit, one pair a network. The interval is
    Student's t interval of the mean logarithm.
    """
    logs = np.log(np.asarray(numerators) / np.asarray(denominators))
    if len(logs) < 3:
        return None
    error = logs.std(ddof=1) / math.sqrt(len(logs))
    half = special.stdtrit(len(logs) - 1, (1 + confidence) / 2) * error
    mean = logs.mean()
    return Interval(*(float(np.exp(value)) for value in (mean, mean - half, mean + half)))


def _negated(value: Interval) -> Interval:
    return Interval(-value.mean, -value.upper, -value.lower)
