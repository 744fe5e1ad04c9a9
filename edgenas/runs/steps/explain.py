"""explain: what the predictors say of every choice, and what int8 costs each layer of the winner.

Writes explanation.json and, once a board has a winner, models/NAME.layers.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edgenas.core.readings import Observed
from edgenas.core.records import Interval
from edgenas.explain.choices import Change
from edgenas.explain.diagnostics import diagnostics
from edgenas.explain.rows import coefficients, effects
from edgenas.predictors.base import Additive, FittedPredictor
from edgenas.reporting.document import FittedRow, MarginalEffect, PredictorReport
from edgenas.runs.run import RunContext
from edgenas.runs.sources.base import Source

NOT_ADDITIVE = "This predictor is no sum over the choices: no choice has one price."


def run(context: RunContext) -> list[PredictorReport]:
    """Explain the predictors over the networks that were measured or evaluated.

    What the run asks for in full; the others by their errors alone.
    """
    source, confidence = context.source, context.config.confidence
    reports = [
        _explain(source, name, predictor, confidence)
        for name, predictor in source.explained().items()
    ]
    certain = source.certainty()
    if certain is not None and reports:
        context.progress.message(certain.sentence())
        reports[0] = replace(reports[0], notes=(certain.sentence(), *reports[0].notes))
    context.write(tuple(reports))
    source.explain_models()
    return reports


def _explain(
    source: Source[Any], name: str, predictor: FittedPredictor, confidence: float
) -> PredictorReport:
    metric, observed, in_full = (
        source.metrics[name],
        source.explained_rows(name),
        source.in_full(name),
    )
    networks = list(observed)
    matrix = source.matrix(name, networks)
    additive = predictor if isinstance(predictor, Additive) else None
    shown = additive if in_full else None
    changes = source.changes(name, networks) if shown else []
    return PredictorReport(
        response=name,
        label=metric.label,
        unit=metric.unit,
        n=predictor.n,
        confidence=confidence,
        heldout=predictor.heldout,
        coefficients=coefficients(shown, matrix, confidence, source.group) if shown else (),
        effects=_effects(shown, changes, confidence, metric.unit) if shown else (),
        rows=_rows(source, predictor, matrix, observed, confidence),
        breakdown=source.breakdown(name, matrix) if shown else (),
        shapes=source.shapes(name, changes) if shown else None,
        notes=(
            *source.notes(name),
            *(
                diagnostics(
                    predictor.predict(matrix),
                    np.array([value for value, _ in observed.values()]),
                    *source.influence(name, networks, matrix),
                    spread=additive.spread,
                )
                if additive is not None
                else (NOT_ADDITIVE,)
            ),
        ),
    )


def _effects(
    predictor: Additive, changes: Sequence[Change], confidence: float, unit: str
) -> tuple[MarginalEffect, ...]:
    differences = np.array([one.difference for one in changes])
    return effects(predictor, [one.text for one in changes], differences, confidence, unit)


def _rows(
    source: Source[Any],
    predictor: FittedPredictor,
    matrix: np.ndarray,
    observed: Mapping[Any, Observed],
    confidence: float,
) -> tuple[FittedRow, ...]:
    predicted = predictor.get_prediction(matrix, confidence)
    bounds = zip(
        *(x.tolist() for x in (predicted.mean, predicted.lower, predicted.upper)), strict=True
    )
    return tuple(
        FittedRow(source.network_of_row(network), Interval(*interval), *observed[network])
        for network, interval in zip(observed, bounds, strict=True)
    )
