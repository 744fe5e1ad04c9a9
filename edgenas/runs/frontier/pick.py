"""Pick a network for a new budget from the frontier that a run stored, without a new search."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgenas.core.errors import InfeasibleError, InputError
from edgenas.core.goals import limit_text
from edgenas.core.records import to_json
from edgenas.core.records.goals import Limit
from edgenas.optimize.limits import keeps
from edgenas.runs.frontier.choice import PickChoice, choose, reason
from edgenas.runs.frontier.stored import Front, FrontPoint, MeasuredPoint


@dataclass(frozen=True)
class Picked:
    """The best network of a frontier within limits, and why it is that one.

    below, above : the measured networks nearest to it in the `between` response; None where
    nothing measured has less, or more. measured : of the picked network itself, empty if it was
    not. verified : whether it passed in the run's verification and kept these limits as measured.
    notes : what the reader must know.
    """

    choice: PickChoice
    between: str
    below: MeasuredPoint | None
    above: MeasuredPoint | None
    measured: Mapping[str, float]
    notes: tuple[str, ...]
    verified: bool = False

    @property
    def point(self) -> FrontPoint:
        """The network."""
        return self.choice.point


def pick(front: Front, limits: Mapping[str, Limit]) -> Picked:
    """Return the best network of the frontier whose prediction bounds are within `limits`.

    Networks that the search proposed off the frontier count too, once they were evaluated.

    Raises
    ------
    InputError : no limits, or one on a response that the frontier does not have.
    InfeasibleError : no point of the frontier meets the limits; says what the nearest has.
    """
    if not limits:
        raise InputError(
            "Say what the network must keep.",
            f"Such as: edgenas pick {front.run} --max-latency 3ms",
        )
    missing = [name for name in limits if name not in front.points[0].predicted]
    if missing:
        raise InputError(
            f"The frontier of {front.run} has no {missing[0]}: there was no predictor of it.",
            f"It has: {', '.join(sorted(front.points[0].predicted))}.",
        )
    known = (*front.points, *front.proposed)
    within = [p for p in known if keeps(p.predicted, limits.values())]
    if not within:
        raise _none_within(front, limits)
    between = next((name for name in limits if name != front.objective.name), front.objective.name)
    return _placed(front, choose(front, within), between, limits)


def _placed(front: Front, choice: PickChoice, between: str, limits: Mapping[str, Limit]) -> Picked:
    best = choice.point
    value = best.predicted[between].mean
    others = [m for m in front.measured if between in m.measured and m.name != best.name]
    below = [m for m in others if m.measured[between] <= value]
    above = [m for m in others if m.measured[between] > value]
    own = next((m.measured for m in front.measured if m.name == best.name), {})
    kind = front.known[between]
    notes = []
    if not below or not above:
        side = "less" if not below else "more"
        notes.append(
            f"Nothing was {front.how} with {side} {kind.label}: it lies beyond all that was."
        )
    strangers = [front.known[name].label for name in limits if name not in front.searched]
    if strangers:
        notes.append(
            f"The frontier was not searched for {' and '.join(strangers)}: a network off it may do "
            f"better within these limits. Search: edgenas optimize {front.run} --constraint …"
        )
    unkept = [
        x
        for x in limits.values()
        if x.response not in own or not x.holds(own[x.response], own[x.response])
    ]
    verified = best.name in front.passed and not unkept
    if not verified and not front.verdict.outdated:
        notes.insert(
            0,
            "This network is not verified within these limits. Search for it: edgenas optimize "
            f"{front.run} with them, then export and verify.",
        )
    return Picked(
        choice,
        between,
        max(below, key=lambda m: m.measured[between], default=None),
        min(above, key=lambda m: m.measured[between], default=None),
        own,
        tuple(notes),
        verified,
    )


def _none_within(front: Front, limits: Mapping[str, Limit]) -> InfeasibleError:
    """Return what the frontier can reach of each limit alone."""
    reached = []
    for name, limit in limits.items():
        kind, bounds = front.known[name], [point.predicted[name] for point in front.points]
        if limit.at_most is not None:
            least = kind.shown(min(bound.upper for bound in bounds))
            reached.append(f"the least upper bound of {kind.label} is {least}")
        if limit.at_least is not None:
            greatest = kind.shown(max(bound.lower for bound in bounds))
            reached.append(f"the greatest lower bound of {kind.label} is {greatest}")
    asked = " and ".join(limit_text(limit, front.known) for limit in limits.values())
    return InfeasibleError(
        f"No network on the frontier of {front.run} has {asked} at {front.confidence:.0%} "
        f"confidence: {', '.join(reached)}.",
        "Loosen a limit, or search for it: edgenas optimize RUN --constraint …",
    )


def document(front: Front, picked: Picked) -> dict[str, Any]:
    """Return the JSON document of `edgenas pick`, but for its seconds."""
    return {
        "status": "pass" if picked.verified else "not verified",
        "not_verified": list(front.verdict.outdated),
        "next_command": front.verdict.next_command,
        "run": str(front.run),
        "network": picked.point.name,
        "architecture": to_json(picked.point.architecture),
        "objective": front.objective.name,
        "confidence": front.confidence,
        "predicted": {name: to_json(value) for name, value in picked.point.predicted.items()},
        "measured": dict(picked.measured),
        "choice": _choice(front, picked.choice),
        "between": {
            "response": picked.between,
            "below": _point(picked.below),
            "above": _point(picked.above),
        },
        "notes": list(picked.notes),
        "frontier_points": len(front.points),
    }


def _choice(front: Front, choice: PickChoice) -> dict[str, Any]:
    return {
        "reason": reason(front, choice),
        "decided_by": choice.decided_by,
        "weighed": to_json(choice.weighed),
        "within": choice.within,
        "is_evaluated": choice.point.name in front.evaluated,
        "evaluated": [
            {
                "network": one.name,
                front.objective.name: front.evaluated[one.name].value,
                "is_alike": one.name in choice.alike,
            }
            for one in choice.evaluated
        ],
    }


def _point(measured: MeasuredPoint | None) -> dict[str, Any] | None:
    if measured is None:
        return None
    return {"network": measured.name, "measured": dict(measured.measured)}
