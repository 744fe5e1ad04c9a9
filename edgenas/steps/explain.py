"""explain: what the predictors say of every choice, and what int8 costs each layer of the winner.

Writes explanation.json and, once there is a winner, models/NAME.layers.json.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgenas import int8_layers, pathology
from edgenas.marginal import changes
from edgenas.predictor_report import coefficients, effects, held_out
from edgenas.predictors.base import FittedPredictor
from edgenas.predictors.explain import breakdown, diagnostics
from edgenas.records import Architecture, Interval, to_json
from edgenas.reporting.document import (
    FittedRow,
    MarginalEffect,
    PredictorReport,
)
from edgenas.responses import REGISTRY, Observed, ResponseKind
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json
from edgenas.term_rows import TermRows


def run(context: RunContext) -> list[PredictorReport]:
    """Explain the predictors over the architectures that were measured or evaluated.

    Latency, accuracy and what the run asks for in full; the others by their errors alone.
    """
    in_full = {"latency_ms", "accuracy"} | context.config.responses
    reports = [
        _explain(context, predictor, REGISTRY[name], name in in_full)
        for name, predictor in context.predictors().fitted.items()
    ]
    write_json(context.folder.explanation, to_json(reports))
    int8_layers.find(context)
    return reports


def _explain(
    context: RunContext, predictor: FittedPredictor, kind: ResponseKind, in_full: bool
) -> PredictorReport:
    confidence, observed = context.config.confidence, context.observed(kind.name)
    rows = TermRows(context.space, kind.source)
    architectures = list(observed)
    matrix = rows.matrix(architectures)
    return PredictorReport(
        response=predictor.name,
        label=kind.label,
        unit=predictor.unit,
        n=predictor.n,
        confidence=confidence,
        heldout=held_out(predictor),
        coefficients=coefficients(predictor, matrix, confidence, _group) if in_full else (),
        effects=_effects(predictor, rows, architectures, confidence) if in_full else (),
        rows=_rows(predictor, matrix, observed, confidence),
        breakdown=_breakdown(context, predictor, rows) if in_full else (),
        notes=(
            *(pathology.sentences(context) if kind.name == "latency_ms" else ()),
            *diagnostics(
                predictor.predict(matrix),
                np.array([value for value, _ in observed.values()]),
                predictor.leverage(matrix),
                [str(architecture) for architecture in architectures],
                predictor.spread,
            ),
        ),
    )


def _breakdown(
    context: RunContext, predictor: FittedPredictor, rows: TermRows
) -> tuple[MarginalEffect, ...]:
    """Return the parts of the winner; of the best candidate where none is verified; or none."""
    architecture = context.best()
    if architecture is None:
        return ()
    groups: dict[str, list[int]] = {}
    for index, name in enumerate(rows.terms.names):
        if name.startswith("stage"):
            groups.setdefault(_group(name), []).append(index)
    row = rows.row(architecture)
    return tuple(
        MarginalEffect(share.group, share.mean, share.lower, share.upper, predictor.unit)
        for share in breakdown(predictor, row, groups, context.config.confidence)
    )


def _group(term: str) -> str:
    """Return "stage 1" for a term of the first stage, "" for one of the whole network."""
    stage, dot, _ = term.partition(".")
    return f"stage {int(stage.removeprefix('stage')) + 1}" if dot else ""


def _effects(
    predictor: FittedPredictor,
    rows: TermRows,
    architectures: list[Architecture],
    confidence: float,
) -> tuple[MarginalEffect, ...]:
    found = changes(rows, architectures)
    differences = np.array([change.difference for change in found])
    texts = [change.text for change in found]
    return effects(predictor, texts, differences, confidence, predictor.unit)


def _rows(
    predictor: FittedPredictor,
    matrix: np.ndarray,
    observed: Mapping[Architecture, Observed],
    confidence: float,
) -> tuple[FittedRow, ...]:
    predicted = predictor.get_prediction(matrix, confidence)
    return tuple(
        FittedRow(
            architecture,
            Interval(
                float(predicted.mean[i]), float(predicted.lower[i]), float(predicted.upper[i])
            ),
            *observed[architecture],
        )
        for i, architecture in enumerate(observed)
    )
