"""What a pass stands under, in sentences: what was not measured well, or not as promised."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping

from edgenas.core.counted import counted, were
from edgenas.core.errors import ExportError
from edgenas.core.metrics import ResponseKind
from edgenas.core.records import (
    Answers,
    Baseline,
    Latency,
    Outcome,
    Verification,
    Verified,
    VerifiedModel,
)
from edgenas.core.records.goals import SCORE
from edgenas.core.records.hardware import FORMULAS
from edgenas.core.records.seen import WORTH_A_RESERVATION
from edgenas.int8.engines.facts import find_engine

MOST_REJECTED = 0.5  # of the passes that timed a model
_ESTIMATED = (
    "Its images/s, latency, LUTs, DSPs and block RAMs are estimated by formulas, not measured"
)
_ACCURACY = "cycles are right to 1 %, LUTs to a factor of 2."
_SYNTHESISE = "Synthesise it before you build on them (docs/how-to/fpga.md)."
MOST_UNUSED = 0.6  # of a limit: a winner that is faster is not held back by it


def reservations(
    target: str,
    verified: VerifiedModel,
    limit_ms: float | None,
    promised: Collection[str],
    known: Mapping[str, ResponseKind],
) -> tuple[str, ...]:
    """Return what the pass of `verified` stands under; empty for one without a doubt.

    limit_ms : on its latency; None for no limit.
    promised : responses that the search went by, whose prediction intervals are promises.
    known : the responses of the run.
    """
    found = list(_slower_than_float(verified))
    found += of_outcome(target, verified.outcome, limit_ms)
    if verified.outcome.estimated:
        basis = verified.outcome.provider
        known_by = _ACCURACY if basis == FORMULAS else basis
        found.append(f"{_ESTIMATED}: {known_by} {_SYNTHESISE}")
    found += broken_promises(verified, promised, known)
    if verified.synthetic:
        found.append(f"Its {known[SCORE].label} is predicted, not measured: the run had no images.")
    return tuple(found)


def of_outcome(target: str, outcome: Outcome, limit_ms: float | None) -> Iterator[str]:
    """Yield what a measured latency stands under, and what ran in place of the engine's kernels."""
    latency = outcome.latency
    if latency is not None:
        yield from _of_timing(latency)
        if limit_ms is not None and latency.span_ms[1] > limit_ms:
            yield (
                f"The 95 % interval of its latency reaches {latency.span_ms[1]:.4g} ms, over the "
                f"limit of {limit_ms:.4g} ms: another measurement may find it too slow."
            )
    yield from _fallback(target, outcome)


def _slower_than_float(verified: VerifiedModel) -> Iterator[str]:
    """Yield that int8 gains nothing on this engine, and what to do instead, in milliseconds."""
    latency, fp32_ms, model = verified.outcome.latency, verified.fp32_latency_ms, verified.model
    if latency is None or fp32_ms is None or latency.median_ms < fp32_ms:
        return
    timed = [x for x in verified.other_engines if not x.why_not]
    others = {x.engine: x.median_ms for x in timed if x.median_ms is not None}
    engine = min(others, key=lambda one: others[one], default="")
    right = verified.fp32_accuracy
    accuracy = "" if right is None else f", {right:.2%} right on the host"
    float_file = f"the float file {model.fp32_file} ({fp32_ms:.4g} ms{accuracy})"
    if engine and others[engine] < fp32_ms:
        instead = (
            f"On {engine} the same network takes {others[engine]:.4g} ms in int8: edgenas search "
            f"--engine {engine}. On this engine, deploy {float_file}."
        )
    else:
        measured = "".join(f"; in int8 on {name} {ms:.4g} ms" for name, ms in others.items())
        instead = f"Deploy {float_file} instead{measured}."
    yield (
        f"int8 is not faster than float on {verified.outcome.engine}: {latency.median_ms:.4g} "
        f"against {fp32_ms:.4g} ms. {instead}"
    )


