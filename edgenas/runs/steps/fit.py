"""fit: a predictor of each metric that the source gave. Writes predictors/*.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from edgenas.core.counted import counted
from edgenas.core.errors import PredictorError
from edgenas.core.files.run_folder import write_json
from edgenas.runs.run import RunContext
from edgenas.runs.sources.base import LEAST_ROWS


def run(context: RunContext) -> dict[str, Any]:
    """Fit a predictor for each metric from what is known; return their held-out errors.

    A metric that the source did not give often enough, or that is the same for every network, has
    none, unless the run asks for it.

    Raises
    ------
    PredictorError : too few rows; the message says how more are had.
    """
    source, fitted, errors = context.source, dict[str, Any](), {}
    for name, is_needed in source.fitted_metrics().items():
        rows = source.observed(name)
        path = context.folder.predictor(name)
        if is_needed and len(rows) < LEAST_ROWS:
            raise PredictorError(
                f"{context.folder.path} has {counted(len(rows), 'row')} of {name}; "
                f"a fit takes {LEAST_ROWS} or more.",
                source.more_rows(name),
            )
        is_constant = not rows or np.ptp([value for value, _ in rows.values()]) == 0
        if not is_needed and (is_constant or len(rows) < LEAST_ROWS):
            path.unlink(missing_ok=True)
            continue
        fitted[name] = predictor = source.fit(name, rows, fitted)
        write_json(path, predictor.to_json())
        if predictor.heldout is not None:
            errors[name] = asdict(predictor.heldout)
    return errors
