"""optimize: the best networks within the limits, as predicted. Writes search.json."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from edgenas.runs.run import RunContext


def run(context: RunContext) -> Any:
    """Search for the run's objectives within its limits, on the upper and lower bounds.

    Without an objective: the greatest accuracy under a latency limit, which is half-way between
    the least and the greatest predicted latency unless the run has one.

    Raises
    ------
    InfeasibleError : no network meets the limits; says what each can reach.
    """
    config = context.config
    result = replace(
        context.source.search(),
        constraints=config.constraints,
        budget=config.budget,
        reward=config.reward,
    )
    context.write(result)
    context.source.warn_of_candidates(result)
    return result
