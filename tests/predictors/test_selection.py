"""Standard errors after selection: honest by simulation where those of the one fit are not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy import stats

from edgenas.cli.tables import fit
from edgenas.core.errors import PredictorError
from edgenas.predictors.linear import bootstrap, projection
from edgenas.predictors.linear.posterior import Posterior
from edgenas.predictors.tables import annealing, regression
from edgenas.predictors.tables.regression import TableRegression

NAMES = tuple("abcdefgh")
TRUTH = {**dict.fromkeys(NAMES, 0.0), "a": 1.0, "b": 0.3}
SCHEDULE = annealing.Schedule(steps=6, restarts=1, hottest=0.003)


def annealed(matrix: np.ndarray, response: np.ndarray) -> bootstrap.Model:
    """Least squares on the columns that annealing picks at the price of BIC."""
    n = len(response)
    shares = annealing.choose(
        projection.project(np.eye(n), response),
        matrix,
        variance=100.0,
        price=np.log(n) / n,
        seed=0,
        schedule=SCHEDULE,
    )
    picked = np.flatnonzero(shares)
    rows = np.column_stack([np.ones(n), matrix[:, picked]])
    covariance = np.linalg.inv(rows.T @ rows)
    posterior = Posterior(covariance @ (rows.T @ response), covariance, len(picked) + 1.0)
    return bootstrap.Model(tuple(NAMES[i] for i in picked), matrix[:, picked], posterior)


@pytest.mark.slow
def test_intervals_cover_after_selection_where_naive_ones_do_not():
    naive, admitted = [], []
    for seed in range(70):
        rng = np.random.default_rng(seed)
        matrix = rng.normal(size=(24, len(NAMES)))
        matrix -= matrix.mean(axis=0)
        response = matrix @ list(TRUTH.values()) + rng.normal(size=24)
        model = annealed(matrix, response)
        found = bootstrap.bootstrap(
            model, response, lambda drawn, rows=matrix: annealed(rows, drawn), 39, seed
        )
        residual = response - model.posterior.predict(model.matrix)
        freedom = len(response) - model.posterior.effective
        scale = residual @ residual / freedom
        half = stats.t.ppf(0.975, freedom) * np.sqrt(scale * np.diag(model.posterior.covariance))
        for at, name in enumerate(model.terms, 1):
            naive.append(abs(model.posterior.params[at] - TRUTH[name]) <= half[at])
            admitted.append(found.lower[at] <= TRUTH[name] <= found.upper[at])
    assert np.mean(naive) < 0.85
    assert 0.91 < np.mean(admitted) < 0.99


def test_shrinkage_keeps_its_own_error_where_the_rows_say_nothing():
    rng = np.random.default_rng(0)
    data = {f"x{name}": rng.normal(size=40) for name in "abc"}
    data["quiet"] = np.append(np.zeros(39), 1.0)
    data["top1"] = data["xa"] + data["xb"] + rng.normal(0, 0.3, 40)
    fitted = TableRegression("main").fit(data, "top1", bootstrap=60)
    lines = {line["name"]: line for line in fitted.report()["terms"]}
    posterior = {line.name: line for line in fitted.regression.coefficients(0.95)}
    for name in ("xa", "xb", "xc", "quiet"):
        assert lines[name]["se"] == pytest.approx(posterior[name].bse, rel=0.4)
        assert lines[name]["selected"] == 1.0


def test_annealed_terms_are_labelled_and_the_bootstrap_is_kept(tmp_path):
    rng = np.random.default_rng(1)
    data = {f"x{name}": rng.normal(size=30) for name in "abc"}
    data["top1"] = data["xa"] + data["xb"] * data["xa"] + rng.normal(0, 0.3, 30)
    plain = TableRegression("annealed").fit(data, "top1").report()
    assert "after selection" in plain["standard_errors"] and plain["bootstrap"] == 0
    fitted = TableRegression("annealed").fit(data, "top1", bootstrap=20)
    report = regression.load(json.loads(json.dumps(fitted.to_json()))).report()
    assert "20 repeated fits" in report["standard_errors"]
    line = next(line for line in report["terms"] if line["name"] == "xa * xb")
    assert 0.9 < line["selected"] <= 1.0
    assert line["ci95"][0] < line["coef"] < line["ci95"][1]
    path = tmp_path / "t.csv"
    cells = zip(*data.values(), strict=True)
    path.write_text("\n".join([",".join(data), *(",".join(map(str, row)) for row in cells)]))
    options = [str(path), "--response", "top1", "--terms", "xa + xa:xb", "--bootstrap", "20"]
    shown = CliRunner().invoke(fit, options, catch_exceptions=False).output
    assert "20 repeated fits, selection included" in shown and "selected" in shown


def test_too_few_replicates_are_refused():
    data = {"a": np.arange(9.0), "b": np.arange(9.0) + np.arange(9) % 2}
    with pytest.raises(PredictorError, match="5 replicates are too few"):
        TableRegression("a").fit(data, "b", bootstrap=5)
