"""Which of several verified networks is deployed, and why: never by a difference that is noise.

What decides comes in an order: the objective, then accuracy, then latency. Of each, networks stay
that are not measurably worse than the best in it, and the next one decides between those. Where the
last leaves several, the best measured of them is taken, and of those the fastest. Before all that,
networks are passed over that get less right than was had without any training, if others do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edgenas.core.records.answers import Answers
from edgenas.core.records.goals import SCORE, Goal
from edgenas.core.records.intervals import Interval

if TYPE_CHECKING:
    from edgenas.core.records.verification import AnyVerified, Verified
else:
    AnyVerified = TypeVar("AnyVerified")


@dataclass(frozen=True)
class Choice(Generic[AnyVerified]):
    """The network to deploy, and what decided for it.

    decided_by : the response that last set it apart, "quality" where it is the better measured one,
        "only" where it alone passed. tied : nothing set it apart, but it has the least latency.
    passed : how many networks passed. below : how many of them were passed over, because they get
        fewer validation images right than a baseline does, and others do not. alike : how many of
        the rest are not measurably worse in the objective. measurable : whether the objective has
        intervals, so that noise is known.
    best : the one that is best in the objective by its value alone. behind : how much less accurate
        the winner is than that by its value, with the 95 % interval, a fraction; None where the
        objective is another, or accuracy was not measured.
    """

    winner: AnyVerified
    decided_by: str
    tied: bool
    passed: int
    alike: int
    measurable: bool
    best: AnyVerified
    behind: Interval | None = None
    below: int = 0


def choose(
    models: Sequence[AnyVerified], objective: str, goal: Goal, floor: Answers | None = None
) -> Choice[AnyVerified] | None:
    """Return which of the models that passed is deployed; None if none passed.

    floor : what a baseline gets right of the validation images, for the objective accuracy.
    """
    passed = [model for model in models if model.passed]
    if not passed:
        return None
    kept = _not_below(passed, floor if objective == SCORE else None)
    below = len(passed) - len(kept)
    decided_by, best, alike = "latency_ms", kept[0], 1
    if len(kept) == 1:
        decided_by = SCORE if below else "only"
    for response in dict.fromkeys((objective, SCORE, "latency_ms")):
        direction = goal if response == objective else _usual_goal(response)
        first = max(kept, key=lambda one: _ranks(one, response, direction))
        level = [one for one in kept if not _worse(one, first, response, direction)]
        if response == objective:
            best, alike = first, len(level)
        if len(level) < len(kept):
            decided_by = response
        kept = level
    least = min(one.flaws for one in kept)
    if any(one.flaws > least for one in kept):
        decided_by = "quality"
    kept = [one for one in kept if one.flaws == least]
    winner = max(kept, key=lambda one: _ranks(one, "latency_ms", "min"))
    return Choice(
        winner=winner,
        decided_by="latency_ms" if len(kept) > 1 else decided_by,
        tied=len(kept) > 1,
        passed=len(passed),
        alike=alike,
        measurable=_is_measurable(best, objective),
        best=best,
        behind=_behind(winner, best, objective),
        below=below,
    )


def reason(choice: Choice[Any], label: str = "accuracy") -> str:
    """Return why the winner was chosen, in one sentence. label : of the objective."""
    if choice.passed == 1:
        return "It is the only candidate that passed."
    lead = f"Of the {choice.passed} candidates that passed"
    if choice.below:
        left = choice.passed - choice.below
        lead += f", {choice.below} got fewer validation images right than the baseline"
        if left == 1:
            return f"{lead}; this is the other one."
        lead += f"; of the other {left}"
    if choice.alike == 1:
        how = "measurably the best" if choice.measurable else "the best"
        return f"{lead} it is {how} in {label}."
    noise = "beyond noise " if choice.measurable else ""
    level = f"{lead}, {choice.alike} do not differ in {label} {noise}{_how_far(choice)}".rstrip()
    if choice.tied:
        return f"{level}; nor does anything else tell the last of them apart: it is the fastest."
    if choice.decided_by == "quality":
        return f"{level}, and of the fastest of these it is the best measured."
    if choice.decided_by == SCORE:
        return f"{level}, and it is measurably the most accurate of these."
    return f"{level}, and it is the fastest of these."


def _not_below(passed: Sequence[AnyVerified], floor: Answers | None) -> Sequence[AnyVerified]:
    """Return those as accurate as the floor by their values; all of them if none is."""
    if floor is None:
        return passed
    as_good = [
        one for one in passed if one.answers is not None and one.answers.accuracy >= floor.accuracy
    ]
    return as_good or passed


def _how_far(choice: Choice[Any]) -> str:
    """Return how far the winner is behind the best by its value, in brackets; "" if it is not."""
    mine, its = choice.winner.answers, choice.best.answers
    if choice.behind is None or mine is None or its is None or choice.winner is choice.best:
        return ""
    behind = choice.behind
    return (
        f"({mine.accuracy:.1%} of {mine.n_images:,} validation images for it, {its.accuracy:.1%} "
        f"for the best: {100 * behind.mean:.1f} points, 95 % interval {100 * behind.lower:.1f} to "
        f"{100 * behind.upper:.1f})"
    )


def _usual_goal(response: str) -> Goal:
    return "max" if response == SCORE else "min"


def _merit(one: Verified, response: str, goal: str) -> float:
    """Return a value of which more is better; the least where it is not known."""
    value = one.known(response)
    if value is None:
        return -math.inf
    return value if goal == "max" else -value


def _ranks(one: Verified, response: str, goal: str) -> tuple[float, ...]:
    """Return what orders networks by a response; those that are equal in it by the others."""
    rest = _merit(one, SCORE, "max"), _merit(one, "latency_ms", "min")
    return _merit(one, response, goal), *rest


def _is_measurable(one: Verified, response: str) -> bool:
    if response == SCORE:
        return one.answers is not None
    return one.span(response) is not None


def _worse(one: Verified, best: Verified, response: str, goal: str) -> bool:
    """Return whether `one` is worse than the best by more than the noise of both."""
    mine, its = one.answers, best.answers
    if response == SCORE and mine is not None and its is not None:
        return its.measurably_ahead_of(mine)
    span, lead = one.span(response), best.span(response)
    if span is None or lead is None:
        return _merit(one, response, goal) < _merit(best, response, goal)
    return span[0] > lead[1] if goal == "min" else span[1] < lead[0]


def _behind(winner: Verified, best: Verified, objective: str) -> Interval | None:
    mine, its = winner.answers, best.answers
    if objective != SCORE or mine is None or its is None:
        return None
    return its.ahead_of(mine)
