"""More rows than a matrix of their terms has room for: sums over chunks, against matrices."""

from __future__ import annotations

import numpy as np
import pytest

from edgenas.predictors.linear import posterior, sums
from edgenas.predictors.linear.shrinkage import Level
from edgenas.predictors.tables.many_rows import MANY
from edgenas.predictors.tables.regression import TableRegression

COSTS = {"conv": 3.0, "pool": 1.0, "none": 0.0}
NOISE = 0.1


def table(n: int, seed: int) -> dict[str, np.ndarray]:
    """Two numbers, 2 and -1 a unit; operations of COSTS; an engine of 4 rows that costs 5 more."""
    rng = np.random.default_rng(seed)
    wide, deep = rng.uniform(1, 4, n).round(3), rng.uniform(1, 4, n).round(3)
    op = np.array(list(COSTS))[rng.integers(0, 3, n)]
    engine = np.where(rng.permutation(n) < 4, "seldom", "usual")
    mean = 9 + 2 * wide - deep + np.vectorize(COSTS.get)(op) + 5 * (engine == "seldom")
    response = mean + rng.normal(0, NOISE, n)
    columns = {"wide": wide, "deep": deep, "op": op, "engine": engine}
    return {**columns, "score": response, "_mean": mean}


@pytest.fixture(scope="module")
def fitted() -> TableRegression:
    rows = table(MANY + 10_000, 0)
    mean = rows.pop("_mean")
    assert len(mean) > MANY
    return TableRegression().fit(rows, "score")


@pytest.mark.smoke
def test_what_made_the_rows_is_found_from_all_of_them(fitted: TableRegression) -> None:
    assert fitted.regression.n == MANY + 10_000
    new = table(2_000, 1)
    off = fitted.predict(new) - new["_mean"]
    # as exact as 30,000 rows make it: about sqrt(8 / 30,000) of the noise
    assert np.sqrt(np.mean(off[new["engine"] == "usual"] ** 2)) < 0.05 * NOISE
    assert abs(off[new["engine"] == "seldom"]).max() < 3 * NOISE  # four rows tell of it
    params = dict(zip(fitted.regression.terms, fitted.regression.params[1:], strict=True))
    assert params["wide"] == pytest.approx(2, abs=0.03)


def test_errors_and_intervals_are_those_of_rows_left_out(fitted: TableRegression) -> None:
    heldout = fitted.heldout
    assert heldout is not None and heldout.folds == 5
    assert heldout.rmse == pytest.approx(NOISE, rel=0.02)
    new = table(5_000, 2)
    found = fitted.get_prediction(new, 0.9)
    inside = (found.lower <= new["score"]) & (new["score"] <= found.upper)
    assert np.mean(inside) == pytest.approx(0.9, abs=0.02)
    assert fitted.outside(new).mean() < 0.01
    assert fitted.outside({**new, "wide": new["wide"] + 9}).all()


def test_a_saved_fit_of_many_rows_is_small_and_predicts_the_same(
    fitted: TableRegression, tmp_path
) -> None:
    path = tmp_path / "many.json"
    fitted.write(path)
    assert path.stat().st_size < 200_000
    new = table(50, 3)
    again = TableRegression.read(path)
    np.testing.assert_array_equal(again.predict(new), fitted.predict(new))
    np.testing.assert_array_equal(again.get_prediction(new).upper, fitted.get_prediction(new).upper)


@pytest.mark.parametrize("shrunken", [True, False])
def test_sums_of_chunks_are_the_fit_of_the_matrix(shrunken: bool) -> None:
    rng = np.random.default_rng(4)
    matrix = rng.normal(50, [1, 2, 3, 4], (300, 4))
    response = 1e3 + matrix @ [1.0, -2.0, 0.5, 0.0] + rng.normal(0, 1, 300)
    noise = rng.uniform(0.5, 2, 300)
    levels, variances = (Level("own", np.eye(4)),), np.array([0.3])
    expected = (
        posterior.shrunken(matrix, response, levels, variances, noise=noise)
        if shrunken
        else posterior.plain(matrix, response, noise)
    )
    shift = np.full(4, 49.0)
    parts = [
        sums.of(matrix[rows], response[rows], noise[rows], shift, 990.0)
        for rows in (slice(0, 70), slice(70, 300), slice(0, 70))
    ]
    whole = parts[0] + parts[1] + parts[2] - parts[0]
    found = whole.fit(levels, variances if shrunken else None)
    np.testing.assert_allclose(found.params, expected.params, rtol=1e-7)
    np.testing.assert_allclose(found.covariance, expected.covariance, rtol=1e-6, atol=1e-12)
    residual = (response - expected.predict(matrix)) / noise
    assert whole.residual(expected.params) == pytest.approx(residual @ residual, rel=1e-8)


def test_text_with_a_thousand_values_is_no_choice() -> None:
    rows = table(5_000, 5)
    del rows["_mean"]
    rows["note"] = np.array([f"board {x % 2_500}" for x in range(5_000)])
    found = TableRegression("main").fit(rows, "score")
    assert found.fitted.left_out == {"note": "has 2,500 texts in 5,000 rows"}
    assert "note" not in found.columns
