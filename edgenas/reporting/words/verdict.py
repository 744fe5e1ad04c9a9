"""The answer in words: what to deploy, what it does, did it pass. Shared by page and terminal."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

from edgenas.core.records.goals import SCORE
from edgenas.core.records.intervals import wilson
from edgenas.reporting.document import ReportData, VerifiedCandidate
from edgenas.reporting.words import numbers

# What is estimated of a network on an FPGA, in words.
_HARDWARE = {
    "images_per_s": "images a second",
    "luts": "LUTs",
    "dsps": "DSPs",
    "bram18": "block RAMs of 18 kbit",
}


@dataclass(frozen=True)
class Fact:
    """One key figure: its name, its value, and a note that puts it in place."""

    label: str
    value: str
    note: str = ""
    bad: bool = False


@dataclass(frozen=True)
class Verdict:
    """tone: which kind of answer; "reserved" is a pass with reservations, "outdated" not verified.

    problems : why it failed or is not verified, what a pass stands under, what is only random.
    """

    tone: Literal["pass", "reserved", "outdated", "fail", "infeasible"]
    headline: str
    sentence: str
    problems: tuple[str, ...]
    facts: tuple[Fact, ...]


def verdict(data: ReportData) -> Verdict:
    """Return the answer of a run."""
    if data.infeasible is not None:
        return _infeasible(data)
    if data.status == "not verified":
        return _outdated(data)
    winner = data.winner
    if winner is None:
        return Verdict(
            "fail",
            "Failed: nothing to deploy",
            f"No network was verified on target {data.target}.",
            _problems(data),
            _budget(data),
        )
    name = PurePath(winner.model).name if winner.model else winner.predicted.architecture.short_name
    passed = data.status == "pass"
    promised = "Passed for latency" if winner.synthetic else "Passed"
    problems = _problems(data)
    if winner.estimated:
        promised = "Estimated to fit"
    elif passed and problems:
        promised += " with reservations"
    headline = f"{promised}: deploy {name}" if passed else f"Failed: do not deploy {name}"
    facts = (latency_fact(data, winner), promise_fact(data, winner), score_fact(data, winner))
    return Verdict(
        ("reserved" if problems else "pass") if passed else "fail",
        headline,
        f"{_sentence(data, winner)} {data.choice}".rstrip(),
        problems,
        (
            *facts,
            *_baseline_fact(data, winner),
            *_classes_fact(data, winner),
            *_small_facts(winner),
        ),
    )


def _outdated(data: ReportData) -> Verdict:
    return Verdict(
        "outdated",
        "Not verified as it is now",
        f"What was verified on target {data.target} is no longer what this run holds: none of its "
        "files is one to deploy until it is verified again. The figures below are of then.",
        data.outdated,
        (),
    )


def latency_fact(data: ReportData, winner: VerifiedCandidate) -> Fact:
    """Return the measured latency against the budget."""
    measured, limit = winner.measured_latency_ms, numbers.milliseconds(data.limit_ms)
    if measured is not None and winner.estimated:
        note = "Of one image through all layers of the pipeline, one after the other; not measured."
        return Fact("Estimated latency", numbers.milliseconds(measured.median), note)
    if measured is None:
        budget = f"The budget is {limit}." if data.limited else ""
        return Fact("Measured latency", numbers.MISSING, budget, bad=True)
    interval = (
        f"95 % interval {numbers.bounds(measured.ci95, measured.median)} ms; "
        f"90 of 100 runs take at most {numbers.milliseconds(measured.p90)}."
    )
    if not data.limited or data.limit_ms is None:
        return Fact("Measured latency", numbers.milliseconds(measured.median), interval)
    over = measured.median > data.limit_ms
    spare = numbers.difference(abs(data.limit_ms - measured.median), data.limit_ms)
    share = f"{abs(1 - measured.median / data.limit_ms):.0%}".replace("%", " %")
    note = f"{spare} ({share}) {'over' if over else 'under'} the budget of {limit}. {interval}"
    return Fact("Measured latency", numbers.milliseconds(measured.median), note, over)


def promise_fact(data: ReportData, winner: VerifiedCandidate) -> Fact:
    """Return whether the measurement stayed below the upper bound that was predicted."""
    predicted, measured = winner.predicted["latency_ms"], winner.measured_latency_ms
    promised = (
        f"Predicted {numbers.milliseconds(predicted.mean)}, at most "
        f"{numbers.milliseconds(predicted.upper)} at {data.confidence:.0%} confidence"
    ).replace("%", " %")
    if measured is None:
        return Fact("Promise", "not checked", f"{promised}.", bad=True)
    kept = measured.median <= predicted.upper
    early = " It is faster than predicted." if measured.median < predicted.lower else ""
    note = f"{promised}; measured {numbers.milliseconds(measured.median)}.{early}"
    return Fact("Promise", "kept" if kept else "broken", note, not kept)


def score_fact(data: ReportData, winner: VerifiedCandidate) -> Fact:
    """Return the score on the target and what int8 cost; the predicted one without images."""
    score = data.score.capitalize()
    if winner.synthetic:
        predicted = winner.predicted[SCORE]
        note = (
            f"Predicted, {numbers.percent_bounds(predicted)}; not measured: the run had no images. "
            "To measure it, search with --data."
        )
        return Fact(f"{score}, predicted only", numbers.percent(predicted.mean), note, bad=True)
    n = winner.n_images
    fp32 = numbers.percent(winner.fp32_accuracy, n)
    int8 = numbers.percent(winner.int8_accuracy, n)
    note = f"On the host: {fp32} as float, {int8} as int8."
    if winner.device_accuracy is None:
        return Fact(f"{score} on the target", numbers.MISSING, note, bad=True)
    if n:
        low, high = (100 * bound for bound in wilson(n * winner.device_accuracy, n))
        note = f"Of {n:,} held-out images; 95 % interval {low:.1f} to {high:.1f} %. {note}"
    value = numbers.percent(winner.device_accuracy, n)
    return Fact(f"{score} on the target", value, note)


def _baseline_fact(data: ReportData, winner: VerifiedCandidate) -> tuple[Fact, ...]:
    """Return what a plain method gets right of the same images; nothing where it is not known."""
    baseline = data.baseline
    if baseline is None:
        return ()
    answers = baseline.answers
    mine, of_pixels = winner.device_answers, baseline.sees == "pixels"
    if mine is None:
        beaten = True
    elif of_pixels:
        beaten = mine.measurably_ahead_of(answers)
    else:
        beaten = mine.accuracy >= answers.accuracy
    by = "the pixels alone" if of_pixels else f"ImageNet's features at {baseline.image_size} px"
    note = f"The same test images, by {by} {baseline.seen}"
    value = numbers.percent(answers.accuracy, answers.n_images)
    label = f"A {baseline.method} gets"
    doubt = "The network is not clearly better" if of_pixels else "The network gets fewer"
    remedy = "--epochs" if of_pixels else "--time or --epochs"
    more = "" if beaten else f" {doubt}: train longer ({remedy})."
    return (Fact(label, value, f"{note.rstrip()}.{more}", bad=not beaten),)


def _classes_fact(data: ReportData, winner: VerifiedCandidate) -> tuple[Fact, ...]:
    """Return which classes the winner gets least right; nothing where there are only two."""
    if winner.confusion is None or len(data.data.class_names) < 3:
        return ()
    worst, *others = winner.confusion.worst_first(data.data.class_names)[:3]
    note = f"{worst}." + (f" Then {'; '.join(map(str, others))}." if others else "")
    return (Fact(f"Worst class: {worst.name}", numbers.percent(worst.accuracy), note),)


def _small_facts(winner: VerifiedCandidate) -> tuple[Fact, ...]:
    agreement = numbers.percent(winner.agreement, winner.n_images)
    kind = "synthetic " if winner.synthetic else ""
    return (
        Fact("Same answer as the host", agreement, f"Share of {kind}images given the same class."),
        Fact(
            "Peak memory", numbers.storage(winner.peak_rss_bytes), "Whole process, engine included."
        ),
        Fact("Model file", numbers.storage(winner.model_bytes), "Weights and activations in int8."),
    )


def _sentence(data: ReportData, winner: VerifiedCandidate) -> str:
    accuracy = numbers.percent(winner.device_accuracy, winner.n_images)
    measured = winner.measured_latency_ms
    latency = numbers.milliseconds(measured.median if measured else None)
    limit = numbers.milliseconds(data.limit_ms)
    budget = f" (budget {limit})" if data.limited else ""
    if winner.synthetic and measured is not None:
        return (
            f"On target {data.target} it takes {latency} an image (median). Its {data.score} is "
            f"predicted to be {numbers.percent_bounds(winner.predicted[SCORE])} and was not "
            "measured: this run had no images."
        )
    if winner.device_accuracy is None or measured is None:
        return (
            f"On target {data.target}: latency {latency}{budget}, {data.score} {accuracy}; what "
            "was not measured cannot be promised."
        )
    if winner.estimated:
        known = ", ".join(
            f"{winner.measured[name]:,.0f} {label}"
            for name, label in _HARDWARE.items()
            if name in winner.measured
        )
        return (
            f"It answers {accuracy} of the held-out images correctly on this computer. "
            f"Estimated, not measured, on target {data.target}: {known}."
        )
    if not data.limited or data.limit_ms is None:
        return (
            f"On target {data.target} it answers {accuracy} of the held-out images correctly "
            f"and takes {latency} an image (median)."
        )
    met = "within" if measured.median <= data.limit_ms else "over"
    return (
        f"On target {data.target} it answers {accuracy} of the held-out images correctly "
        f"and takes {latency} an image (median), {met} the budget of {limit}."
    )


def _infeasible(data: ReportData) -> Verdict:
    least = data.infeasible
    assert least is not None
    limit, fastest = numbers.milliseconds(data.limit_ms), least["latency_ms"]
    return Verdict(
        "infeasible",
        f"Infeasible: no network meets {limit}",
        f"The fastest network of the space is predicted to take "
        f"{numbers.milliseconds(fastest.mean)} on target {data.target}, at most "
        f"{numbers.least_sufficient(fastest.upper)}. "
        "Ask for at least that, or choose another space.",
        _problems(data),
        (
            Fact("Budget", limit, _confidence(data), bad=True),
            Fact(
                "Least latency that exists",
                numbers.least_sufficient(fastest.upper),
                f"Upper bound of {numbers.with_bounds(fastest)} ms: {least.architecture}",
            ),
            Fact(
                f"{data.score.capitalize()} of that network",
                numbers.percent(least[SCORE].mean),
                f"Predicted, {numbers.percent_bounds(least[SCORE])}",
            ),
        ),
    )


def _problems(data: ReportData) -> tuple[str, ...]:
    random = data.winner is not None and data.winner.weights == "random"
    return (
        *data.reasons,
        *data.reservations,
        *(f"Fell back: {fallback}" for fallback in data.fallbacks),
        *(["The weights are random: only the latency means something."] if random else []),
    )


def _budget(data: ReportData) -> tuple[Fact, ...]:
    if not data.limited:
        return ()
    return (Fact("Budget", numbers.milliseconds(data.limit_ms), _confidence(data)),)


def _confidence(data: ReportData) -> str:
    return f"On the upper prediction bound at {100 * data.confidence:.0f} % confidence."
