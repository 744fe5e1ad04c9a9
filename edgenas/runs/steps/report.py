"""report: what the run found, as one self-contained page. Writes report.html."""

from __future__ import annotations

from edgenas.core.files.run_folder import write_text
from edgenas.runs.run import RunContext


def run(context: RunContext) -> str:
    """Write the page from the files of the run; return its path."""
    write_text(context.folder.report, context.source.page())
    return str(context.folder.report)
