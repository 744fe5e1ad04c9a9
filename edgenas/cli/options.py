"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin

import click
from click.shell_completion import CompletionItem

from edgenas.cli.completion import (
    RunPath,
    complete_data,
    complete_engine,
    complete_supernet,
    complete_target,
)
from edgenas.core import plugins
from edgenas.core.errors import InputError, nearest
from edgenas.core.printable import printable
from edgenas.core.run_options import OPTIONS, TakenBy, help_of, kind_of, option_of, taken_by

Command = TypeVar("Command", bound=Callable[..., Any])


def option(*declarations: str, **attributes: Any) -> Callable[..., Callable[[Command], Command]]:
    """Return what makes the option, given `hidden` or nothing."""
    return partial(click.option, *declarations, **attributes)


class Quantity(click.ParamType):
    """A number with a unit, such as "2ms"; a plain number is in the unit that counts 1."""

    def __init__(self, name: str, units: dict[str, float], examples: str) -> None:
        self.name = name
        self._units = units
        self._examples = examples

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[-+]?[0-9]+)?)\s*([a-zA-Z%]*)\s*", value)
        if match is None or match.group(2) not in {"", *self._units}:
            self.fail(f"'{value}' is not a {self.name}; write {self._examples}", param, ctx)
        return float(match.group(1)) * self._units.get(match.group(2), 1.0)


class NumberList(click.ParamType):
    """Numbers with commas between them, such as "0.485,0.456,0.406"."""

    name = "numbers"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        if isinstance(value, tuple):
            return value
        try:
            numbers = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            numbers = ()
        if not numbers or not all(map(math.isfinite, numbers)):
            self.fail(f"'{value}' is no list of numbers; write 0.485,0.456,0.406", param, ctx)
        return numbers


MILLISECONDS = Quantity("duration", {"us": 1e-3, "ms": 1.0, "s": 1e3}, "2ms, 350us or 1.5s")
MILLIJOULES = Quantity("energy", {"uJ": 1e-3, "mJ": 1.0, "J": 1e3}, "2mJ, 500uJ or 0.1J")
SECONDS = Quantity("duration", {"s": 1.0, "m": 60.0, "h": 3600.0}, "10m or 90s")
SHARE = Quantity("share", {"%": 0.01}, "1% or 0.01")


class PluginName(click.ParamType):
    """The name of a member of a plug-in family; an unknown one names the nearest."""

    name = "name"

    def __init__(self, family: str) -> None:
        self.family = family

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        known = plugins.names(self.family)
        if value not in known:
            self.fail(f"'{value}' is unknown. {nearest(value, known)}", param, ctx)
        return str(value)

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        known = plugins.names(self.family)
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


class SpaceName(PluginName):
    """The name of a space, or a file that defines one."""

    def __init__(self) -> None:
        super().__init__("spaces")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if str(value).endswith(OPTIONS["space"].path_endings):
            return str(value)
        return super().convert(value, param, ctx)


_UNITS = {"ms": MILLISECONDS, "s": SECONDS, "%": SHARE}
_COMPLETED = {
    "target": complete_target,
    "engine": complete_engine,
    "data": complete_data,
    "supernet": complete_supernet,
}


def run_option(name: str, *, hidden: bool = False) -> Callable[[Command], Command]:
    """Return what adds one of `RunOptions`; None means: not given (the run's own value, or the
    default)."""
    said, kind = OPTIONS[name], kind_of(name)
    return click.option(
        *(option_of(name), *said.also, name),
        type=_type_of(name),
        multiple=get_origin(kind) is tuple,
        metavar=said.metavar,
        hidden=hidden,
        help=help_of(name),
        shell_complete=_COMPLETED.get(name),
    )


def _type_of(name: str) -> Any:
    said, kind = OPTIONS[name], kind_of(name)
    if said.unit:
        return _UNITS[said.unit]
    if said.family:
        return SpaceName() if said.family == "spaces" else PluginName(said.family)
    if get_origin(kind) is Literal:
        return click.Choice(get_args(kind))
    if name == "warm_start":
        return RunPath(str)
    return kind if kind in (int, float) else None


