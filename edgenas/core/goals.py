"""Goals: what a user asks of a network, an objective or a limit on a response, read from text."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from edgenas.core.errors import InputError
from edgenas.core.metrics import REGISTRY, ResponseKind, find
from edgenas.core.records.goals import Limit, Objective

_CONSTRAINT = re.compile(r"\s*(.+?)\s*(<=|>=|<|>|≤|≥)\s*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)\s*(\S*)\s*")
_EXAMPLE = (
    'Write a response, <= or >=, and a number with its unit: "energy_mj<=12" or "latency<=3ms".'
)


def parse_objective(text: str, known: Mapping[str, ResponseKind] = REGISTRY) -> Objective:
    """Return the objective of "latency_ms", or of "score:max" where no direction is known.

    Raises
    ------
    InputError : no such response, or its direction is not known, or is another.
    """
    name, colon, goal = text.partition(":")
    kind = find(name, known)
    if colon and goal not in ("max", "min"):
        raise InputError(f"The objective '{text}' must end in :max or :min.")
    if kind.goal is None and not colon:
        raise InputError(
            f"Whether more or less {kind.name} is better is not known.",
            f"Write --objective {kind.name}:max or --objective {kind.name}:min.",
        )
    if colon and kind.goal is not None and goal != kind.goal:
        better = "more" if kind.goal == "max" else "less"
        raise InputError(f"The objective '{text}' is backwards: {better} {kind.label} is better.")
    return Objective(kind.name, kind.goal or ("max" if goal == "max" else "min"))


def parse_objectives(
    texts: Iterable[str], known: Mapping[str, ResponseKind] = REGISTRY
) -> tuple[Objective, ...]:
    """Return the objectives, each response once, in the order given."""
    found = {one.response: one for one in (parse_objective(text, known) for text in texts)}
    return tuple(found.values())


def parse_constraint(text: str, known: Mapping[str, ResponseKind] = REGISTRY) -> Limit:
    """Return the limit of "energy_mj<=12", "peak_rss<=64MB" or "accuracy>=90%".

    Raises
    ------
    InputError : not a constraint, no such response or unit, or a number it can never have.
    """
    match = _CONSTRAINT.fullmatch(text)
    if match is None:
        raise InputError(f"'{text}' is not a constraint.", _EXAMPLE)
    kind = find(match[1], known)
    try:
        number = float(match[3])
    except ValueError:
        raise InputError(f"'{match[3]}' in '{text}' is not a number.", _EXAMPLE) from None
    value = number * _factor(kind, match[4], text)
    _check_value(kind, value, text)
    if match[2] in ("<=", "<", "≤"):
        return Limit(kind.name, at_most=value)
    return Limit(kind.name, at_least=value)


def require_units(texts: Iterable[str], known: Mapping[str, ResponseKind] = REGISTRY) -> None:
    """Raise `InputError` for a number whose unit has to be guessed, such as "peak_rss<=64".

    A name that ends in the unit says it: "energy_mj<=12". Counts and accuracies need none.
    """
    for text in texts:
        match = _CONSTRAINT.fullmatch(text)
        if match is None or match[4]:
            continue  # read, or refused, by `parse_constraint`
        kind = find(match[1], known)
        needless = kind.unit in ("", "fraction", *kind.units.keys() & {"%"})
        needless = needless or set(kind.units.values()) == {1.0}  # all mean the same
        if needless or match[1].lower().endswith(kind.unit.lower()):
            continue
        unit = "MB" if kind.unit == "bytes" else kind.unit
        raise InputError(
            f"'{text}' has no unit: is it {' or '.join(list(kind.units)[:5])}?",
            f'Write the unit, such as "{match[1]}{match[2]}{match[3]}{unit}".',
        )


def parse_constraints(
    texts: Sequence[str],
    known: Mapping[str, ResponseKind] = REGISTRY,
    max_latency_ms: float | None = None,
) -> dict[str, Limit]:
    """Return the tightest limits on each response.

    max_latency_ms : a limit on latency besides those of `texts`.

    Raises
    ------
    InputError : two constraints contradict each other.
    """
    limits = [parse_constraint(text, known) for text in texts]
    if max_latency_ms is not None:
        limits.append(Limit(find("latency_ms", known).name, at_most=max_latency_ms))
    found: dict[str, Limit] = {}
    for limit in limits:
        found[limit.response] = tightest(found.get(limit.response), limit)
    for name, limit in found.items():
        at_most, at_least = limit.at_most, limit.at_least
        if at_most is not None and at_least is not None and at_least > at_most:
            kind = known[name]
            raise InputError(
                f"The constraints contradict each other: no network has {kind.label} of at least "
                f"{kind.shown(at_least)} and at most {kind.shown(at_most)}."
            )
    return found


def tightest(one: Limit | None, other: Limit) -> Limit:
    """Return what holds only where both limits on one response hold."""
    if one is None:
        return other
    most = [x for x in (one.at_most, other.at_most) if x is not None]
    least = [x for x in (one.at_least, other.at_least) if x is not None]
    return Limit(one.response, min(most, default=None), max(least, default=None))


def limit_text(limit: Limit, known: Mapping[str, ResponseKind] = REGISTRY) -> str:
    """Return "latency at most 3 ms"."""
    kind = known[limit.response]
    parts = []
    if limit.at_least is not None:
        parts.append(f"at least {kind.shown(limit.at_least)}")
    if limit.at_most is not None:
        parts.append(f"at most {kind.shown(limit.at_most)}")
    return f"{kind.label} {' and '.join(parts)}"


def _factor(kind: ResponseKind, unit: str, text: str) -> float:
    """Return what a number in `unit` is multiplied by; "mb" is read as "MB"."""
    if unit in ("", kind.unit):
        return 1.0
    if unit in kind.units:
        return kind.units[unit]
    loose = {name.lower(): factor for name, factor in kind.units.items()}
    if unit.islower() and unit in loose:
        return loose[unit]
    raise InputError(
        f"'{text}': {kind.label} has no unit '{unit}'.",
        f"Units: {', '.join(kind.units) or 'none'}.",
    )


def _check_value(kind: ResponseKind, value: float, text: str) -> None:
    if kind.unit == "fraction" and not 0 <= value <= 1:
        raise InputError(
            f"'{text}': {kind.label} is between 0 and 1.", f'Write "{kind.name}>=90%" or >=0.9.'
        )
    if kind.goal is not None and (not math.isfinite(value) or value < 0):
        raise InputError(f"'{text}': {kind.label} is never negative.")
    if kind.goal == "min" and value == 0:
        raise InputError(f"'{text}': {kind.label} is never zero.")
