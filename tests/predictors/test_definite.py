"""Factorisations and searches that fail are mended or refused; no wrong numbers go on."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.predictors.linear import projection, shrinkage
from edgenas.predictors.linear.shrinkage import Level


def test_an_indefinite_covariance_is_refused():
    with pytest.raises(PredictorError, match="not positive definite"):
        projection.project(np.array([[1.0, 2.0], [2.0, 1.0]]), np.array([0.0, 1.0]))


def test_a_covariance_with_a_number_that_is_none_is_refused():
    with pytest.raises(PredictorError, match="covariance of the rows"):
        projection.project(np.array([[1.0, np.nan], [np.nan, 1.0]]), np.array([0.0, 1.0]))


def test_groups_so_far_apart_that_rounding_hides_the_noise_still_predict_their_own_rows():
    # rows of one group tell nothing of the other: without a row, its twin is what is predicted
    group = np.array([0.0, 0.0, 1.0, 1.0])
    covariance = 1e20 * np.outer(group, group) + np.eye(4)
    response = np.array([1.0, 3.0, 500.0, 507.0])
    left_out = projection.project(covariance, response).left_out()
    assert left_out == pytest.approx([-2.0, 2.0, -7.0, 7.0], rel=1e-3)


def test_variances_without_a_finite_likelihood_are_refused():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(12, 3))
    with pytest.raises(PredictorError, match="likelihood is no finite number"):
        shrinkage.choose(matrix, 1e200 * rng.normal(size=12), (Level("all", np.eye(3)),))
