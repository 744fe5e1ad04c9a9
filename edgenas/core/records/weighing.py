"""Which of several networks is worth most that noise does not tell apart: accuracy against cost.

What was asked for within the limits is accuracy, so a network is not given up for a cheaper one
because its lead could be noise: what its lead is expected to be is weighed against what is saved.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, fmean

from edgenas.core.records.answers import Answers
from edgenas.core.records.intervals import Z975, Interval

COST_OF_A_POINT = 0.2  # of the most accurate network's cost, that a point of accuracy is worth


@dataclass(frozen=True)
class Weighed:
    """What was weighed for the network that was chosen, against another one.

    ahead : how much more accurate it is expected to be than the other, a fraction; below 0 it is
        less. saved : how much less it costs, as a share of the other's cost; below 0 it costs more.
    """

    ahead: float
    saved: float


def expected_accuracies(
    answers: Sequence[Answers], predicted: Sequence[Interval | None], confidence: float
) -> tuple[float, ...]:
    """Return the accuracy that is to be expected of each network, a fraction.

    answers : what each gets right of the same images, on which it was chosen. predicted : of each,
    with intervals of this `confidence`; with one missing the answers count as they are.

    The posterior mean of a normal prior, for each the predicted accuracy and its error, and of
    answers whose noise is that of differences of two networks on the same images. All may be off
    their predictions together (they were trained on): of each residual only what is not common to
    all is shrunk, by prior / (prior + noise) of the variances (Efron & Morris 1975).
    """
    known = [one for one in predicted if one is not None]
    if len(known) < len(answers) or len(answers) < 2:
        return tuple(one.accuracy for one in answers)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    prior = fmean(((one.mean - one.lower) / z) ** 2 for one in known)
    best, *others = sorted(answers, key=lambda one: -one.accuracy)
    spans = [best.ahead_of(one) for one in others]
    noise = fmean(((one.upper - one.lower) / (2 * Z975)) ** 2 for one in spans) / 2
    kept = prior / (prior + noise)
    residuals = [one.accuracy - of.mean for one, of in zip(answers, known, strict=True)]
    common = fmean(residuals)
    return tuple(
        of.mean + common + kept * (residual - common)
        for of, residual in zip(known, residuals, strict=True)
    )


def worth(accuracy: float, cost: float, reference: float) -> float:
    """Return what a network is worth, as an accuracy in points, of which more is better.

    accuracy : expected, a fraction. cost : less is better, so a throughput is below 0. reference :
    the cost of the network that is expected to be the most accurate; a fifth of it is a point.
    """
    if not reference or not math.isfinite(reference):
        return 100 * accuracy
    return 100 * accuracy - cost / abs(reference) / COST_OF_A_POINT


def weighed(chosen: int, accuracies: Sequence[float], costs: Sequence[float]) -> Weighed | None:
    """Return what the chosen network was weighed against; None where none is better in anything.

    That is the one that is expected to be the most accurate, or, where it is that itself, the
    cheapest.
    """
    other = most_accurate(accuracies, costs)
    if other == chosen:
        other = min(range(len(costs)), key=lambda i: costs[i])
    if accuracies[other] <= accuracies[chosen] and costs[other] >= costs[chosen]:
        return None
    if not (costs[other] and math.isfinite(costs[other]) and math.isfinite(costs[chosen])):
        return None
    saved = (costs[other] - costs[chosen]) / abs(costs[other])
    return Weighed(accuracies[chosen] - accuracies[other], saved)


def most_accurate(accuracies: Sequence[float], costs: Sequence[float]) -> int:
    """Return which is expected to be the most accurate; of those that are equal, the cheapest."""
    return max(range(len(costs)), key=lambda i: (accuracies[i], -costs[i]))


def said(found: Weighed, cost: str) -> str:
    """Return what was weighed, as what follows "it". cost : what is paid, such as "time"."""
    ahead, saved = f"{abs(100 * found.ahead):.1f} points", f"{abs(found.saved):.1%} "
    counts = f"(a point counts as {COST_OF_A_POINT:.0%} of it)"
    if found.ahead > 0:
        return (
            f"is expected to be {ahead} more accurate than the one of least {cost}, for {saved}"
            f"more {cost} {counts}"
        )
    return (
        f"has {saved}less {cost} than the one that is expected to be the most accurate, by "
        f"{ahead} {counts}"
    )
