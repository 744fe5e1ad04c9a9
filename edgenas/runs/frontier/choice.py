"""Which network within limits is picked, and why: by what was evaluated, as far as noise lets it.

The rule is that of a verification's winner (`core.records.choice`): of networks that are not
measurably worse than the best, the one whose expected accuracy is worth its cost. Predictions
decide where they promise more than any evaluated network can have.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from edgenas.core.counted import were
from edgenas.core.records.intervals import wilson
from edgenas.core.records.weighing import (
    Weighed,
    expected_accuracies,
    most_accurate,
    said,
    weighed,
    worth,
)
from edgenas.runs.frontier.stored import Front, FrontPoint


@dataclass(frozen=True)
class PickChoice:
    """What decided for `point`, of the networks within the limits.

    decided_by : "only"; "predicted"; or the response that set it apart of those evaluated.
    within : how many networks keep the limits. evaluated : those whose objective is known, best
            first. alike : names of those of them that are not measurably worse than `best`, the one
        that is best in the objective by its value alone, or as predicted if it was not evaluated.
    weighed : accuracy and cost of `point` against those of another one of these; None where nothing
        was to be weighed, or none is better in either.
    """

    point: FrontPoint
    decided_by: str
    within: int
    evaluated: tuple[FrontPoint, ...]
    alike: frozenset[str]
    best: FrontPoint
    weighed: Weighed | None = None


def choose(front: Front, within: Sequence[FrontPoint]) -> PickChoice:
    """Return which of the networks `within` the limits, one at least, is picked."""
    best_first = sorted(within, key=lambda point: _order(front, point))
    best = best_first[0]
    evaluated = tuple(point for point in best_first if point.name in front.evaluated)
    alike = [point for point in evaluated if not _is_worse(front, point, best)]
    point, against = _most_worth(front, alike) if alike else (best, None)
    if len(within) == 1:
        decided_by = "only"
    elif not alike:
        decided_by = "predicted"
    elif len(alike) > 1 and front.cost and (against is None or against.ahead <= 0):
        decided_by = front.cost
    else:
        decided_by = front.objective.name
    return PickChoice(
        point,
        decided_by,
        len(within),
        evaluated,
        frozenset(one.name for one in alike),
        best,
        against,
    )


def _value(front: Front, point: FrontPoint) -> float:
    """Return what the network has of the objective; what is predicted if it was not evaluated."""
    known = front.evaluated.get(point.name)
    return point.predicted[front.objective.name].mean if known is None else known.value


def _order(front: Front, point: FrontPoint) -> tuple[float, ...]:
    sign = -1.0 if front.objective.goal == "max" else 1.0
    costs = (
        point.predicted[name].mean * (-1.0 if front.known[name].goal == "max" else 1.0)
        for name in sorted(front.searched)
    )
    return (sign * _value(front, point), *costs)


def _most_worth(front: Front, alike: Sequence[FrontPoint]) -> tuple[FrontPoint, Weighed | None]:
    """Return the one worth most, and what it was weighed against; the cheapest of exact values."""
    if not front.cost:
        return min(alike, key=lambda point: _order(front, point)), None
    costs = _costs(front, alike)
    answers = [front.evaluated[point.name].answers for point in alike]
    counted = [one for one in answers if one is not None]
    if len(counted) < len(alike):
        order = sorted(range(len(alike)), key=lambda i: (costs[i], *_order(front, alike[i])))
        return alike[order[0]], None
    predicted = [point.predicted.get(front.objective.name) for point in alike]
    accuracies = expected_accuracies(counted, predicted, front.confidence)
    reference = costs[most_accurate(accuracies, costs)]
    chosen = max(
        range(len(alike)), key=lambda i: (worth(accuracies[i], costs[i], reference), -costs[i])
    )
    return alike[chosen], weighed(chosen, accuracies, costs)


def _costs(front: Front, alike: Sequence[FrontPoint]) -> list[float]:
    """Return the cost of each, of which less is better: as measured if it was of all."""
    measured = {one.name: one.measured for one in front.measured}
    all_measured = all(front.cost in measured.get(point.name, {}) for point in alike)
    sign = -1.0 if front.known[front.cost].goal == "max" else 1.0
    return [
        sign * (measured[p.name][front.cost] if all_measured else p.predicted[front.cost].mean)
        for p in alike
    ]


def _is_worse(front: Front, point: FrontPoint, best: FrontPoint) -> bool:
    """Return whether an evaluated network is worse than the best by more than noise."""
    mine, its = front.evaluated[point.name], front.evaluated.get(best.name)
    sign = 1.0 if front.objective.goal == "max" else -1.0
    if mine.answers is None:
        return sign * (_value(front, best) - mine.value) > 0
    if its is not None and its.answers is not None:
        return its.answers.measurably_ahead_of(mine.answers)
    # the best is only predicted: what it promises must be beyond what this one may have
    return _value(front, best) > wilson(mine.answers.right, mine.answers.n_images)[1]


def reason(front: Front, choice: PickChoice) -> str:
    """Return why the network is picked, in one sentence."""
    label, how = front.objective.label, front.how_evaluated
    within, evaluated, alike = choice.within, len(choice.evaluated), len(choice.alike)
    if within == 1:
        known = "was" if evaluated else "was not"
        return f"It is the only network within the limits, and it {known} {how}."
    if not evaluated:
        return (
            f"None of the {within} networks within the limits was {how}: it is the one that is "
            f"predicted to be the best in {label}."
        )
    lead = f"Of the {within} networks within the limits, {evaluated} {were(evaluated)} {how}"
    if not alike:
        value = front.objective.shown(_value(front, choice.best))
        return f"{lead}, and none of these reaches the {value} that is predicted of this one."
    if alike == 1:
        only = "it alone can be" if evaluated == 1 else "it is"
        beyond = "measurably " if _is_noisy(front, choice.point) and evaluated > 1 else ""
        return f"{lead}, and {only} {beyond}the best in {label}."
    noise = f" beyond noise{_how_far(front, choice)}" if _is_noisy(front, choice.point) else ""
    cost = front.known[front.cost] if front.cost else None
    level = f"{lead}; the best {alike} of these do not differ in {label}{noise}: it"
    if choice.weighed is not None and cost is not None:
        return f"{level} {said(choice.weighed, cost.label)}."
    which = "the fastest" if front.cost == "latency_ms" else "the first"
    if cost is not None and cost.name != "latency_ms":
        which = f"the one of {'most' if cost.goal == 'max' else 'least'} {cost.label}"
    return f"{level} is {which}."


def _is_noisy(front: Front, point: FrontPoint) -> bool:
    return front.evaluated[point.name].answers is not None


def _how_far(front: Front, choice: PickChoice) -> str:
    """Return how far the picked network is behind the best by its value; "" if it is not."""
    point, best = choice.point, choice.best
    mine, its = front.evaluated[point.name].answers, front.evaluated.get(best.name)
    if mine is None or point is best:
        return ""
    text = f"{mine.accuracy:.1%} of {mine.n_images:,} validation images for it"
    if its is None:
        return f" ({text}, {_value(front, best):.1%} predicted of the best)"
    return f" ({text}, {its.value:.1%} for the best)"
