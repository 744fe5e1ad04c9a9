"""The front of a run: what of a `ReportData` its plots show."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence

from edgenas.core.goals import limit_text
from edgenas.core.metrics import REGISTRY, observed
from edgenas.core.records import Architecture, Candidate, Interval
from edgenas.core.records.goals import SCORE, Limit
from edgenas.reporting.document import ReportData, VerifiedCandidate
from edgenas.reporting.plots import front_kinds
from edgenas.reporting.plots.fronts import FrontAxis, FrontData, FrontMark, axis
from edgenas.reporting.plots.plot import Plot

# The trade-off that every report draws, with more detail.
USUAL = (SCORE, "latency_ms")


def responses(data: ReportData) -> tuple[str, ...]:
    """Return the responses of the search: its objectives, then what is limited."""
    if data.search is None:
        return USUAL
    limited = (limit.response for limit in data.search.limits)
    return tuple(dict.fromkeys((*data.search.objectives, *limited)))


def goals(data: ReportData) -> str:
    """Return what the search was for, such as "more accuracy and less energy, with …"."""
    search = data.search
    if search is None:
        return ""
    kinds = [data.known[name] for name in search.objectives]
    wanted = [f"{'more' if kind.goal == 'max' else 'less'} {kind.label}" for kind in kinds]
    kept = [limit_text(limit, data.known) for limit in search.limits]
    return _listed(wanted) + (f", with {_listed(kept)}" if kept else "")


def _listed(texts: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))


def fronts(data: ReportData) -> list[Plot]:
    """Return the plots of the front; none where it is accuracy against latency alone."""
    names = responses(data)
    if set(names) <= set(USUAL):
        return []
    return front_kinds.plots("front", front_data(data, names))


def overlays(boards: Sequence[tuple[str, ReportData]]) -> list[Plot]:
    """Return one plot for each pair of responses with the fronts of all boards in it.

    None where the boards searched for other responses, or for accuracy against latency alone.
    """
    searched = [(board, data) for board, data in boards if data.search and data.search.frontier]
    if not searched:
        return []
    names = responses(searched[0][1])
    same = all(set(responses(data)) == set(names) for _, data in searched)
    if not same or set(names) <= set(USUAL):
        return []
    plots = []
    for pair in itertools.combinations(names, 2):
        if set(pair) == set(USUAL):
            continue  # the comparison has a larger plot of it
        fronts_of = [(board, front_data(data, pair)) for board, data in searched]
        widest = max(fronts_of, key=lambda front: max(_greatest(front[1], i) for i in (0, 1)))[1]
        marks = [(board, data.front) for board, data in fronts_of]
        name = f"overlaid-{'-'.join(pair)}".replace("_", "-")
        plots.append(front_kinds.overlaid(name, widest.axes, marks))
    return plots


def _greatest(data: FrontData, index: int) -> float:
    return max((mark.values[index].mean for mark in data.front), default=0.0)


def front_data(data: ReportData, names: Sequence[str]) -> FrontData:
    """Return the marks of a run in the responses `names`."""
    search = data.search
    assert search is not None
    limits = {limit.response: limit for limit in search.limits}
    axes = []
    for name in names:
        known = [point.response(name) for point in (*search.frontier, *search.candidates)]
        greatest = max((value.mean for value in known if value is not None), default=1.0)
        limit = limits.get(name, Limit(name))
        axes.append(axis(data.known[name], greatest, limit.at_most, limit.at_least))
    won = data.winner if data.status == "pass" else None
    winner = None if won is None else _verified((won,), axes)
    others = [
        candidate
        for candidate in data.candidates
        if candidate is not won and _other(candidate, won)
    ]
    return FrontData(
        axes=tuple(axes),
        front=predicted(search.frontier, axes),
        measured=_measured(data, axes),
        verified=_verified([candidate for candidate in others if candidate.passed], axes),
        failed=_verified([candidate for candidate in others if not candidate.passed], axes),
        winner=winner[0] if winner else None,
    )


def predicted(candidates: Sequence[Candidate], axes: Sequence[FrontAxis]) -> tuple[FrontMark, ...]:
    """Return candidates as marks; those that lack a response are left out."""
    return _marks(
        [(candidate.architecture, candidate.response) for candidate in candidates],
        axes,
        "predicted",
    )


def _verified(
    candidates: Sequence[VerifiedCandidate], axes: Sequence[FrontAxis]
) -> tuple[FrontMark, ...]:
    known = [
        (candidate.predicted.architecture, _exactly(candidate.measured)) for candidate in candidates
    ]
    return _marks(known, axes, "measured")


def _measured(data: ReportData, axes: Sequence[FrontAxis]) -> tuple[FrontMark, ...]:
    """Return the networks of which every response was measured; counts follow from the network."""
    verified = {candidate.predicted.architecture for candidate in data.candidates}
    values: dict[Architecture, dict[str, float]] = {}
    for name in [along.name for along in axes]:
        for architecture, (value, _) in observed(REGISTRY[name], data.measurements).items():
            values.setdefault(architecture, {})[name] = value
    for evaluation in data.evaluations:
        values.setdefault(evaluation.architecture, {})[SCORE] = evaluation.int8_accuracy
    known = [(a, _exactly(of)) for a, of in values.items() if a not in verified]
    return _marks(known, axes, "measured")


def _exactly(values: dict[str, float]) -> Callable[[str], Interval | None]:
    def of(name: str) -> Interval | None:
        value = values.get(name)
        return None if value is None else Interval(value, value, value)

    return of


def _marks(
    known: Sequence[tuple[Architecture, Callable[[str], Interval | None]]],
    axes: Sequence[FrontAxis],
    how: str,
) -> tuple[FrontMark, ...]:
    marks = []
    for architecture, of in known:
        values = [of(axis.name) for axis in axes]
        complete = tuple(value for value in values if value is not None)
        if len(complete) == len(axes):
            parts = [
                f"{axis.label} {REGISTRY[axis.name].shown(value.mean)}"
                for axis, value in zip(axes, complete, strict=True)
            ]
            tip = f"{architecture}\n{how}: {', '.join(parts)}"
            marks.append(FrontMark(complete, tip, str(architecture)))
    return tuple(marks)


def _other(candidate: VerifiedCandidate, won: VerifiedCandidate | None) -> bool:
    return won is None or candidate.predicted.architecture != won.predicted.architecture
