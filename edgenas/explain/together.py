"""What two choices do to a response together, beyond what each of them does alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from edgenas.core.records import Architecture, Option, StageChoice
from edgenas.explain.shapes import scale_and_unit
from edgenas.optimize.term_rows import TermRows
from edgenas.predictors.base import Additive
from edgenas.reporting.document import Interaction
from edgenas.spaces.stages import StageSpec, choice_in_words, stage_contains

MOST_MAPS = 6  # the greatest first
MOST_NETWORKS = 40  # that are averaged over, evenly of all
SIZE, DEPTH = "input", "blocks"

Place = tuple[int, StageChoice]  # an input size and what a stage is
Grid = np.ndarray  # float64 [first, second, p]: the mean row of terms at each pair of options


def interactions(
    rows: TermRows, predictor: Additive, architectures: Sequence[Architecture], confidence: float
) -> tuple[Interaction, ...]:
    """Return pairs of choices whose effect together is surely none of either alone.

    Each pair is the input size with a choice of a stage, or two choices of one block. A cell is
    what the predictor says there, less the means of its row and its column, averaged over the
    `architectures`; pairs of which every cell's interval has 0 in it are left out. A predictor
    whose terms are sums over choices alone has none.
    """
    scale, _ = scale_and_unit(predictor)
    step = max(1, -(-len(architectures) // MOST_NETWORKS))
    found = []
    for columns, options, grid in _pairs(rows, architectures[::step]):
        alone = grid.mean(axis=0, keepdims=True) + grid.mean(axis=1, keepdims=True)
        beyond = grid - alone + grid.mean(axis=(0, 1), keepdims=True)
        told = predictor.contrast(beyond.reshape(-1, beyond.shape[-1]), confidence)
        least = 1e-9 * float(np.abs(grid).max() or 1.0)
        certain = (told.lower > 0) | (told.upper < 0)
        if np.abs(beyond).max() <= least or not certain.any():
            continue
        sides = (told.mean, told.lower, told.upper)
        effect, lower, upper = (_table(scale * side, grid.shape[1]) for side in sides)
        found.append(Interaction(columns, options, effect, lower, upper))
    return tuple(sorted(found, key=_greatest, reverse=True)[:MOST_MAPS])


def _table(values: np.ndarray, n_columns: int) -> tuple[tuple[float, ...], ...]:
    rows: list[list[float]] = values.reshape(-1, n_columns).tolist()
    return tuple(map(tuple, rows))


def _greatest(one: Interaction) -> float:
    return max(abs(effect) for row in one.effect for effect in row)


def _pairs(
    rows: TermRows, architectures: Sequence[Architecture]
) -> Iterator[tuple[tuple[str, str], tuple[tuple[float | str, ...], ...], Grid]]:
    """Yield two choices in words, their options, and their grid, where it can be made."""
    for stage, spec in enumerate(rows.space.stages):
        options = {SIZE: rows.space.resolutions, DEPTH: spec.depths, **spec.choices}
        several = {name: of for name, of in options.items() if len(of) > 1}
        places = [(a, block) for a in architectures for block in range(a.stages[stage].depth)]
        for first, second in itertools.combinations(several, 2):
            if first == DEPTH:
                continue  # a block that is there or not has no choice beside it
            pair = (several[first], several[second])
            tables = [
                [[rows.stage_row(size, stage, one) for size, one in line] for line in cells]
                for a, block in places
                if (cells := _cells(spec, a, stage, block, {first: pair[0], second: pair[1]}))
            ]
            if tables:
                words = (_in_words(spec, stage, first), _in_words(spec, stage, second))
                yield words, (_values(pair[0]), _values(pair[1])), np.mean(tables, axis=0)


def _cells(
    spec: StageSpec,
    architecture: Architecture,
    stage: int,
    block: int,
    pair: Mapping[str, Sequence[Option]],
) -> list[list[Place]] | None:
    """Return the input size and the stage at each pair of options; None where some are no choice.

    pair : the options of the first and of the second choice.
    """
    (first, above), (second, beside) = pair.items()
    own = (architecture.resolution, architecture.stages[stage])
    cells = []
    for one in above:
        at = _with_option(spec, own, block, first, one)
        cells.append([_with_option(spec, at, block, second, x) for x in beside])
    return cells if all(stage_contains(spec, x) for line in cells for _, x in line) else None


def _with_option(spec: StageSpec, at: Place, block: int, name: str, option: Option) -> Place:
    """Return the input size and the stage with one option of it, or of a block of the stage."""
    size, choice = at
    if name == SIZE:
        return int(option), choice
    chosen = choice.choices
    if name == DEPTH:
        deep = int(option)
        blocks = {one: (*of[:deep], *of[-1:] * (deep - len(of))) for one, of in chosen.items()}
        return size, StageChoice.of(blocks)
    alike = name in spec.stage_wide
    of_blocks = [option if alike or i == block else x for i, x in enumerate(chosen[name])]
    return size, StageChoice.of({**chosen, name: of_blocks})


def _in_words(spec: StageSpec, stage: int, name: str) -> str:
    if name == SIZE:
        return "input (px)"
    if name == DEPTH or name in spec.stage_wide:
        return f"{choice_in_words(name)} of stage {stage + 1}"
    return f"{choice_in_words(name)} in one block of stage {stage + 1}"


def _values(options: Sequence[Option]) -> tuple[float | str, ...]:
    return tuple(one if isinstance(one, str) else float(one) for one in options)
