"""Targets as such: what they are, which files come with edgenas, and what is kept on a board."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgenas.cli.options import access_given, access_options, json_option
from edgenas.cli.progress_bars import Bars
from edgenas.cli.show import step_result
from edgenas.cli.terminal import emit_json, say
from edgenas.core.errors import InputError, nearest
from edgenas.core.files.run_folder import RunFolder
from edgenas.runs import commands


@click.command()
@click.argument("where", required=False)
@click.option("--target", "named", help="The same as WHERE.")
@access_options
@json_option
def probe(where: str | None, named: str | None, as_json: bool, **options: Any) -> None:
    """Look at a target: machine, engines, sensors, and what would spoil a measurement.

    WHERE is a target (a name, user@host, or a .toml file) or a run folder.  [local]

    \b
    Examples:
      edgenas probe
      edgenas probe pi@raspberrypi.local --accept-new-host-key
      edgenas probe runs/pi4
    """
    if where and named:
        raise click.UsageError("Give the target once: as WHERE, or with --target.")
    where = where or named or "local"
    if RunFolder(Path(where)).config.exists():
        from edgenas.cli.steps import run_step

        run_step("probe", Path(where), options, as_json)
        return
    profile = commands.probe(where, Bars(), **access_given(options))
    if as_json:
        emit_json(profile)
    else:
        step_result("probe", {"result": profile})


@click.group()
def target() -> None:
    """Target files that come with edgenas, and what it keeps on a board.

    \b
    Examples:
      edgenas target list
      edgenas target show raspberrypi5 > my-raspberrypi5.toml
      edgenas target clean pi@raspberrypi.local
    """


@target.command(name="list")
@json_option
def list_(as_json: bool) -> None:
    """List the target files that come with edgenas."""
    first_lines = {
        name: text.partition("\n")[0].removeprefix("# ")
        for name, text in commands.target_files().items()
    }
    if as_json:
        emit_json({"targets": first_lines})
        return
    for name, about in first_lines.items():
        say(f"{name:18} {about}")


@target.command()
@click.argument("name")
def show(name: str) -> None:
    """Print a target file that comes with edgenas, to copy and change."""
    known = commands.target_files()
    if name not in known:
        raise InputError(f"edgenas ships no target file '{name}'.", nearest(name, known))
    for line in known[name].splitlines():
        say(line)


@target.command()
@click.argument("where")
@access_options
@json_option
def clean(where: str, as_json: bool, **options: Any) -> None:
    """Remove all that edgenas keeps on a target."""
    done = commands.clean(where, Bars(), **access_given(options))
    if as_json:
        emit_json({"target": where, "done": done})
    else:
        say(done)
