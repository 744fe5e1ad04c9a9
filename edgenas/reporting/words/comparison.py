"""The comparison in words: who passed, how fast the boards are, where they really differ."""

from __future__ import annotations

import math

from edgenas.core.counted import counted
from edgenas.core.records import Interval
from edgenas.core.records.goals import SCORE
from edgenas.reporting.compared import ComparedChoice, ComparisonData
from edgenas.reporting.words import numbers


def headline(data: ComparisonData) -> str:
    """Return the answer: on how many boards there is a network to deploy."""
    n = len(data.boards) + len(data.failed)
    good = sum(board.data.status == "pass" for board in data.boards)
    if data.passed:
        doubt = (
            " with reservations" if any(board.data.reservations for board in data.boards) else ""
        )
        every = "both" if n == 2 else f"all {n}"
        return (
            f"Passed{doubt} on {every} boards"
            if data.noun == "board"
            else f"{every} runs passed{doubt}".capitalize()
        )
    if data.noun == "run":
        return f"{good} of {n} runs passed"
    return f"Failed: passed on {good} of {n} boards"


def sentence(data: ComparisonData) -> str:
    """Return what each winner does on its board."""
    parts = []
    for board in data.boards:
        winner, latency = board.data.winner, None
        if winner is not None:
            latency = winner.measured_latency_ms
        if board.data.status != "pass" or winner is None or latency is None:
            why = "no network met the budget"
            if board.data.status == "not verified":
                why = "not verified as it is now"
            parts.append(f"{board.target}: {why}")
            continue
        accuracy = numbers.percent(winner.device_accuracy, winner.n_images)
        if winner.synthetic:
            accuracy = f"{numbers.percent(winner.predicted[SCORE].mean)} predicted, not measured,"
        parts.append(f"{board.target}: {accuracy} in {numbers.milliseconds(latency.median)}")
    return "; ".join(parts) + "." if parts else "No board could be measured and searched."


def speeds(data: ComparisonData) -> list[str]:
    """Return how long a typical network takes on each board, against the first."""
    first = data.boards[0].target if data.boards else ""
    sentences = []
    for target, value in data.speeds.items():
        slow, fast, shown = _larger_first(target, first, value)
        sentences.append(
            f"The same network typically takes {times(shown, 3)} as long on {slow} as on {fast} "
            f"(geometric mean over {counted(data.n_common, 'network')} that every board measured)."
        )
    return sentences


def differences(data: ComparisonData, most: int = 8) -> list[str]:
    """Return where boards differ by more than their speed, the largest difference first."""
    first = data.boards[0].target if data.boards else ""
    differences = []
    for choice in data.choices:
        for target, value in choice.ratios.items():
            speed = data.speeds.get(target)
            if speed is None or not beyond_speed(value, speed):
                continue
            relative = abs(math.log(value.mean / speed.mean)) if value.mean > 0 else math.inf
            differences.append((relative, _difference(choice, first, target, value, speed)))
    differences.sort(key=lambda item: -item[0])
    return [text for _, text in differences[:most]]


def beyond_speed(value: Interval, speed: Interval) -> bool:
    """Return whether a choice's ratio differs from the boards' ratio of speed."""
    return value.lower > speed.upper or value.upper < speed.lower


def times(value: Interval, digits: int = 2) -> str:
    """Return "3.1 times (2.7 to 3.6)"."""
    mean = numbers.significant(value.mean, digits)
    return f"{mean} times ({numbers.bounds((value.lower, value.upper), value.mean, digits)})"


def _difference(
    choice: ComparedChoice, first: str, target: str, value: Interval, speed: Interval
) -> str:
    change = choice.change[0].upper() + choice.change[1:]
    if value.lower <= 0:
        on_first = numbers.effect(choice.effects[first])
        on_other = numbers.effect(choice.effects[target])
        return f"{change}: {on_first} ms on {first}, but {on_other} ms on {target}."
    verb = "costs" if choice.effects[first].mean > 0 else "saves"
    dear, cheap, shown = _larger_first(target, first, value)
    _, _, usual = (dear, cheap, speed if dear == target else inverse(speed))
    return (
        f"{change} {verb} {times(shown)} as much on {dear} as on {cheap}, "
        f"where a whole network takes {numbers.significant(usual.mean, 2)} times as long."
    )


def _larger_first(target: str, first: str, value: Interval) -> tuple[str, str, Interval]:
    return (target, first, value) if value.mean >= 1 else (first, target, inverse(value))


def inverse(value: Interval) -> Interval:
    """Return the ratio the other way round; the bounds must be positive."""
    return Interval(1 / value.mean, 1 / value.upper, 1 / value.lower)