ACCESS_OPTIONS = [
    option(
        "--accept-new-host-key",
        is_flag=True,
        help="Trust a board's host key that is not in known_hosts yet, and remember it.",
    ),
    option("--offline", is_flag=True, help="Send a board only wheels from the cache."),
]
EVERY_OPTION = (
    "Takes the other options of edgenas search too: the run keeps them for the steps they are of."
)


def config_options(step: TakenBy) -> Callable[[Command], Command]:
    """Return what adds the options of a run and of access to a step's command.

    --help shows those that the step works by; the others are taken too, because `train` and
    `measure` may begin a run, and any step may change what the run is to do next.
    """
    shown = taken_by(step)

    def add(command: Command) -> Command:
        for decorate in reversed(ACCESS_OPTIONS):
            command = decorate(hidden="target" not in shown)(command)
        for name in reversed(OPTIONS):
            command = run_option(name, hidden=name not in shown)(command)
        return command

    return add


def options_of_several_targets(command: Command) -> Command:
    """Add the options of a run to a command that takes tuples of `targets` and `engines`."""
    for name in reversed(OPTIONS):
        if name in ("target", "engine"):
            more = f"; again for each further {'board' if name == 'target' else 'engine'}"
            decorate = click.option(
                *(option_of(name), f"{name}s"),
                multiple=True,
                shell_complete=_COMPLETED[name],
                help=help_of(name, more),
            )
        else:
            decorate = run_option(name)
        command = decorate(command)
    return command


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration options that the user gave."""
    asked = {name: options[name] for name in OPTIONS if options.get(name) not in (None, ())}
    dropped = {"constraints": (("none",), ()), "reward": ("none", None)}
    return asked | {name: to for name, (said, to) in dropped.items() if asked.get(name) == said}


def refuse_others(options: dict[str, Any], known: Collection[str], what: str) -> None:
    """Raise `InputError` for an option of runs that `what` does not go by."""
    others = sorted(given(options).keys() - set(known))
    if others:
        raise InputError(f"{option_of(others[0])} is of a run, not of {what}.", "Leave it out.")


def access_options(command: Command) -> Command:
    """Add what the user allows a remote target."""
    for decorate in reversed(ACCESS_OPTIONS):
        command = decorate()(command)
    return command


def access_given(options: dict[str, Any]) -> dict[str, Any]:
    """Return what the user allows a remote target, as functions of `edgenas` take it."""

    def ask(prompt: str) -> str:
        return str(click.prompt(printable(prompt), hide_input=True, err=True))

    return {
        "accept_new_host_key": options["accept_new_host_key"],
        "ask_password": ask if sys.stdin.isatty() else None,
        "offline": options["offline"],
    }


def _name_space(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    if value is not None:
        from edgenas.runs import commands

        commands.trust_space(Path(value))


def is_model(path: Path) -> bool:
    """Return whether a path that may be of a run names a model file."""
    return path.suffix.lower() in (".onnx", ".tflite") and not path.is_dir()


def preprocessing_options(command: Command) -> Command:
    """Add how images become the input of a model that the user brings: mean, std and labels."""
    options = (
        click.option(
            "--mean",
            type=NumberList(),
            help="Of a channel, of pixels from 0 to 1, such as 0.5,0.5,0.5.  [the file's metadata, "
            "or ImageNet's]",
        ),
        click.option(
            "--std", type=NumberList(), help="Of a channel, as the mean.  [as for the mean]"
        ),
        click.option(
            "--labels",
            type=click.Path(path_type=Path, dir_okay=False),
            help="The model's classes, a line each, in the order of its scores.  [the file's "
            "metadata, or the folders' order]",
        ),
    )
    for decorate in reversed(options):
        command = decorate(command)
    return command


space_file_option = click.option(
    "--space",
    metavar="FILE.py",
    expose_value=False,
    callback=_name_space,
    help="The file of the run's space, where that is Python: it runs only if you name it.",
)
overwrite_option = click.option(
    "--overwrite", is_flag=True, help="Replace a file of that name that edgenas did not write."
)
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
