"""probe: look at the target, and at a run's start decide its engine. Writes profile.json."""

from __future__ import annotations

from typing import Any

from edgenas.runs.run import RunContext


def run(context: RunContext) -> Any:
    """Return what the target is: a machine, or a table; its problems become warnings."""
    return context.source.probe()
