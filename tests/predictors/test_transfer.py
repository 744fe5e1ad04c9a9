"""Adapting to a new board: what helps is used, what hurts is refused and said."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.core.errors import PredictorError
from edgenas.predictors.base import TrainingData
from edgenas.predictors.linear import estimator
from edgenas.predictors.tables import left_out
from edgenas.predictors.tables.rows import choose_rows
from edgenas.predictors.transfer import adapt


def board(n: int, scale: float, noise: float, seed: int = 0):
    rng = np.random.default_rng(seed)
    matrix = rng.uniform(0, 5, (n, 8))
    source = 4 + matrix @ np.arange(1, 9)
    response = 3 + scale * source + 0.5 * matrix[:, 0] + rng.normal(0, noise, n)
    return matrix, source, response


def data(matrix: np.ndarray, response: np.ndarray) -> TrainingData:
    terms = tuple(f"term {chr(97 + i)}" for i in range(matrix.shape[1]))
    return TrainingData("latency_ms", "ms", terms, matrix, response)


def test_a_related_board_halves_the_error_of_ten_rows():
    matrix, source, response = board(400, 0.4, 0.2)
    stranger = np.random.default_rng(5).normal(size=400)
    sources = np.column_stack([stranger, source])
    got = adapt.adapt(data(matrix[:10], response[:10]), sources[:10], ("noise", "old"))
    assert got.used == "transfer" and not got.warning
    error = got.predictor.predict(got.rows(matrix[10:], sources[10:])) - response[10:]
    assert np.sqrt(np.mean(error**2)) < 0.9
    assert got.errors["transfer"] < 0.5 * got.errors["scratch"]
    assert got.gain == pytest.approx(1 - got.errors["transfer"] / got.errors["scratch"])


def test_a_prior_that_hurts_is_refused_loudly(monkeypatch):
    monkeypatch.setattr(adapt, "MATERIAL", 0.0)
    matrix, _, _ = board(60, 1.0, 0.0)
    response = 7 + 3 * matrix[:, 2] + np.random.default_rng(1).normal(0, 0.05, 60)
    stranger = np.random.default_rng(2).normal(size=(60, 1))
    rows = data(matrix[:12], response[:12])
    got = adapt.adapt(rows, stranger[:12], ("stranger",))
    assert got.used == "scratch"
    assert "stranger was refused" in got.warning
    assert got.gain < 0
    error = got.predictor.predict(got.rows(matrix[12:], stranger[12:])) - response[12:]
    assert np.sqrt(np.mean(error**2)) < 0.5


def test_the_affine_error_is_that_of_refitting_without_each_row():
    _, source, response = board(12, 0.4, 3.0)
    left_out = []
    for i in range(12):
        keep = np.arange(12) != i
        line = np.polyfit(source[keep], response[keep], 1)
        left_out.append(response[i] - np.polyval(line, source[i]))
    got = adapt.adapt(data(np.ones((12, 1)), response), source[:, None], ("old",))
    assert got.errors["affine"] == pytest.approx(np.sqrt(np.mean(np.square(left_out))))


def test_sources_that_do_not_fit_are_refused():
    matrix, source, response = board(12, 0.4, 0.1)
    with pytest.raises(PredictorError, match="transfer takes 5"):
        adapt.adapt(data(matrix[:4], response[:4]), source[:4, None], ("old",))
    with pytest.raises(PredictorError, match="sources"):
        adapt.adapt(data(matrix, response), source[:5, None], ("old",))


def test_terms_are_chosen_again_without_each_row():
    """On noise alone, terms that the rows chose would look better than the mean of the others."""
    rng = np.random.default_rng(0)
    rows = choose_rows(
        {
            **{f"op_{i}": rng.choice(list("abc"), 12) for i in range(6)},
            "score": rng.normal(size=12),
        },
        "score",
    )
    error = left_out.error("auto", rows, 0)
    others = (rows.response.sum() - rows.response) / 11
    alone = np.sqrt(np.mean((rows.response - others) ** 2))
    assert 0.95 * alone < error < 1.5 * alone
    few = data(*board(12, 0.4, 0.1)[::2])
    source = board(12, 0.4, 0.1)[1][:, None]
    assert adapt.adapt(few, source, ("old",), scratch=99.0).errors["scratch"] == 99.0


def test_a_prior_that_is_no_better_than_scratch_is_averaged_with_it() -> None:
    rng = np.random.default_rng(11)
    matrix = rng.normal(size=(24, 4))
    response = 20 + matrix @ [3.0, 2.0, 1.0, 0.5] + rng.normal(0, 0.5, 24)
    source = 20 + matrix @ [3.0, 1.6, 0.2, 1.2]
    data = TrainingData("ms", "ms", ("a", "b", "c", "d"), matrix, response)
    found = adapt.adapt(data, source[:, None], ["other"])
    assert found.used == "transfer" and "stacked" in found.errors
    assert found.errors["stacked"] < 1.02 * min(found.errors["transfer"], found.errors["scratch"])
    near = data.matrix[:8] @ [3.0, 2.0, 1.0, 0.5]
    few = TrainingData("ms", "ms", data.terms, matrix[:8], 20 + near + rng.normal(0, 0.02, 8))
    assert "stacked" not in adapt.adapt(few, 20 + near[:, None], ["near"]).errors


def test_an_average_predicts_between_its_members() -> None:
    rng = np.random.default_rng(12)
    matrix = rng.normal(size=(30, 3))
    data = TrainingData("ms", "ms", ("a", "b", "c"), matrix, 9 + matrix.sum(axis=1))
    other = TrainingData("ms", "ms", ("a", "b", "c"), matrix, 5 - matrix.sum(axis=1))
    members = estimator.of(data), estimator.of(other)
    averaged = adapt.Stacked(*members, 0.25)
    for kept in (np.ones(30, bool), np.arange(30) < 20):
        first, second = (member.refit(kept).predict(matrix) for member in members)
        found = averaged.refit(kept)
        np.testing.assert_allclose(found.predict(matrix), 0.25 * first + 0.75 * second)
        assert (np.diag(found.covariance) >= 0).all()
