"""A verified network is held against the run's limits on every response, as measured."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgenas.core.goals import parse_constraints
from edgenas.core.records import ExportedModel, Verification, VerifiedModel
from edgenas.optimize.limits import judged
from helpers.reporting_sample import SPACE, sample

DATA = sample()
MEASUREMENT = next(m for m in DATA.measurements if m.outcome.peak_rss_bytes is not None)
CANDIDATE = replace(DATA.candidates[0].predicted, architecture=MEASUREMENT.architecture)
LAYERS = SPACE.layers(MEASUREMENT.architecture)


def verified(accuracy: float | None = 0.9) -> VerifiedModel:
    statistics = ((0.0,), (1.0,), ("0", "1"))
    model = ExportedModel(
        CANDIDATE, "a", "b", "", 1000, "u8s8", *statistics, 0.9, 0.9, 9, ""
    )  # fmt: skip
    return VerifiedModel(model, True, (), MEASUREMENT.outcome, 0.9, 0.9, accuracy, 1.0, 100)


@pytest.mark.parametrize(
    ("constraint", "reason"),
    [
        ("accuracy>=80%", ""),
        ("accuracy>=95%", "Its accuracy is 90 %, under the limit of 95 %."),
        ("macs<=1", "over the limit of 1"),
        ("peak_rss<=1kB", "over the limit of 1 kB"),
        ("energy<=1mJ", "Its energy was not measured"),
    ],
)
def test_each_limit_is_held_against_what_was_measured(constraint: str, reason: str) -> None:
    found = judged(verified(), MEASUREMENT, LAYERS, parse_constraints([constraint]))
    assert found.passed == (not reason)
    assert reason in " ".join(found.reasons)
    assert found.measured["macs"] == sum(layer.macs for layer in LAYERS)


def test_an_accuracy_that_was_not_had_is_missing_not_zero() -> None:
    found = judged(verified(None), MEASUREMENT, LAYERS, parse_constraints(["accuracy>=1%"]))
    assert not found.passed
    assert "accuracy" not in found.measured


def test_the_first_objective_decides_between_those_that_passed() -> None:
    small = replace(verified(), measured={"model_bytes": 10.0}, n_images=1)
    large = replace(verified(), measured={"model_bytes": 20.0}, n_images=2)
    unknown = replace(verified(), measured={}, n_images=3)
    models = (unknown, large, small)
    result = Verification("local", 1.0, 0.95, 1, models, "model_bytes", "min")
    assert result.winner is not None
    assert result.winner.n_images == 1
