"""Options that several commands share, and how their values are read."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import click

from edgenas import plugins
from edgenas.errors import InputError, nearest

if TYPE_CHECKING:
    from edgenas.targets.config import Access

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
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:e[-+]?[0-9]+)?)\s*([a-z%]*)\s*", value)
        if match is None or match.group(2) not in {"", *self._units}:
            self.fail(f"'{value}' is not a {self.name}; write {self._examples}", param, ctx)
        return float(match.group(1)) * self._units.get(match.group(2), 1.0)


MILLISECONDS = Quantity("duration", {"us": 1e-3, "ms": 1.0, "s": 1e3}, "2ms, 350us or 1.5s")
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


# The options of RunConfig by name; None means: not given (the run's own value, or the default).
TARGET_HELP = "Target: a name in targets/, user@host, or a .toml file"
ENGINE_HELP = "Inference engine, such as onnxruntime or litert"
CONFIG_OPTIONS = {
    "data": option("--data", help="digits, imagefolder:DIR or hf:NAME_OR_PATH.  [digits]"),
    "space": option("--space", type=PluginName("spaces"), help="Search space.  [mbv3-tiny]"),
    "max_latency_ms": option(
        "--max-latency",
        "max_latency_ms",
        type=MILLISECONDS,
        help="Limit, such as 2ms.  [half-way between least and greatest predicted, without kernel "
        "sizes that the engine is slow at]",
    ),
    "confidence": option("--confidence", type=float, help="Of the upper prediction bound.  [0.95]"),
    "samples": option("--samples", type=int, help="Subnets measured on the target.  [40]"),
    "target_mape": option(
        "--target-mape",
        type=SHARE,
        help="Measure more subnets until the held-out error is this small, such as 3%.",
    ),
    "device_time_s": option(
        "--device-time",
        "device_time_s",
        type=SECONDS,
        help="Time on the target after which measuring stops.  [10m]",
    ),
    "evaluate": option("--evaluate", type=int, help="Subnets whose accuracy is evaluated.  [64]"),
    "epochs": option("--epochs", type=int, help="Of supernet training.  [by data set]"),
    "batch_size": option(
        "--batch-size", type=int, help="Images of a step of supernet training.  [64]"
    ),
    "supernet": option(
        "--supernet",
        help="Pretrained, instead of training one: a name such as cifar10, or a file.",
    ),
    "finetune": option(
        "--finetune",
        type=int,
        help="Epochs that each candidate is trained alone; kept if it is better.  [0]",
    ),
    "top": option("--top", type=int, help="Candidates exported and verified.  [3]"),
    "seed": option("--seed", type=int, help="Of everything that is random.  [0]"),
    "optimizer": option(
        "--optimizer",
        "--method",
        "optimizer",
        type=PluginName("optimizers"),
        help="Search method.  [exact]",
    ),
    "objectives": option(
        "--objective",
        "objectives",
        multiple=True,
        metavar="RESPONSE",
        help="Response to optimize; again for a trade-off, the first decides.  [accuracy]",
    ),
    "constraints": option(
        "--constraint",
        "constraints",
        multiple=True,
        metavar="TEXT",
        help='Limit on a response, such as "energy_mj<=12" or "peak_rss<=64MB"; again for more; '
        '"none" drops those of the run.',
    ),
    "warm_start": option(
        "--warm-start",
        type=click.Path(file_okay=False),
        metavar="RUN",
        help="Learn from an earlier run, on this board or another.",
    ),
    "budget": option(
        "--budget", type=int, help="Evaluations that the search may spend.  [by method]"
    ),
    "reward": option(
        "--reward",
        help="Of the optimizer monas: mixed, power_limited, accuracy_floor; none drops that of the "
        "run.",
    ),
}
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


def config_options(*shown: str) -> Callable[[Command], Command]:
    """Return what adds the options of `RunConfig` and of access to a step's command.

    --help shows those that the step works by; the others are taken too, because `train` and
    `measure` may begin a run, and any step may change what the run is to do next.
    """

    def add(command: Command) -> Command:
        options = {
            "target": option("--target", help=f"{TARGET_HELP}.  [local]"),
            "engine": option("--engine", help=f"{ENGINE_HELP}.  [the target's]"),
            **CONFIG_OPTIONS,
        }
        for decorate in reversed(ACCESS_OPTIONS):
            command = decorate(hidden="target" not in shown)(command)
        for name, decorate in reversed(options.items()):
            command = decorate(hidden=name not in shown)(command)
        return command

    return add


def options_of_several_targets(command: Command) -> Command:
    """Add the options of `RunConfig` to a command that takes tuples of `targets` and `engines`."""
    for decorate in reversed(CONFIG_OPTIONS.values()):
        command = decorate()(command)
    engines = f"{ENGINE_HELP}; again for each further engine.  [the target's]"
    command = click.option("--engine", "engines", multiple=True, help=engines)(command)
    more = f"{TARGET_HELP}; again for each further board.  [local]"
    return click.option("--target", "targets", multiple=True, help=more)(command)


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the configuration options that the user gave."""
    names = ("target", "engine", *CONFIG_OPTIONS)
    asked = {name: options[name] for name in names if options.get(name) not in (None, ())}
    dropped = {"constraints": (("none",), ()), "reward": ("none", None)}
    return asked | {name: to for name, (said, to) in dropped.items() if asked.get(name) == said}


def refuse_others(options: dict[str, Any], known: Collection[str], what: str) -> None:
    """Raise `InputError` for an option of runs that `what` does not go by."""
    from edgenas.config import option_of

    others = sorted(given(options).keys() - set(known))
    if others:
        raise InputError(f"{option_of(others[0])} is of a run, not of {what}.", "Leave it out.")


def access_options(command: Command) -> Command:
    """Add what the user allows a remote target."""
    for decorate in reversed(ACCESS_OPTIONS):
        command = decorate()(command)
    return command


def access(options: dict[str, Any], told: Callable[[str], None]) -> Access:
    """Return what the user allows a remote target; passwords are asked for on a terminal only."""
    from edgenas.targets.config import Access

    def ask(prompt: str) -> str:
        return str(click.prompt(prompt, hide_input=True, err=True))

    return Access(
        accept_new_host_key=options["accept_new_host_key"],
        ask_password=ask if sys.stdin.isatty() else None,
        offline=options["offline"],
        told=told,
    )


json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
