"""Which architectures to measure: those that tell the predictor most, not random ones."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from edgenas.predictors import design, vocabulary
from edgenas.records import Architecture
from edgenas.spaces.base import MobileSpace
from edgenas.term_rows import TermRows


def plan(
    space: MobileSpace,
    pool: Sequence[Architecture],
    always: int,
    measured: Collection[Architecture],
    count: int,
) -> list[Architecture]:
    """Return architectures of `pool` to measure, so that `count` are measured in all.

    The first `always` of the pool are among them; the others are chosen by D-optimal design over
    the physical terms, given those that are measured already (docs/decisions.md has the gain).
    """
    known = [index for index, architecture in enumerate(pool) if architecture in measured]
    first = [index for index in range(min(always, count)) if index not in known]
    missing = min(count, len(pool)) - len(known) - len(first)
    if missing <= 0:
        return [pool[index] for index in first]
    rows = TermRows(space, "physical")
    matrix = rows.matrix(pool)
    prior = design.prior_rows(vocabulary.levels(rows.terms.names, matrix), matrix)
    chosen = design.choose(prior, missing, taken=np.array([*known, *first], int))
    return [pool[index] for index in (*first, *chosen.tolist())]
