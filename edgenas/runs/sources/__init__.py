"""Who answers what a run asks: `source_of` a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgenas.targets.table import target_file

if TYPE_CHECKING:
    from edgenas.runs.run import RunContext
    from edgenas.runs.sources.base import Source


def source_of(run: RunContext) -> Source[Any]:
    """Return the source of a run: the measured table that its target is, or else its board."""
    if target_file.is_table(run.config.target) or run.folder.table.exists():
        from edgenas.runs.sources.table import Table

        return Table(run)
    from edgenas.runs.sources.board import Board

    return Board(run)
