"""Vocabularies of tables whose columns' names tell of no places, blocks or shared categories.

Nothing but the rows then says which columns matter, which bend the response, and which work
together. Each of these is a level that is tried; it stays if it takes enough off the errors of rows
that were left out of the choice of its widths, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edgenas.predictors.linear import effect_widths, names, shrinkage
from edgenas.predictors.linear.shrinkage import Level, Shrinkage
from edgenas.predictors.tables import curvature, interactions, power_sums
from edgenas.predictors.tables.main_terms import Vocabulary
from edgenas.predictors.tables.terms import Table

LEVELS, PLACES = {"own", "categories"}, {"shared", "smooth"}
# An optional level stays if it takes at least this share off the error of rows left out.
WORTHWHILE = 0.02
# Of many products, some fit a few rows by chance.
PRODUCTS_WORTHWHILE = 0.05
# Levels are chosen from so many rows; logarithms are of so many columns.
MOST_ROWS = 120
MOST_CURVES = 32
# How often widths by effect are found; more often pays, and is cheap, where rows are few.
TIMES, MORE_TIMES, FEW_ROWS = 2, 8, 120


@dataclass(frozen=True)
class _Tried:
    """A vocabulary, its variances, effects of its terms, and its squared error on rows left out."""

    vocabulary: Vocabulary
    chosen: Shrinkage
    effects: np.ndarray
    error: float


def maybe(vocabulary: Vocabulary) -> bool:
    """Return whether names of main terms may tell of no places, blocks or the like."""
    return not {level.name for level in vocabulary.levels} - LEVELS - PLACES


def nameless(vocabulary: Vocabulary, chosen: Shrinkage, response: np.ndarray) -> Vocabulary | None:
    """Return the main terms without what names tell of places, None if they tell something.

    Columns that are all called "x3" or the like may be one quantity in many places, or just
    columns: places count if they take enough off the leave-one-out error.
    """
    if not maybe(vocabulary):
        return None
    left = tuple(level for level in vocabulary.levels if level.name not in PLACES)
    if len(left) == len(vocabulary.levels):
        return vocabulary
    kinds = {names.parse(x.name).kind for x in vocabulary.atoms if x.kind == "column"}
    if len(kinds) > 1:
        return None
    alone = shrinkage.choose(vocabulary.matrix, response, left).projection.error()
    told = chosen.projection.error() < (1 - WORTHWHILE) ** 2 * alone
    return None if told else replace(vocabulary, levels=left)


def build(
    vocabulary: Vocabulary,
    table: Table,
    numeric: Sequence[str],
    response: np.ndarray,
    logarithm: bool = False,
) -> Vocabulary:
    """Return `vocabulary`, the main terms, with the levels that the rows of `response` [n] confirm.

    logarithm : `response` is one.
    """
    best = _tried(vocabulary, response)
    curved = curvature.add(vocabulary, table, _largest(best, numeric))
    mains = [vocabulary] if curved is None else [vocabulary, curved]
    few = [narrowed for x in mains for narrowed in _few(x, len(response))]
    best = _best(best, [*few, *mains[1:]], response)
    plain = interactions.add(best.vocabulary, best.effects, alike=True)
    if plain is not None:
        before = len(best.vocabulary.atoms)
        own = _own(plain, "interactions by own effect", before)
        best = _best(best, [plain, own], response, PRODUCTS_WORTHWHILE)
    summed = power_sums.of(vocabulary.atoms, table, np.exp(response)) if logarithm else None
    if summed is not None:
        for base in {
            id(x): x for x in (*mains, best.vocabulary)
        }.values():  # the fewest terms first
            best = _best(best, [summed.beside(base)], response, PRODUCTS_WORTHWHILE)
    given = best.vocabulary.levels, best.chosen.variances
    return replace(
        best.vocabulary, levels=effect_widths.inherit(best.vocabulary.matrix, response, *given)
    )


def _largest(tried: _Tried, numeric: Sequence[str]) -> tuple[str, ...]:
    """Return the numeric columns that may be curved: those of the largest effects."""
    effects = {a.name: x for a, x in zip(tried.vocabulary.atoms, tried.effects, strict=True)}
    ranked = sorted(numeric, key=lambda name: -effects.get(name, 0.0))
    return tuple(name for name in numeric if name in ranked[:MOST_CURVES])


def _few(vocabulary: Vocabulary, n: int) -> list[Vocabulary]:
    """Return it with terms as wide as their effects: a share of them, or few, may matter."""
    often = [TIMES] if n > FEW_ROWS else [TIMES, MORE_TIMES]
    return [_own(vocabulary, "by effect", times=times) for times in often]


def _own(vocabulary: Vocabulary, name: str, first: int = 0, times: int = 1) -> Vocabulary:
    """Return `vocabulary` with a level of its terms from `first` on, each as wide as its effect."""
    pairs = np.full((len(vocabulary.atoms), 2), -1)
    pairs[first:] = np.arange(first, len(pairs))[:, None]
    level = Level(name, np.zeros((len(pairs), 0)), pairs, times=times)
    return replace(vocabulary, levels=(*vocabulary.levels, level))


def _best(
    best: _Tried, others: Sequence[Vocabulary], response: np.ndarray, worthwhile: float = WORTHWHILE
) -> _Tried:
    """Return the vocabulary of least error on rows left out, `best` unless one is worth it."""
    start = best
    for other in others:
        tried = _tried(other, response, start)
        if tried.error < (1 - worthwhile) ** 2 * start.error and tried.error < best.error:
            best = tried
    return best


def _tried(vocabulary: Vocabulary, response: np.ndarray, near: _Tried | None = None) -> _Tried:
    """Return `vocabulary` with its error; infinite if even rows that were seen do not favour it.

    near : with the first of its levels, whose variances are those to begin with.
    """
    start = np.zeros(len(vocabulary.levels))
    if near is not None:
        known = dict(
            zip((x.name for x in near.vocabulary.levels), near.chosen.variances, strict=True)
        )
        start = np.array([known.get(level.name, 0.0) for level in vocabulary.levels])
    part = shrinkage.sample(len(response), MOST_ROWS)
    here = vocabulary.matrix[part], response[part]
    levels = effect_widths.inherit(*here, vocabulary.levels, start)
    chosen = shrinkage.choose(*here, levels, start)
    effects = shrinkage.effects(here[0], levels, chosen)
    if near is not None and chosen.projection.error() >= near.chosen.projection.error():
        return _Tried(vocabulary, chosen, effects, np.inf)
    out = effect_widths.held_out(
        vocabulary.matrix, response, levels, chosen.variances, vocabulary.refound
    )
    error = float(np.mean((response[out.rows] - out.mean) ** 2))
    return _Tried(replace(vocabulary, levels=levels), chosen, effects, error)
