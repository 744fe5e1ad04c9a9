"""The steps as commands: each works on one run folder and can be repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgenas.cli.options import EVERY_OPTION, access, config_options, given, json_option
from edgenas.cli.progress_bars import Bars
from edgenas.cli.render import emit_json, step_result

FAILED_VERIFICATION = 1


def run_step(name: str, run: Path, options: dict[str, Any], as_json: bool) -> None:
    """Run one step on the run folder `run` and show its result; exits 1 if it does not pass."""
    from edgenas import pipeline

    bars = Bars()
    allowed = access(options, bars.message)
    document = pipeline.run_step(name, run, given(options), bars, allowed)
    if not document:
        return  # not the first of several processes
    if as_json:
        emit_json(document)
    else:
        step_result(name, document)
    if document.get("status") == "fail":
        raise click.exceptions.Exit(FAILED_VERIFICATION)


def _command(name: str, purpose: str, *shown: str) -> click.Command:
    @click.argument("run", type=click.Path(path_type=Path, file_okay=False))
    @config_options(*shown)
    @json_option
    def step(run: Path, as_json: bool, **options: Any) -> None:
        run_step(name, run, options, as_json)

    text = f"{purpose}\n\n\b\nExample:\n  edgenas {name} runs/pi4\n"
    return click.command(name=name, help=text, epilog=EVERY_OPTION)(step)


measure = _command(
    "measure",
    "Time sampled subnets as int8 on the target.",
    *("target", "engine", "space", "samples", "device_time_s", "seed"),
)
evaluate = _command(
    "evaluate", "Evaluate sampled subnets with inherited weights.", "evaluate", "seed"
)
export = _command("export", "Export the candidates of the search as int8 models.", "finetune")
report = _command("report", "Write the report, one self-contained page.")
