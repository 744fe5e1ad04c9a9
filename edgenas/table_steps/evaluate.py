"""evaluate: look accuracies up, of the networks looked up first. Adds to looked_up.json."""

from __future__ import annotations

import numpy as np

from edgenas import table_predictors
from edgenas.run_context import RunContext


def run(context: RunContext) -> int:
    """Look up accuracies until `evaluate` are; return how many were missing."""
    replay, config = context.replay, context.config
    target = replay.table.target
    shares = tuple(n for n in target.responses if target.response(n).unit == "fraction")
    if not shares:
        return 0
    looked_up = np.array([row.network.index for row in replay.rows()], np.int64)
    wanted = table_predictors.evaluated(replay.table, looked_up, config.evaluate, config.seed)
    known = replay.asked(shares[0])
    missing = wanted[~np.isin(wanted, known)]
    if known.size:
        context.reuse(f"{len(known)} of {len(known) + len(missing)} accuracies")
    replay.add_rows([replay.look_up(index, shares) for index in missing.tolist()])
    return len(missing)
