"""edgenas dashboard: a page on this computer that shows the runs of a folder, live."""

from __future__ import annotations

from pathlib import Path

import click

from edgenas.cli.options import json_option
from edgenas.cli.terminal import emit_json, flush, say
from edgenas.runs import commands


@click.command()
@click.argument("folder", default=Path("runs"), type=click.Path(path_type=Path))
@click.option(
    "--port",
    default=0,
    type=click.IntRange(0, 65535),
    help="Port of this computer to listen on.  [default: a free one]",
)
@json_option
def dashboard(folder: Path, port: int, *, as_json: bool) -> None:
    """Serve a page that shows the runs in FOLDER, by default runs/, until Ctrl-C.

    Runs at work are shown live: their step, the time left, the best network so far, how warm the
    board is and how many timings do not count. Finished ones have their reports, and those that are
    ticked are compared. The page is only on this computer (127.0.0.1), its address has a secret
    token, and nothing can be changed or started from it.

    It needs: pip install 'edgenas[dashboard]'

    \b
    Examples:
      edgenas dashboard
      edgenas dashboard experiments --port 8000
    """

    def tell(address: str) -> None:
        if as_json:
            emit_json({"url": address})
        else:
            say(f"dashboard: {address}")
            say("Ctrl-C ends it.")
        flush()

    commands.dashboard(folder, port, tell)
