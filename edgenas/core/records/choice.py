"""Which of several verified networks is deployed, and why: never by a difference that is noise.

What decides comes in an order: the objective, then accuracy. Of each, networks stay that are not
measurably worse than the best in it. Between those, what each is expected to be ahead in accuracy
is weighed against the time that it takes (`records.weighing`); of those that only the noise of
latencies sets apart from the best of them, the best measured is taken. Before all that, networks
are passed over that get less right than was had without any training, if others do not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from edgenas.core.records.answers import Answers
from edgenas.core.records.goals import SCORE, Goal
from edgenas.core.records.intervals import Interval
from edgenas.core.records.weighing import (
    Weighed,
    expected_accuracies,
    most_accurate,
    said,
    weighed,
    worth,
)

if TYPE_CHECKING:
    from edgenas.core.records.verification import AnyVerified, Verified
else:
    AnyVerified = TypeVar("AnyVerified")


@dataclass(frozen=True)
class Choice(Generic[AnyVerified]):
    """The network to deploy, and what decided for it.

    decided_by : the response that last set it apart, "quality" where it is the better measured one,
        "only" where it alone passed. weighed : its accuracy and time against those of another one;
        None where nothing was left to weigh, or none is better in either.
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
    weighed: Weighed | None
    passed: int
    alike: int
    measurable: bool
    best: AnyVerified
    behind: Interval | None = None
    below: int = 0


def choose(
    models: Sequence[AnyVerified],
    objective: str,
    goal: Goal,
    floor: Answers | None = None,
    confidence: float = 0.95,
) -> Choice[AnyVerified] | None:
    """Return which of the models that passed is deployed; None if none passed.

    floor : what a baseline gets right of the validation images, for the objective accuracy.
    confidence : of the intervals of what is predicted.
    """
    passed = [model for model in models if model.passed]
    if not passed:
        return None
    kept = _not_below(passed, floor if objective == SCORE else None)
    below = len(passed) - len(kept)
    decided_by, best, alike = "latency_ms", kept[0], 1
    if len(kept) == 1:
        decided_by = SCORE if below else "only"
    for response in dict.fromkeys((objective, SCORE)):
        direction = goal if response == objective else _usual_goal(response)
        first = max(kept, key=lambda one: _ranks(one, response, direction))
        level = [one for one in kept if not _worse(one, first, response, direction)]
        if response == objective:
            best, alike = first, len(level)
        if len(level) < len(kept):
            decided_by = response
        kept = level
    winner, against = kept[0], None
    if len(kept) > 1:
        winner, decided_by, against = _most_worth(kept, confidence)
    return Choice(
        winner=winner,
        decided_by=decided_by,
        weighed=against,
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
    if choice.decided_by == "quality":
        return f"{level}, and of the best that latencies do not tell apart it is the best measured."
    if choice.weighed is not None:
        return f"{level}: it {said(choice.weighed, 'latency')}."
    if choice.decided_by == SCORE:
        return f"{level}, and it is measurably the most accurate of these."
    return f"{level}: it is the fastest of these, and none is expected to be more accurate."


def _most_worth(
    level: Sequence[AnyVerified], confidence: float
) -> tuple[AnyVerified, str, Weighed | None]:
    """Return the one worth most, what decided for it, and what it was weighed against."""
    accuracies = _expected(level, confidence)
    costs = [-_merit(one, "latency_ms", "min") for one in level]
    reference = costs[most_accurate(accuracies, costs)]

    def value(index: int, latency_ms: float) -> float:
        return worth(accuracies[index], latency_ms, reference)

    first = max(range(len(level)), key=lambda i: (value(i, costs[i]), -costs[i]))
    least = value(first, _span(level[first], costs[first])[1])
    near = [i for i in range(len(level)) if value(i, _span(level[i], costs[i])[0]) >= least]
    near = list(dict.fromkeys((first, *near)))
    chosen = min(near, key=lambda i: (level[i].flaws, -value(i, costs[i]), costs[i]))
    against = weighed(chosen, accuracies, costs)
    if level[chosen].flaws < level[first].flaws:
        return level[chosen], "quality", against
    is_ahead = against is not None and against.ahead > 0
    return level[chosen], SCORE if is_ahead else "latency_ms", against


def _expected(level: Sequence[Verified], confidence: float) -> tuple[float, ...]:
    """Return the accuracy that is expected of each; all alike where it is not known."""
    answers = [one.answers for one in level if one.answers is not None]
    if len(answers) == len(level):
        predicted = [one.candidate.response(SCORE) for one in level]
        return expected_accuracies(answers, predicted, confidence)
    values = [one.known(SCORE) for one in level]
    return tuple(0.0 if value is None else value for value in values)


def _span(one: Verified, latency_ms: float) -> tuple[float, float]:
    return one.span("latency_ms") or (latency_ms, latency_ms)


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
