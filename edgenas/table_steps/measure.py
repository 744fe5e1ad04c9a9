"""measure: look chosen networks up, as if they were measured. Adds to looked_up.json."""

from __future__ import annotations

import numpy as np

from edgenas import table_predictors
from edgenas.errors import MeasurementError
from edgenas.run_context import RunContext
from edgenas.table_run import TableRun


def run(context: RunContext) -> int:
    """Look networks up until `samples` are; return how many were missing.

    All responses but accuracies, which `evaluate` looks up.

    Raises
    ------
    MeasurementError : the table lacks a response of every one of them.
    """
    replay = context.replay
    responses = costs(replay)
    known = replay.asked(responses[0]) if responses else np.array([], np.int64)
    missing = table_predictors.plan(
        replay.table, context.config.samples, context.config.seed, known
    )
    if known.size:
        context.reuse(f"{len(known)} of {len(known) + len(missing)} networks looked up")
    rows = [replay.look_up(index, responses) for index in missing.tolist()]
    replay.add_rows(rows)
    for row in rows:
        if row.status == "failed":
            context.progress.warning(f"{row.network} is missing: {row.reason}")
    for name in responses:
        if not replay.known(name).size:
            raise MeasurementError(
                f"{replay.table.target.path} has {name} of none of the "
                f"{len(replay.asked(name))} networks that were looked up.",
                "Look more up with --samples, or complete the table.",
            )
    return len(missing)


def costs(replay: TableRun) -> tuple[str, ...]:
    """Return the responses that a board would give."""
    target = replay.table.target
    return tuple(name for name in target.responses if target.response(name).unit != "fraction")
