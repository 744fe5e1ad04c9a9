"""report: what the run found, as one self-contained page. Writes report.html, node_data."""

from __future__ import annotations

from edgenas.core.files.run_folder import write_text
from edgenas.runs.models import node_data
from edgenas.runs.run import RunContext


def run(context: RunContext) -> str:
    """Write the page from the files of the run; return its path.

    Of a board's run, also what Model Explorer shows beside the model.
    """
    write_text(context.folder.report, context.source.page())
    if "export" in context.source.steps:
        node_data.write(context)
    return str(context.folder.report)
