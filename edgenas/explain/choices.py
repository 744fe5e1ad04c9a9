"""What one choice costs: pairs of architectures that differ in that choice alone, averaged."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from edgenas.core.records import Architecture, Option, StageChoice
from edgenas.optimize.term_rows import TermRows
from edgenas.spaces.base import MobileSpace
from edgenas.spaces.stages import change_in_words, choice_in_words

Pair = tuple[Architecture, Architecture]


@dataclass(frozen=True)
class Change:
    """A change in words, and the mean row of term differences it makes, float64 [p].

    of : the choice in words, where it is one of numbers; values : those before and after.
    """

    text: str
    difference: np.ndarray
    of: str = ""
    values: tuple[float, ...] = ()


def changes(rows: TermRows, architectures: Sequence[Architecture]) -> list[Change]:
    """Return the change of every choice of the space, averaged over where it can be made.

    `architectures` say what is typical: the mean is over their stages and blocks.
    """
    found = []
    for text, of, values, pairs in _all_pairs(rows.space, architectures):
        differences = [rows.row(after) - rows.row(before) for before, after in pairs]
        if differences:
            found.append(Change(text, np.mean(differences, axis=0), of, values))
    return found


def _all_pairs(
    space: MobileSpace, architectures: Sequence[Architecture]
) -> Iterator[tuple[str, str, tuple[float, ...], list[Pair]]]:
    """Yield each change with its choice and values (see `Change`), and where it can be made."""
    for before, after in _adjacent(space.resolutions):
        at = (a.resized(before) for a in architectures)
        text = f"input of {after} px instead of {before} px"
        yield text, "input (px)", (before, after), [(a, a.resized(after)) for a in at]
    for stage, spec in enumerate(space.stages):
        yield f"one more block in stage {stage + 1}", "", (), _deeper(space, architectures, stage)
        for name, options in spec.choices.items():
            for few, more in itertools.pairwise(options):
                where = f"in one block of stage {stage + 1}"
                pairs = _with_option(space, architectures, stage, name, (few, more))
                numbers = tuple(float(one) for one in (few, more) if isinstance(one, int))
                of = f"{choice_in_words(name)} {where}" if len(numbers) == len((few, more)) else ""
                yield f"{change_in_words(name, few, more)} {where}", of, numbers, pairs


def _deeper(space: MobileSpace, architectures: Sequence[Architecture], stage: int) -> list[Pair]:
    deepest = space.stages[stage].depths[-1]

    def one_more(choice: StageChoice) -> list[StageChoice]:
        if choice.depth == deepest:
            return []
        return [StageChoice.of({name: (*of, of[-1]) for name, of in choice.choices.items()})]

    return _pairs(space, architectures, stage, one_more)


def _with_option(
    space: MobileSpace,
    architectures: Sequence[Architecture],
    stage: int,
    name: str,
    values: tuple[Option, Option],
) -> list[Pair]:
    def changed(choice: StageChoice) -> list[StageChoice]:
        options = _replaced(choice.choices[name], values)
        return [StageChoice.of({**choice.choices, name: of}) for of in options]

    return _pairs(space, architectures, stage, changed)


def _pairs(
    space: MobileSpace,
    architectures: Sequence[Architecture],
    stage: int,
    changed: Callable[[StageChoice], list[StageChoice]],
) -> list[Pair]:
    pairs = []
    for before in architectures:
        stages = before.stages
        for choice in changed(stages[stage]):
            new = (*stages[:stage], choice, *stages[stage + 1 :])
            after = Architecture.of(before.space, before.resolution, new)
            if space.contains(after):
                pairs.append((before, after))
    return pairs


def _replaced(
    options: tuple[Option, ...], values: tuple[Option, Option]
) -> list[tuple[Option, ...]]:
    """Return `options` with one of the first value made the second, once for each place."""
    before, after = values
    places = (place for place, option in enumerate(options) if option == before)
    return [(*options[:place], after, *options[place + 1 :]) for place in places]


def _adjacent(options: tuple[int, ...]) -> Iterator[tuple[int, int]]:
    return itertools.pairwise(options)
