"""probe: read the table. Writes table.json."""

from __future__ import annotations

from edgenas.records.tables import TableCard
from edgenas.run_context import RunContext
from edgenas.table_run import card


def run(context: RunContext) -> TableCard:
    """Read the run's table; what it lacks becomes warnings."""
    found = card(context.replay.table)
    for response in found.responses:
        missing = found.networks - response.n
        if missing:
            context.progress.warning(
                f"The table has no {response.name} of {missing} of its {found.networks} networks."
            )
    return found
