"""report: what a search on a table found, as one self-contained page. Writes report.html."""

from __future__ import annotations

from edgenas.errors import RunFolderError
from edgenas.records import from_json
from edgenas.reporting.document import PredictorReport
from edgenas.reporting.replay_page import render
from edgenas.reporting.replayed import ReplayData
from edgenas.reproduction import command
from edgenas.run_context import RunContext
from edgenas.run_folder import read_json, write_bytes
from edgenas.versions import installed


def run(context: RunContext) -> str:
    """Write the page from the files of the run; return its path."""
    replay, notes, folder = context.replay, context.notes(), context.folder
    path = folder.require(folder.explanation, "explain")
    data = ReplayData(
        run=str(folder.path),
        command=command(context),
        seed=context.config.seed,
        card=replay.stored_card(),
        search=replay.search_result(),
        verdict=replay.verdict(),
        rows=replay.rows(),
        predictors=from_json(
            read_json(path), tuple[PredictorReport, ...], str(path), RunFolderError
        ),
        versions=installed(),
        seconds=notes.seconds,
        warnings=notes.warnings,
        reused=notes.reused,
    )
    write_bytes(folder.report, render(data).encode())
    return str(folder.report)
