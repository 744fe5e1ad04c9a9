"""fit: predictors of latency and accuracy from what was measured. Writes predictors/*.json."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from edgenas import plugins
from edgenas.errors import PredictorError
from edgenas.predictors.base import FittedPredictor, TrainingData
from edgenas.records import Architecture
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json
from edgenas.term_rows import TermRows

PREDICTOR = "regression"
LEAST_ROWS = 8
# response -> (its unit, the terms that explain it)
RESPONSES = {"latency_ms": ("ms", "physical"), "accuracy": ("fraction", "choices")}


def run(context: RunContext) -> dict[str, Any]:
    """Fit a predictor for each response from the rows in the store; return its held-out errors.

    Raises
    ------
    PredictorError : too few rows; the message says which step adds more.
    """
    measured = context.latencies()
    evaluated = context.evaluations()
    rows = {
        "latency_ms": (
            list(measured),
            [median_ms for median_ms, _ in measured.values()],
            "measure --samples",
        ),
        "accuracy": (
            [e.architecture for e in evaluated],
            [e.int8_accuracy for e in evaluated],
            "evaluate --evaluate",
        ),
    }
    errors = {}
    for name, (architectures, response, more) in rows.items():
        if len(architectures) < LEAST_ROWS:
            raise PredictorError(
                f"{context.folder.path} has {len(architectures)} rows of {name}; "
                f"a fit takes {LEAST_ROWS} or more.",
                f"Run: edgenas {more} N {context.folder.path}",
            )
        predictor = _fit(context, name, architectures, response)
        write_json(context.folder.predictors / f"{name}.json", predictor.to_json())
        if predictor.heldout is not None:
            errors[name] = predictor.heldout
    return {name: asdict(held_out) for name, held_out in errors.items()}


def _fit(
    context: RunContext, name: str, architectures: Sequence[Architecture], response: list[float]
) -> FittedPredictor:
    unit, set_name = RESPONSES[name]
    rows = TermRows(context.space, set_name)
    matrix, terms = rows.matrix(architectures), rows.terms
    data = TrainingData(name, unit, terms.names, matrix, np.array(response), cost=terms.cost)
    predictor: FittedPredictor = plugins.load("predictors", PREDICTOR).fit(
        data, context.config.seed
    )
    return predictor