def of_score(verification: Verification, winner: VerifiedModel, score: str) -> Iterator[str]:
    """Yield what the score of a winner, called `score` by its task, stands under."""
    baseline, mine = verification.baseline, winner.device_answers
    if winner.model.weights == "linear classifier":
        yield (
            "The winner is the linear classifier on the frozen ImageNet network: no trained one "
            "within the limits gets more of the validation images right. Train longer: --time, or "
            "--epochs."
        )
    if baseline is not None and mine is not None and baseline.sees == "ImageNet features":
        yield from _under_the_floor(baseline, mine, _used_limit_ms(verification, winner))
    elif baseline is not None and mine is not None:
        ahead = mine.ahead_of(baseline.answers)
        if ahead.lower <= 0:
            seen = f" {baseline.seen}".rstrip()
            level = "worse" if ahead.upper < 0 else "not clearly better"
            yield (
                f"A {baseline.method} on the same pixels{seen} gets "
                f"{baseline.answers.accuracy:.1%} of the test images right, the network "
                f"{mine.accuracy:.1%}: it is {level} ({100 * ahead.mean:+.1f} points, "
                f"95 % interval {100 * ahead.lower:.1f} to {100 * ahead.upper:.1f}). Train longer: "
                "--epochs."
            )
    found = verification.networks
    if found is not None and found.tell_nothing:
        yield (
            f"{found.alike} of {found.n_networks} evaluated networks do not differ in {score} "
            f"beyond the noise of {found.n_images:,} validation images ({found.lowest:.1%} to "
            f"{found.best:.1%}): their order by {score} is chance. Train longer (--epochs), or "
            "add validation images."
        )
    if verification.seen is not None and verification.seen.share >= WORTH_A_RESERVATION:
        yield verification.seen.sentence("The images")


def _under_the_floor(baseline: Baseline, mine: Answers, limit_ms: float | None) -> Iterator[str]:
    """Yield that a winner gets fewer test images right than was had before any training.

    limit_ms : on latency, if a larger one would help.
    """
    if mine.accuracy >= baseline.answers.accuracy:
        return
    ahead = mine.ahead_of(baseline.answers)
    larger = "" if limit_ms is None else f"a larger --max-latency (now {limit_ms:.3g}ms), or "
    yield (
        f"A {baseline.method}, had before any training at {baseline.image_size} px, gets "
        f"{baseline.answers.accuracy:.1%} of the test images right, the winner only "
        f"{mine.accuracy:.1%} ({100 * ahead.mean:+.1f} points, 95 % interval "
        f"{100 * ahead.lower:.1f} to {100 * ahead.upper:.1f}). What mends it: {larger}more "
        "training (--time, --epochs)."
    )


def _used_limit_ms(verification: Verification, winner: VerifiedModel) -> float | None:
    """Return the limit on latency if the winner uses most of it: a larger one then allows more."""
    latency, limit_ms = winner.outcome.latency, verification.limit_ms
    if latency is None or limit_ms is None or latency.median_ms < MOST_UNUSED * limit_ms:
        return None
    return limit_ms


def _of_timing(latency: Latency) -> Iterator[str]:
    rejected = len(latency.rejected)
    timed = len(latency.samples_ns) + (0 if latency.stands_on_rejected else rejected)
    kinds = Counter(reason.partition(":")[0] for _, reason in latency.rejected)
    counts = ", ".join(f"{kind} {count}" for kind, count in kinds.most_common())
    passes = counted(timed, "pass", "passes")
    of_all = f"{rejected} of {passes} that timed it {were(rejected)} rejected"
    if latency.stands_on_rejected:
        yield (
            f"{of_all} ({counts}) and count all the same: its latency holds for "
            "the target as it was then."
        )
    elif rejected > MOST_REJECTED * timed:
        yield f"{of_all} ({counts})."
    if latency.ci95_ms is None:
        yield "It was timed in one pass: how much its latency varies is not known."


def broken_promises(
    verified: Verified, promised: Collection[str], kinds: Mapping[str, ResponseKind]
) -> Iterator[str]:
    """Yield each promise that was not kept: a metric worse than its prediction interval.

    The accuracy is as predicted: of the validation images.
    """
    for name, kind in kinds.items():
        predicted, value = verified.candidate.response(name), verified.known(name)
        if name not in promised or predicted is None or value is None or kind.exact:
            continue
        if kind.goal == "max" and value < predicted.lower:
            ends = f"{kind.shown(predicted.lower)} at least"
        elif kind.goal == "min" and value > predicted.upper:
            ends = f"{kind.shown(predicted.upper)} at most"
        else:
            continue
        where = " on the validation images" if name == SCORE and verified.answers else ""
        yield (
            f"The promise of its {kind.label} is broken: {ends} was predicted, it is "
            f"{kind.shown(value)}{where}."
        )


def _fallback(target: str, outcome: Outcome) -> Iterator[str]:
    """Yield what ran instead of the engine's own kernels; nothing of an engine not known."""
    try:
        asked = find_engine(outcome.engine).provider
    except ExportError:
        return
    ran = outcome.provider.partition(";")[0].strip()
    if ran and ran != asked:
        yield f"{outcome.engine} fell back on {target}: {ran} ran it in place of {asked} alone."
