"""What lies too near the limit to tell is measured on, until it is told or the passes run out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Silent
from edgenas.core.records import Latency, Outcome
from edgenas.runs.config import RunConfig
from edgenas.runs.run import RunContext
from edgenas.runs.verdict.near_limit import FURTHER_PASSES, decided
from edgenas.targets.base import MeasureSettings, ModelFile

LIMIT_MS = 1.0
Span = tuple[float, float, float]  # median, and the ends of its interval


def outcome(span: Span | None) -> Outcome:
    latency = None
    if span is not None:
        median, low, high = span
        latency = Latency(median, 2.0, (low, high), ((9,),), (1.0,), converged=True)
    return Outcome("ok", "", "onnxruntime", "1", "CPUExecutionProvider", {}, latency)


class FakeTarget:
    """A target whose further jobs find `spans`, one after the other."""

    name, engine = "kitchen", "onnxruntime"

    def __init__(self, spans: Sequence[Span]) -> None:
        self.spans = list(spans)
        self.jobs: list[tuple[list[str], MeasureSettings]] = []

    def measure(
        self,
        models: Sequence[ModelFile],
        settings: MeasureSettings,
        job_dir: Path,
        progress: Silent,
    ) -> dict[str, Outcome]:
        self.jobs.append(([model.key for model in models], settings))
        found = outcome(self.spans.pop(0))
        return {model.key: found for model in models}


def file(key: str) -> ModelFile:
    return ModelFile(key, Path(key), key * 64)


def measured_on(
    first: Span | None, spans: Sequence[Span], limit_ms: float | None = LIMIT_MS
) -> tuple[FakeTarget, dict[str, Outcome]]:
    target = FakeTarget(spans)
    context = RunContext(RunFolder(Path("run")), RunConfig(), Silent())
    context.__dict__["target"] = target
    outcomes = {"a": outcome(first), "b": outcome((0.5, 0.4, 0.6)), "c": outcome((0.2, 0.1, 0.3))}
    found = decided(
        context,
        outcomes,
        [file("a"), file("b")],
        limit_ms,
        anchor=file("x"),
        beside={"a": file("c")},
    )
    return target, found


@pytest.mark.parametrize("first", [(0.98, 0.95, 1.02), (1.01, 0.99, 1.03), (1.0, 1.0, 1.01)])
def test_only_what_is_undecided_is_measured_on_with_its_float_file(first: Span) -> None:
    target, found = measured_on(first, [(0.97, 0.96, 0.98)])
    keys, settings = target.jobs[0]
    assert (len(target.jobs), keys) == (1, ["x", "a", "c"])
    assert settings.max_passes == FURTHER_PASSES[0] > MeasureSettings.max_passes
    assert settings.relative_ci < MeasureSettings.relative_ci
    assert found["a"].latency is not None and found["a"].latency.median_ms == 0.97
    assert found["b"].latency is not None and found["b"].latency.median_ms == 0.5


def test_a_newer_outcome_that_is_worse_counts() -> None:
    _, found = measured_on((0.99, 0.97, 1.01), [(1.05, 1.04, 1.06)])
    assert found["a"].latency is not None and found["a"].latency.median_ms == 1.05


def test_it_ends_when_the_passes_run_out() -> None:
    target, found = measured_on((0.99, 0.97, 1.01), [(0.999, 0.99, 1.01)] * 9)
    assert [settings.max_passes for _, settings in target.jobs] == list(FURTHER_PASSES)
    assert found["a"].latency is not None and found["a"].latency.span_ms[1] > LIMIT_MS


@pytest.mark.parametrize("first", [(0.9, 0.8, 0.99), (1.2, 1.1, 1.3), None])
def test_what_is_decided_or_failed_is_not_measured_on(first: Span | None) -> None:
    assert measured_on(first, [])[0].jobs == []


def test_without_a_limit_nothing_is_measured_on() -> None:
    assert measured_on((0.98, 0.95, 1.02), [], limit_ms=None)[0].jobs == []
