"""The options of a run: what each is called, what it takes and what it means, said once.

`edgenas search` and its steps take them, and so do `edgenas.search` and `edgenas.toml`; run.json
keeps them. All follow from the fields of `RunOptions`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from edgenas.core.records.image_input import Fit

SMALLEST_SIZE, LARGEST_SIZE = 8, 320  # pixels a side of an image

# What takes an option: a step of a run, or a command that works without one.
TakenBy = Literal[
    "measure",
    "train",
    "train -o",
    "evaluate",
    "fit",
    "fit TABLE",
    "optimize",
    "optimize --predictors",
    "export",
    "verify",
    "report",
]


@dataclass(frozen=True)
class Option:
    """What is said of an option beside its name, type and default, which are those of its field.

    help : what it is; `default` : how its default is told, where that is not the value itself.
    flag, also : its names on the command line, where they do not follow from the field's.
    unit : "ms", "s" or "%", of a number that is written with its unit.
    family : of plug-ins that have such names.
    path_endings : a value that ends so is a path; "" : every one is.
    metavar : what stands for its value in --help.
    shown_by : who names it in --help; `edgenas search` names all.
    may_change : when a run that is gone on with may change it; else its finished work would mean
        something else.
    is_verified : a verification depends on it.
    is_of_tables : it means something to a search on a measured table, which has neither images nor
        a clock.
    must : what its value has to be, as a test and in words.
    """

    help: str
    default: str = ""
    flag: str = ""
    also: tuple[str, ...] = ()
    unit: str = ""
    family: str = ""
    path_endings: tuple[str, ...] = ()
    metavar: str | None = None
    shown_by: tuple[TakenBy, ...] = ()
    may_change: Literal["always", "before training", "never"] = "never"
    is_verified: bool = True
    is_of_tables: bool = True
    must: tuple[Callable[[Any], bool], str] | None = None


def _option(default: Any, help: str, shown: str = "", **more: Any) -> Any:
    return field(default=default, metadata={"option": Option(help, shown, **more)})


def _least(least: int, words: str) -> tuple[Callable[[Any], bool], str]:
    return lambda value: value >= least, f"be {least} {words}"


@dataclass(frozen=True)
class RunOptions:
    """The options of a run. None stands for what is chosen while it goes on, or for none at all."""

    target: str = _option(
        "local",
        "Target: a name in targets/, user@host, or a .toml file",
        path_endings=(".toml",),
        shown_by=("measure", "verify"),
    )
    engine: str | None = _option(
        None,
        "Inference engine, such as onnxruntime or litert",
        "the target file's, or the fastest",
        shown_by=("measure", "verify"),
        is_of_tables=False,
    )
    # another way to the same images: others are refused when they are loaded
    data: str = _option(
        "digits",
        "digits, imagefolder:DIR or hf:NAME_OR_PATH",
        shown_by=("train", "train -o"),
        may_change="always",
        is_verified=False,
        is_of_tables=False,
    )
    task: str = _option(
        "classification",
        "What is learnt of the images",
        family="tasks",
        shown_by=("train",),
        is_of_tables=False,
    )
    space: str = _option(
        "mbv3-tiny",
        "Search space, or a file that defines one: FILE.py, FILE.toml or, of shrink, FILE.json",
        family="spaces",
        path_endings=(".py", ".toml", ".json"),
        shown_by=("measure", "train", "train -o", "optimize", "optimize --predictors"),
        is_of_tables=False,
    )
    max_latency_ms: float | None = _option(
        None,
        "Limit, such as 2ms",
        "half-way between least and greatest predicted, without kernel sizes that the engine is "
        "slow at",
        flag="--max-latency",
        unit="ms",
        shown_by=("optimize", "optimize --predictors", "verify"),
        may_change="always",
        is_verified=False,
        must=(lambda limit: limit > 0, "be above 0 ms"),
    )
    confidence: float = _option(
        0.95,
        "Of the upper prediction bound",
        shown_by=("optimize",),
        may_change="always",
        must=(lambda share: 0.5 <= share < 1, "be between 0.5 and 1, such as 0.95"),
    )
    samples: int = _option(
        40,
        "Subnets measured on the target",
        shown_by=("measure",),
        may_change="always",
        is_verified=False,
        must=_least(8, "or more: fewer cannot be fitted"),
    )
    evaluate: int = _option(
        64,
        "Subnets whose accuracy is evaluated",
        shown_by=("evaluate",),
        may_change="always",
        is_verified=False,
        must=_least(8, "or more: fewer cannot be fitted"),
    )
    epochs: int | None = _option(
        None,
        "Of supernet training",
        "by data set",
        shown_by=("train", "train -o"),
        may_change="before training",
        is_of_tables=False,
        must=_least(1, "or more"),
    )
    batch_size: int | None = _option(
        None,
        "Images of a step of supernet training",
        "64",
        shown_by=("train", "train -o"),
        may_change="before training",
        is_of_tables=False,
        must=_least(2, "or more"),
    )
    supernet: str | None = _option(
        None,
        "Pretrained, instead of training one: cifar10, imagenet, imagenet-lite1, imagenet-lite2 or "
        "a file; none trains from nothing",
        path_endings=(".safetensors",),
        shown_by=("train",),
        is_of_tables=False,
    )
    image_size: int | None = _option(
        None,
        "Pixels a side that images are read at, 8 to 320; much smaller ones as they are",
        "64; from ImageNet's weights by the limit",
        is_of_tables=False,
        must=(
            lambda size: SMALLEST_SIZE <= size <= LARGEST_SIZE,
            f"be {SMALLEST_SIZE} to {LARGEST_SIZE} pixels",
        ),
    )
    time_s: float | None = _option(
        None,
        "That a search from ImageNet's weights or an imported network's may take in all, such as "
        "10m: plans epochs, resolutions and subnets",
        "10m",
        flag="--time",
        unit="s",
        may_change="always",
        is_verified=False,
        is_of_tables=False,
        must=(lambda seconds: seconds > 0, "be above 0 s"),
    )
    fit: Fit = _option(  # noqa: RUF009 - a field, as the others
        "crop",
        "How images become square: crop to the centre, pad with black bars, or squeeze",
        "crop, or the supernet's",
        shown_by=("train", "train -o"),
    )
    finetune: int | None = _option(
        None,
        "Epochs that each candidate is trained alone; kept if it is no worse",
        "0; from ImageNet's weights what --time has left",
        shown_by=("export",),
        may_change="always",
        is_of_tables=False,
        must=_least(0, "epochs or more"),
    )
    top: int = _option(
        3,
        "Candidates exported and verified",
        shown_by=("optimize",),
        may_change="always",
        must=_least(1, "or more"),
    )
    seed: int = _option(
        0,
        "Of everything that is random",
        shown_by=(
            *("measure", "train", "train -o", "evaluate", "fit", "fit TABLE", "optimize"),
            "optimize --predictors",
        ),
        must=(lambda seed: 0 <= seed < 2**63, "be 0 or more, below 2^63"),
    )
    optimizer: str = _option(
        "exact",
        "Search method",
        also=("--method",),
        family="optimizers",
        shown_by=("optimize", "optimize --predictors"),
        may_change="always",
    )
    predictor: str = _option(
        "regression",
        "What predicts latency, accuracy and other responses",
        family="predictors",
        may_change="always",
    )
    target_mape: float | None = _option(
        None,
        "Measure more subnets until the held-out error is this small, such as 3%",
        unit="%",
        may_change="always",
        is_verified=False,
        is_of_tables=False,
        must=(lambda share: share > 0, "be above 0 %"),
    )
    target_gain: float | None = _option(
        None,
        "Measure more subnets until knowing all latencies would gain less accuracy, such as 0.1%",
        unit="%",
        may_change="always",
        is_verified=False,
        is_of_tables=False,
        must=(lambda share: share > 0, "be above 0 %"),
    )
    device_time_s: float = _option(
        600.0,
        "Time on the target after which measuring stops",
        "10m",
        flag="--device-time",
        unit="s",
        shown_by=("measure",),
        may_change="always",
        is_verified=False,
        is_of_tables=False,
        must=(lambda seconds: seconds > 0, "be above 0 s"),
    )
    objectives: tuple[str, ...] = _option(
        (),
        "Response to optimize; again for a trade-off, the first decides",
        "accuracy",
        flag="--objective",
        metavar="RESPONSE",
        shown_by=("optimize",),
        may_change="always",
    )
    constraints: tuple[str, ...] = _option(
        (),
        'Limit on a response, such as "energy_mj<=12" or "peak_rss<=64MB"; again for more; "none" '
        "drops those of the run",
        flag="--constraint",
        metavar="TEXT",
        shown_by=("optimize",),
        may_change="always",
        is_verified=False,
    )
    budget: int | None = _option(
        None,
        "Evaluations that the search may spend",
        "by method",
        shown_by=("optimize",),
        may_change="always",
        must=_least(1, "evaluation or more"),
    )
    reward: str | None = _option(
        None,
        "Of the optimizer monas: mixed, power_limited, accuracy_floor; none drops that of the run",
        shown_by=("optimize",),
        may_change="always",
    )
    warm_start: str | None = _option(
        None,
        "Learn from an earlier run, on this board or another",
        path_endings=("",),
        metavar="RUN",
        shown_by=("fit", "optimize"),
        may_change="always",
        is_of_tables=False,
    )


OPTIONS: dict[str, Option] = {one.name: one.metadata["option"] for one in fields(RunOptions)}


def option_of(name: str) -> str:
    """Return the option that sets a field of `RunOptions`."""
    return (name in OPTIONS and OPTIONS[name].flag) or "--" + name.replace("_", "-")


def help_of(name: str, more: str = "") -> str:
    """Return what --help says of an option: what it is, `more`, and its default."""
    option = OPTIONS[name]
    default = getattr(RunOptions, name)
    shown = option.default or ("" if default in (None, ()) else str(default))
    return f"{option.help}{more}." + (f"  [{shown}]" if shown else "")


def kind_of(name: str) -> Any:
    """Return what values an option takes: int, float, str, a tuple of texts, or a Literal."""
    hint = get_type_hints(RunOptions)[name]
    kinds = [kind for kind in get_args(hint) if kind is not type(None)]
    return kinds[0] if isinstance(hint, UnionType) or get_origin(hint) is Union else hint


def taken_by(command: TakenBy) -> tuple[str, ...]:
    """Return the options that a command names as its own."""
    return tuple(name for name, option in OPTIONS.items() if command in option.shown_by)
