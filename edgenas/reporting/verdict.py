"""The answer in words: what to deploy, what it does, did it pass. Shared by page and terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from edgenas.graph.parity import wilson
from edgenas.reporting import formats
from edgenas.reporting.document import ReportData, VerifiedCandidate


@dataclass(frozen=True)
class Fact:
    """One key figure: its name, its value, and a note that puts it in place."""

    label: str
    value: str
    note: str = ""
    bad: bool = False


@dataclass(frozen=True)
class Verdict:
    """tone: which kind of answer. problems: why it failed, what fell back, what is only random."""

    tone: Literal["pass", "fail", "infeasible"]
    headline: str
    sentence: str
    problems: tuple[str, ...]
    facts: tuple[Fact, ...]


def verdict(data: ReportData) -> Verdict:
    """Return the answer of a run."""
    if data.infeasible is not None:
        return _infeasible(data)
    winner = data.winner
    if winner is None:
        return Verdict(
            "fail",
            "Failed: nothing to deploy",
            f"No network was verified on target {data.target}.",
            _problems(data),
            (Fact("Budget", formats.milliseconds(data.limit_ms), _confidence(data)),),
        )
    name = PurePath(winner.model).name if winner.model else winner.predicted.architecture.short_name
    passed = data.status == "pass"
    promised = "Passed for latency" if winner.synthetic else "Passed"
    headline = f"{promised}: deploy {name}" if passed else f"Failed: do not deploy {name}"
    facts = (latency_fact(data, winner), promise_fact(data, winner), accuracy_fact(winner))
    return Verdict(
        "pass" if passed else "fail",
        headline,
        _sentence(data, winner),
        _problems(data),
        (*facts, *_small_facts(winner)),
    )


def latency_fact(data: ReportData, winner: VerifiedCandidate) -> Fact:
    """Return the measured latency against the budget."""
    measured, limit = winner.measured_latency_ms, formats.milliseconds(data.limit_ms)
    if measured is None:
        return Fact("Measured latency", formats.MISSING, f"The budget is {limit}.", bad=True)
    interval = (
        f"95 % interval {formats.bounds(measured.ci95, measured.median)} ms; "
        f"90 of 100 runs take at most {formats.milliseconds(measured.p90)}."
    )
    if not data.limited:
        return Fact("Measured latency", formats.milliseconds(measured.median), interval)
    over = measured.median > data.limit_ms
    spare = formats.difference(abs(data.limit_ms - measured.median), data.limit_ms)
    share = f"{abs(1 - measured.median / data.limit_ms):.0%}".replace("%", " %")
    note = f"{spare} ({share}) {'over' if over else 'under'} the budget of {limit}. {interval}"
    return Fact("Measured latency", formats.milliseconds(measured.median), note, over)


def promise_fact(data: ReportData, winner: VerifiedCandidate) -> Fact:
    """Return whether the measurement stayed below the upper bound that was predicted."""
    predicted, measured = winner.predicted.latency_ms, winner.measured_latency_ms
    promised = (
        f"Predicted {formats.milliseconds(predicted.mean)}, at most "
        f"{formats.milliseconds(predicted.upper)} at {data.confidence:.0%} confidence"
    ).replace("%", " %")
    if measured is None:
        return Fact("Promise", "not checked", f"{promised}.", bad=True)
    kept = measured.median <= predicted.upper
    early = " It is faster than predicted." if measured.median < predicted.lower else ""
    note = f"{promised}; measured {formats.milliseconds(measured.median)}.{early}"
    return Fact("Promise", "kept" if kept else "broken", note, not kept)


def accuracy_fact(winner: VerifiedCandidate) -> Fact:
    """Return the accuracy on the target and what int8 cost; the predicted one without images."""
    if winner.synthetic:
        predicted = winner.predicted.accuracy
        note = (
            f"Predicted, {formats.percent_bounds(predicted)}; not measured: the run had no images. "
            "To measure it, search with --data."
        )
        return Fact("Accuracy, predicted only", formats.percent(predicted.mean), note, bad=True)
    n = winner.n_images
    fp32 = formats.percent(winner.fp32_accuracy, n)
    int8 = formats.percent(winner.int8_accuracy, n)
    note = f"On the host: {fp32} as float, {int8} as int8."
    if winner.device_accuracy is None:
        return Fact("Accuracy on the target", formats.MISSING, note, bad=True)
    if n:
        low, high = (100 * bound for bound in wilson(n * winner.device_accuracy, n))
        note = f"Of {n:,} held-out images; 95 % interval {low:.1f} to {high:.1f} %. {note}"
    value = formats.percent(winner.device_accuracy, n)
    return Fact("Accuracy on the target", value, note)


def _small_facts(winner: VerifiedCandidate) -> tuple[Fact, ...]:
    agreement = formats.percent(winner.agreement, winner.n_images)
    kind = "synthetic " if winner.synthetic else ""
    return (
        Fact("Same answer as the host", agreement, f"Share of {kind}images given the same class."),
        Fact(
            "Peak memory", formats.storage(winner.peak_rss_bytes), "Whole process, engine included."
        ),
        Fact("Model file", formats.storage(winner.model_bytes), "Weights and activations in int8."),
    )


def _sentence(data: ReportData, winner: VerifiedCandidate) -> str:
    accuracy = formats.percent(winner.device_accuracy, winner.n_images)
    measured = winner.measured_latency_ms
    latency = formats.milliseconds(measured.median if measured else None)
    limit = formats.milliseconds(data.limit_ms)
    if winner.synthetic and measured is not None:
        return (
            f"On target {data.target} it takes {latency} an image (median). Its accuracy is "
            f"predicted to be {formats.percent_bounds(winner.predicted.accuracy)} and was not "
            "measured: this run had no images."
        )
    if winner.device_accuracy is None or measured is None:
        return (
            f"On target {data.target}: latency {latency} (budget {limit}), accuracy {accuracy}; "
            "what was not measured cannot be promised."
        )
    if not data.limited:
        return (
            f"On target {data.target} it classifies {accuracy} of the held-out images correctly "
            f"and takes {latency} an image (median)."
        )
    met = "within" if measured.median <= data.limit_ms else "over"
    return (
        f"On target {data.target} it classifies {accuracy} of the held-out images correctly "
        f"and takes {latency} an image (median), {met} the budget of {limit}."
    )


def _infeasible(data: ReportData) -> Verdict:
    least = data.infeasible
    assert least is not None
    limit, fastest = formats.milliseconds(data.limit_ms), least.latency_ms
    return Verdict(
        "infeasible",
        f"Infeasible: no network meets {limit}",
        f"The fastest network of the space is predicted to take "
        f"{formats.milliseconds(fastest.mean)} on target {data.target}, at most "
        f"{formats.least_sufficient(fastest.upper)}. "
        "Ask for at least that, or choose another space.",
        _problems(data),
        (
            Fact("Budget", limit, _confidence(data), bad=True),
            Fact(
                "Least latency that exists",
                formats.least_sufficient(fastest.upper),
                f"Upper bound of {formats.with_bounds(fastest)} ms: {least.architecture}",
            ),
            Fact(
                "Accuracy of that network",
                formats.percent(least.accuracy.mean),
                f"Predicted, {formats.percent_bounds(least.accuracy)}",
            ),
        ),
    )


def _problems(data: ReportData) -> tuple[str, ...]:
    random = data.winner is not None and data.winner.weights == "random"
    return (
        *data.reasons,
        *(f"Fell back: {fallback}" for fallback in data.fallbacks),
        *(["The weights are random: only the latency means something."] if random else []),
    )


def _confidence(data: ReportData) -> str:
    return f"On the upper prediction bound at {100 * data.confidence:.0f} % confidence."
