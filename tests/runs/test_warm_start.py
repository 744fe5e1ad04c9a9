"""Warm start: an earlier run's predictors as priors, its networks as starts, its accuracies."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.core import plugins
from edgenas.core.errors import InputError, RunFolderError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.metrics import REGISTRY
from edgenas.core.progress import Silent
from edgenas.core.records.warm_starts import PriorGain, WarmStart
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import TrainingData
from edgenas.runs.config import RunConfig, write_config
from edgenas.runs.run import RunContext
from edgenas.runs.start import warm_start

SPACE = plugins.load("spaces", "mbv3-tiny").create(10, 1, 16)
ROWS = TermRows(SPACE, "physical")


def rows(seed: int, n: int, speed: float, unlike: float = 0.0) -> TrainingData:
    """A board `speed` times as slow as another; `unlike` of its time follows other terms."""
    rng = np.random.default_rng(seed)
    sampled = list(dict.fromkeys(SPACE.sample(rng) for _ in range(4 * n)))[:n]
    matrix = ROWS.matrix(sampled)
    common = np.random.default_rng(100).uniform(0.01, 0.1, matrix.shape[1])
    other = np.random.default_rng(101).permutation(common)
    spread = matrix / matrix.std(axis=0).clip(1e-9)
    response = speed * (spread @ ((1 - unlike) * common + unlike * other) + 0.1)
    noisy = response * rng.lognormal(0, 0.02, n)
    return TrainingData("latency_ms", "ms", ROWS.terms.names, matrix, noisy, cost=True)


@pytest.fixture(scope="module")
def prior() -> object:
    return plugins.load("predictors", "regression").fit(rows(0, 120, 1.0), 0)


def test_a_prior_of_a_like_board_lessens_the_error_from_few_rows(prior: object) -> None:
    few, unseen = rows(1, 12, 3.0), rows(2, 200, 3.0)
    found = warm_start.fit_with(prior, few, "pi4", 0)  # type: ignore[arg-type]
    assert found is not None
    fitted, gain = found
    assert fitted is not None
    assert gain.used
    assert gain.with_prior < gain.without
    scratch = plugins.load("predictors", "regression").fit(few, 0)

    def error(one: object) -> float:
        return float(np.mean((one.predict(unseen.matrix) - unseen.response) ** 2))  # type: ignore[attr-defined]

    assert error(fitted) < error(scratch)


def test_the_collapsed_predictor_predicts_as_the_one_with_the_prior_as_a_term(
    prior: object,
) -> None:
    from edgenas.predictors.transfer.adapt import adapt

    few, unseen = rows(1, 12, 3.0), rows(2, 30, 3.0).matrix
    column = prior.predict(few.matrix)[:, None]  # type: ignore[attr-defined]
    both = adapt(few, column, ["pi4"]).predictor
    alone = warm_start.collapsed(both, prior, few)  # type: ignore[arg-type]
    behind = np.hstack([unseen, prior.predict(unseen)[:, None]])  # type: ignore[attr-defined]
    for one, other in zip(
        (alone.predict(unseen), alone.margin(unseen, 0.9)),
        (both.predict(behind), both.margin(behind, 0.9)),
        strict=True,
    ):
        assert one == pytest.approx(other)
    assert alone.terms == few.terms
    assert plugins.load("predictors", "regression").load(alone.to_json()).terms == few.terms


def test_a_prior_that_does_not_help_is_not_used_and_said_so(prior: object) -> None:
    data = rows(3, 40, 1.0)
    noise = replace(data, response=np.random.default_rng(5).permutation(data.response))
    found = warm_start.fit_with(prior, noise, "pi4", 0)  # type: ignore[arg-type]
    assert found is not None
    gain = found[1]
    assert not gain.used
    assert found[0] is None
    record = WarmStart("runs/pi4", priors={"latency_ms": gain})
    assert "did not help and is not used" in warm_start.sentences(record, REGISTRY)[0]


def test_what_was_taken_over_is_said() -> None:
    gain = PriorGain("ms", 10, 0.1, 0.2, used=True)
    record = WarmStart(
        "runs/pi4", True, 30, {"latency_ms": gain}, 20, 7, ("it is of other images",)
    )
    said = " ".join(warm_start.sentences(record, REGISTRY))
    for text in (
        "30 networks were not evaluated again",
        "took 50% off the error",
        "0.1 ms instead of 0.2 ms",
        "7 of them",
    ):
        assert text in said


def test_a_run_that_is_not_there_or_is_this_one_is_one_clear_line(tmp_path: Path) -> None:
    context = run(tmp_path / "new", warm_start=str(tmp_path / "old"))
    with pytest.raises(RunFolderError, match="not a run folder"):
        warm_start.earlier(context)
    with pytest.raises(InputError, match="cannot start from itself"):
        warm_start.earlier(run(tmp_path / "new", warm_start=str(tmp_path / "new")))
    assert warm_start.earlier(run(tmp_path / "new")) is None


def test_another_space_or_no_predictors_give_no_priors_and_a_warning(tmp_path: Path) -> None:
    run(tmp_path / "old", space="foxnas-cpu")
    context = run(tmp_path / "new", warm_start=str(tmp_path / "old"))
    assert warm_start.priors(context) == {}
    assert "searched the space 'foxnas-cpu'" in context.progress.warnings[0]


def run(path: Path, **options: object) -> RunContext:
    config = RunConfig(**options)  # type: ignore[arg-type]
    write_config(RunFolder(path), config, "0")
    return RunContext(RunFolder(path), config, Silent())
