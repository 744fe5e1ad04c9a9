"""A fitted predictor as the rows of a report: coefficients and effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from edgenas.core.records.fitted import Coefficient
from edgenas.predictors.base import Additive
from edgenas.reporting.document import MarginalEffect


def coefficients(
    predictor: Additive,
    matrix: np.ndarray,
    confidence: float,
    group: Callable[[str], str] = lambda term: "",
) -> tuple[Coefficient, ...]:
    """Return the coefficient table. matrix : [n, p] of the fitted rows; group : of a term."""
    spread = dict(zip(predictor.terms, matrix.std(axis=0, ddof=1), strict=True))
    return tuple(
        replace(
            line,
            term_sd=float(spread[line.name]) if line.name in spread else None,
            group=group(line.name),
        )
        for line in predictor.coefficients(confidence)
    )


def effects(
    predictor: Additive,
    texts: Sequence[str],
    differences: np.ndarray,
    confidence: float,
    unit: str,
) -> tuple[MarginalEffect, ...]:
    """Return what each change does. differences : [n, p], of the terms, one row a change."""
    found = predictor.contrast(differences, confidence)
    columns = (found.mean.tolist(), found.lower.tolist(), found.upper.tolist())
    return tuple(
        MarginalEffect(text, mean, lower, upper, unit)
        for text, mean, lower, upper in zip(texts, *columns, strict=True)
    )
