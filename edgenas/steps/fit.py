"""fit: a predictor of each response that the target gave. Writes predictors/*.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from edgenas import plugins, warm_start
from edgenas.errors import PredictorError
from edgenas.predictors.base import TrainingData
from edgenas.records import Architecture
from edgenas.responses import REGISTRY, Observed, ResponseKind
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json
from edgenas.term_rows import TermRows

PREDICTOR = "regression"
LEAST_ROWS = 8
# What every run is asked for, with the step that adds rows of it.
NEEDED = {"latency_ms": "measure --samples", "accuracy": "evaluate --evaluate"}


def run(context: RunContext) -> dict[str, Any]:
    """Fit a predictor for each response from the rows in the store; return their held-out errors.

    Responses that follow exactly from the layers need none. One that the target did not give often
    enough, or that is the same for every network, has none either, unless the run asks for it.

    Raises
    ------
    PredictorError : too few rows; the message says which step adds more.
    """
    needed = set(NEEDED) | context.config.responses
    errors, gains = {}, {}
    priors = warm_start.priors(context)
    for name, kind in REGISTRY.items():
        if kind.counted is not None:
            continue
        rows = context.observed(name)
        path = context.folder.predictors / f"{name}.json"
        if name in needed:
            _check(context, kind, rows)
        elif len(rows) < LEAST_ROWS or np.ptp([value for value, _ in rows.values()]) == 0:
            path.unlink(missing_ok=True)
            continue
        data = _data(context, kind, rows)
        predictor: Any = None
        if name in priors and kind.source != "size":
            found = warm_start.fit_with(
                priors[name], data, str(context.config.warm_start), context.config.seed
            )
            if found is not None:
                predictor, gains[name] = found
        if predictor is None:
            predictor = plugins.load("predictors", PREDICTOR).fit(data, context.config.seed)
        write_json(path, predictor.to_json())
        if predictor.heldout is not None:
            errors[name] = asdict(predictor.heldout)
    if gains:
        warm_start.add(context, priors=gains)
    return errors


def _check(context: RunContext, kind: ResponseKind, rows: Mapping[Architecture, Observed]) -> None:
    if len(rows) < LEAST_ROWS:
        given = "" if kind.name in NEEDED or rows else f" '{context.target.name}' gave none."
        raise PredictorError(
            f"{context.folder.path} has {len(rows)} rows of {kind.name}; "
            f"a fit takes {LEAST_ROWS} or more.{given}",
            f"Run: edgenas {NEEDED.get(kind.name, 'measure --samples')} N {context.folder.path}",
        )


def _data(
    context: RunContext, kind: ResponseKind, rows: Mapping[Architecture, Observed]
) -> TrainingData:
    of = TermRows(context.space, kind.source)
    matrix, terms = of.matrix(list(rows)), of.terms
    response = np.array([value for value, _ in rows.values()], np.float64)
    return TrainingData(kind.name, kind.unit, terms.names, matrix, response, cost=terms.cost)
