"""Curves of numbers: the sums of their steps, with intervals that hold the truth."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edgenas.explain.choices import Change, changes
from edgenas.explain.shapes import shapes
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors import regression
from edgenas.predictors.base import TrainingData
from helpers.reporting_sample import SPACE

SLOPE, BEND = 2.0, 0.5
WIDTHS = (8.0, 16.0, 24.0, 40.0)


def fitted(name: str = "latency_ms", unit: str = "ms") -> regression.Regression:
    """A response that is slope * x + bend * x², of two terms, and a third that does nothing."""
    rng = np.random.default_rng(3)
    x = rng.uniform(0, 4, 200)
    matrix = np.stack([x, x**2, rng.uniform(0, 1, 200)], axis=1)
    response = 5 + SLOPE * x + BEND * x**2 + rng.normal(0, 0.1, 200)
    terms = ("stage0.e", "stage0.k", "stage1.e")
    return regression.fit(TrainingData(name, unit, terms, matrix, response), 0)


def steps(of: str = "width") -> list[Change]:
    """Return the steps between widths, whose terms are the width / 10 and its square."""
    pairs = itertools.pairwise(WIDTHS)
    terms = {width: np.array([width / 10, (width / 10) ** 2, 0.0]) for width in WIDTHS}
    return [Change("", terms[b] - terms[a], of, (a, b)) for a, b in pairs]


def test_a_curve_holds_the_true_response() -> None:
    (curve,) = shapes(fitted(), steps(), 0.999).curves
    assert (curve.column, curve.x, curve.effect[0]) == ("width", WIDTHS, 0.0)
    lowest = WIDTHS[0] / 10
    for width, low, high in zip(WIDTHS[1:], curve.lower[1:], curve.upper[1:], strict=True):
        x = width / 10
        assert low < SLOPE * (x - lowest) + BEND * (x**2 - lowest**2) < high


def test_fractions_are_in_points_and_what_has_no_numbers_or_a_gap_is_no_curve() -> None:
    model = fitted("accuracy", "fraction")
    other, kind = steps("depth"), Change("gate instead of none", np.ones(3))
    found = shapes(model, [kind, *steps(), kind, other[0], other[2]], 0.9)
    assert found.effects_in == "points"
    assert [one.column for one in found.curves] == ["width"]
    whole = np.sum([one.difference for one in steps()], axis=0)
    expected = 100 * model.contrast(whole[None], 0.9).mean[0]
    assert found.curves[0].effect[-1] == pytest.approx(expected)


def test_the_choices_of_a_space_make_curves_from_their_lowest_value_on() -> None:
    networks = [SPACE.smallest(), SPACE.largest()]
    found = changes(TermRows(SPACE, "choices"), networks)
    assert len({one.of for one in found if one.of}) > 1
    for of, group in itertools.groupby((one for one in found if one.of), key=lambda one: one.of):
        values = [one.values for one in group]
        assert all(low < high for low, high in values), of
        if of == "input (px)":
            assert [values[0][0], *(high for _, high in values)] == list(SPACE.resolutions)
