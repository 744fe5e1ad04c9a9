"""A fitted predictor as the rows of a report: coefficients, held-out errors, effects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

import numpy as np

from edgenas.predictors.base import Additive, FittedPredictor
from edgenas.reporting.document import CoefficientRow, HeldOutErrors, MarginalEffect


def held_out(predictor: FittedPredictor) -> HeldOutErrors | None:
    """Return the errors on rows left out of the fit, None where there are none."""
    errors = predictor.heldout
    if errors is None:
        return None
    shown = (field.name for field in fields(HeldOutErrors))
    return HeldOutErrors(**{name: getattr(errors, name) for name in shown})


def coefficients(
    predictor: Additive,
    matrix: np.ndarray,
    confidence: float,
    group: Callable[[str], str] = lambda term: "",
) -> tuple[CoefficientRow, ...]:
    """Return the coefficient table. matrix : [n, p] of the fitted rows; group : of a term."""
    spread = dict(zip(predictor.terms, matrix.std(axis=0, ddof=1), strict=True))
    return tuple(
        CoefficientRow(
            name=line.name,
            coef=line.coef,
            bse=line.bse,
            tvalue=line.tvalue,
            pvalue=line.pvalue,
            conf_int=line.conf_int,
            vif=float(line.vif) if np.isfinite(line.vif) else None,
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
