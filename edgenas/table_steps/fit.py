"""fit: a predictor of every response from what was looked up. Writes predictors/*.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from edgenas import table_predictors
from edgenas.errors import PredictorError
from edgenas.predictors.table import TableRegression
from edgenas.run_context import RunContext
from edgenas.run_folder import write_json

LEAST_ROWS = 8
# More rows than this make a fit slow and no more accurate.
MOST_ROWS = 500


def run(context: RunContext) -> dict[str, Any]:
    """Fit a predictor for each response of the table; return its held-out errors.

    Raises
    ------
    PredictorError : too few rows have a response.
    """
    replay, seed, errors = context.replay, context.config.seed, {}
    predictors: dict[str, TableRegression] = {}
    for name in sorted(replay.table.responses, key=lambda name: name == "accuracy"):
        known = replay.known(name)[:MOST_ROWS]
        if len(known) < LEAST_ROWS:
            raise PredictorError(
                f"{context.folder.path} has {len(known)} rows of {name}; "
                f"a fit takes {LEAST_ROWS} or more.",
                "Look more up with --samples and --evaluate.",
            )
        predictor = table_predictors.fit(replay.table, name, known, seed, predictors)
        predictors[name] = predictor
        write_json(context.folder.predictors / f"{name}.json", predictor.to_json())
        if predictor.regression.heldout is not None:
            errors[name] = asdict(predictor.regression.heldout)
    return errors
