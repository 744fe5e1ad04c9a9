"""Whether a response is fitted as it is, or its logarithm: effects that multiply become sums.

Times of networks of all sizes are products: twice the width and half the resolution are factors,
not milliseconds. Where the rows of a positive response say so, its logarithm is what terms are
summed to, and a coefficient of 0.01 is 1 %.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edgenas.predictors.linear import effect_widths, shrinkage
from edgenas.predictors.tables.main_terms import Vocabulary

# Responses within a factor of LEAST_RANGE are as well told by sums; over MOST_RANGE, the least are
# nothing rather than small. Fewer rows cannot tell.
LEAST_RANGE, MOST_RANGE, FEWEST = 3.0, 1e9, 12
# Logarithms are kept if they take this share off errors, in units and in shares of the response.
WORTHWHILE = 0.1
# If only a sum of products, one of thousands, speaks for logarithms, they must take so much off
# errors in units, too.
MULTIPLIED_WORTHWHILE = 0.15
# If the simple terms say so by this share, sums need not be built.
CERTAIN = 0.6
GREATEST = 230.0  # squares of what is farther out are infinite
ASTRAY = 20.0  # so far above all responses, a prediction is as bad as any
Build = Callable[[np.ndarray, bool], Vocabulary]


def choose(
    build: Build,
    simple: Callable[[], Vocabulary],
    multiplied: Callable[[], Vocabulary | None],
    response: np.ndarray,
) -> tuple[Vocabulary, bool]:
    """Return the vocabulary for responses [n], and whether it is of their logarithms.

    build : the vocabulary for responses, or for their logarithms, which is said. simple : terms
    that are enough to see which is worth building; multiplied : of logarithms, others that are.
    """
    least, greatest = float(response.min()), float(response.max())
    spread = least > 0 and LEAST_RANGE * least <= greatest <= MOST_RANGE * least
    if len(response) < FEWEST or not spread:
        return build(response, False), False
    logs, first = np.log(response), simple()
    plain = shrinkage.choose(first.matrix, response, first.levels).projection.left_out()
    factors = shrinkage.choose(first.matrix, logs, first.levels).projection.left_out()
    given = response, logs - factors, response - plain
    in_units = 0.0
    if not _better(*given, 0.0):
        if not _promises(multiplied(), response, response - plain):
            return build(response, False), False
        in_units = MULTIPLIED_WORTHWHILE
    factored = build(logs, True)
    if _better(*given, CERTAIN):
        return factored, True
    vocabulary = build(response, False)
    here, there = _held_out(vocabulary, response), _held_out(factored, logs)
    rows = response[here.rows]  # the same in both
    if _better(rows, there.mean, here.mean, WORTHWHILE, in_units):
        return factored, True
    return vocabulary, False


def measured(logs: np.ndarray) -> np.ndarray:
    """Return what `logs` are the natural logarithms of; farther out than numbers go, their end."""
    return np.asarray(np.exp(np.clip(logs, -GREATEST, GREATEST)))


def _better(
    response: np.ndarray, logs: np.ndarray, sums: np.ndarray, by: float, in_units: float = 0.0
) -> bool:
    """Return whether predicted logarithms err less than sums, by `in_units` there, and in the mean
    of units and shares by so much less."""
    greatest = response.max()
    factors = np.exp(np.minimum(logs, np.log(greatest) + ASTRAY))
    off = np.array([factors - response, sums - response]) / greatest
    units = np.sqrt(np.mean(off**2, axis=1))
    shares = np.sqrt(np.mean((off * (greatest / response)) ** 2, axis=1))
    less = units[0] < (1 - in_units) * units[1]
    return bool(less and units[0] * shares[0] < (1 - by) ** 2 * units[1] * shares[1])


def _promises(vocabulary: Vocabulary | None, response: np.ndarray, sums: np.ndarray) -> bool:
    """Return whether `vocabulary`, of logarithms, errs less than predicted `sums` [n]."""
    if vocabulary is None:
        return False
    here = _held_out(vocabulary, np.log(response))
    return _better(response[here.rows], here.mean, sums[here.rows], 0.0)


def _held_out(vocabulary: Vocabulary, response: np.ndarray) -> effect_widths.HeldOut:
    given = vocabulary.matrix, response, vocabulary.levels
    return effect_widths.held_out(*given, shrinkage.choose(*given).variances, vocabulary.refound)
