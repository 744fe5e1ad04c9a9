"""What a run was asked to do: `RunConfig`, written once to run.json and checked on resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgenas import table_target
from edgenas.errors import InputError, RunFolderError
from edgenas.goals import Limit, Objective, parse_constraints, parse_objectives
from edgenas.records import SearchResult, from_json, to_json
from edgenas.records.tables import TableSearch
from edgenas.responses import REGISTRY, ResponseKind
from edgenas.run_folder import FORMAT_VERSION, RunFolder, read_json, write_json

# A resumed run may change these; anything else would make its finished work mean something else.
# `data` may be another way to the same images: others are refused when they are loaded.
CHANGEABLE = (
    "data",
    "finetune",
    "max_latency_ms",
    "confidence",
    "samples",
    "evaluate",
    "top",
    "optimizer",
    "target_mape",
    "device_time_s",
    "objectives",
    "constraints",
    "budget",
    "reward",
    "warm_start",
)


# These too, as long as nothing is trained.
CHANGEABLE_UNTRAINED = ("batch_size", "epochs")

_OPTIONS = {
    "max_latency_ms": "--max-latency",
    "device_time_s": "--device-time",
    "objectives": "--objective",
    "constraints": "--constraint",
}


def option_of(name: str) -> str:
    """Return the option that sets a field of `RunConfig`."""
    return _OPTIONS.get(name, "--" + name.replace("_", "-"))


@dataclass(frozen=True)
class RunConfig:
    """The options of one run.

    engine : in place of that in the target file; None for the file's.
    max_latency_ms : the limit on the upper prediction bound; None for half-way between the least
        and the greatest predicted latency, kernel sizes that the engine is slow at left out.
    samples : subnets measured on the target. evaluate : subnets whose accuracy is evaluated.
    epochs, batch_size : of supernet training; None for the data set's default, and for 64.
    supernet : a pretrained supernet, by its name or as a file; None trains one.
    finetune : epochs that each candidate is trained alone; kept where it is better.
    top : candidates exported and verified.
    target_mape : held-out error (fraction) until which more subnets are measured than `samples`.
    device_time_s : time on the target after which measuring stops, whatever was wanted.
    objectives, constraints : as the user wrote them; without an objective, accuracy is maximised.
    budget : evaluations that the search may spend; None for what its optimizer is used to.
    reward : of an optimizer that has several, as `monas` does; None for its own choice.
    warm_start : folder of a run that this one learns from.
    """

    target: str = "local"
    engine: str | None = None
    data: str = "digits"
    space: str = "mbv3-tiny"
    max_latency_ms: float | None = None
    confidence: float = 0.95
    samples: int = 40
    evaluate: int = 64
    epochs: int | None = None
    batch_size: int | None = None
    supernet: str | None = None
    finetune: int = 0
    top: int = 3
    seed: int = 0
    optimizer: str = "exact"
    target_mape: float | None = None
    device_time_s: float = 600.0
    objectives: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    budget: int | None = None
    reward: str | None = None
    warm_start: str | None = None

    def __post_init__(self) -> None:
        for name in ("objectives", "constraints"):  # JSON has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        checks = {
            "--max-latency must be above 0 ms": self.max_latency_ms is None
            or self.max_latency_ms > 0,
            "--confidence must be between 0.5 and 1, such as 0.95": 0.5 <= self.confidence < 1,
            "--samples must be 8 or more: fewer cannot be fitted": self.samples >= 8,
            "--evaluate must be 8 or more: fewer cannot be fitted": self.evaluate >= 8,
            "--epochs must be 1 or more": self.epochs is None or self.epochs >= 1,
            "--batch-size must be 2 or more": self.batch_size is None or self.batch_size >= 2,
            "--finetune must be 0 epochs or more": self.finetune >= 0,
            "--top must be 1 or more": self.top >= 1,
            "--target-mape must be above 0 %": self.target_mape is None or self.target_mape > 0,
            "--device-time must be above 0 s": self.device_time_s > 0,
            "--seed must be 0 or more, below 2^63": 0 <= self.seed < 2**63,
            "--budget must be 1 evaluation or more": self.budget is None or self.budget >= 1,
        }
        for message, holds in checks.items():
            if not holds:
                raise InputError(f"{message}.")
        parse_objectives(self.objectives, self.known)
        self.limits()

    @property
    def known(self) -> Mapping[str, ResponseKind]:
        """The responses that can be asked for: a measured table's own, or those of a run."""
        if table_target.is_table(self.target):
            return table_target.read(Path(self.target)).kinds
        return REGISTRY

    def limits(self) -> dict[str, Limit]:
        """Return the tightest limits on each response, the latency limit among them.

        Raises
        ------
        InputError : a constraint cannot be read, or two contradict each other.
        """
        latency = [] if self.max_latency_ms is None else [f"latency_ms<={self.max_latency_ms!r}"]
        return parse_constraints([*self.constraints, *latency], self.known)

    @property
    def wanted(self) -> tuple[Objective, ...]:
        """The objectives; without one accuracy, of a table the first that is better high."""
        if self.objectives:
            return parse_objectives(self.objectives, self.known)
        better_high = [name for name, kind in self.known.items() if kind.goal == "max"]
        if not better_high:
            raise InputError(
                f"{self.target} has no response that is better high: what is to be optimized?",
                f"Say --objective {next(iter(self.known))}.",
            )
        first = "accuracy" if "accuracy" in better_high else better_high[0]
        return (Objective(first, "max"),)

    @property
    def responses(self) -> set[str]:
        """The names of the responses that the objectives and constraints are on."""
        return {one.response for one in self.wanted} | set(self.limits())

    def search_options(self, optimizer: ModuleType) -> dict[str, str]:
        """Return what only some optimizers take, for `optimizer`.

        Raises
        ------
        InputError : it does not take what was asked for.
        """
        if self.reward is None:
            return {}
        if not hasattr(optimizer, "REWARDS"):
            raise InputError(
                f"The optimizer {self.optimizer} has no rewards.",
                "Use --reward with monas; --reward none drops that of a run.",
            )
        return {"reward": self.reward}

    def asked_for(self, result: SearchResult | TableSearch) -> bool:
        """Whether a search was made under the options of now, but for the latency limit."""
        now = (self.optimizer, self.top, self.confidence, self.constraints)
        return (
            (result.method, result.top, result.confidence, result.constraints) == now
            and result.objectives == tuple(one.response for one in self.wanted)
            and (result.budget, result.reward) == (self.budget, self.reward)
        )

    @property
    def plain(self) -> bool:
        """Whether what is asked is the most accurate network under a latency limit, no more."""
        latency = self.limits().get("latency_ms")
        return (
            self.wanted == (Objective("accuracy", "max"),)
            and set(self.limits()) <= {"latency_ms"}
            and (latency is None or latency.at_least is None)
        )

    @property
    def limited(self) -> bool:
        """Whether latency has an upper limit: the user's, or one half-way if nothing is asked."""
        latency = self.limits().get("latency_ms")
        return self.plain or (latency is not None and latency.at_most is not None)


def with_supernet(asked: dict[str, Any]) -> dict[str, Any]:
    """Return `asked` with the space of its pretrained supernet, and its images unless others are.

    Raises
    ------
    InputError : no such supernet, or it is of another space.
    """
    if asked.get("supernet") is None:
        return asked
    from edgenas.pretrained.package import find

    name = asked["supernet"]
    space = find(name).metadata()["space"]["name"]
    if asked.get("space", space) != space:
        raise InputError(
            f"The supernet '{name}' is of the space {space}, not {asked['space']}.",
            "Leave --space out, or choose another supernet.",
        )
    return {"data": f"pretrained:{name}", **asked, "space": space}


def write_config(folder: RunFolder, config: RunConfig, version: str) -> None:
    """Write run.json: the format version, the program's version and the configuration."""
    document = {"edgenas_run": FORMAT_VERSION, "version": version, "config": to_json(config)}
    write_json(folder.config, document)


def read_config(folder: RunFolder) -> RunConfig:
    """Return the configuration in run.json.

    Raises
    ------
    RunFolderError : not a run folder, or one of a newer format version, or a damaged run.json.
    """
    if not folder.config.exists():
        raise no_run(folder.path)
    document = read_json(folder.config)
    version = document.get("edgenas_run") if isinstance(document, dict) else None
    if not isinstance(version, int):
        raise RunFolderError(
            f"{folder.config} was not written by edgenas.", "Choose another --out."
        )
    if version > FORMAT_VERSION:
        raise RunFolderError(
            f"{folder.path} has run format {version}; this edgenas reads up to {FORMAT_VERSION}.",
            "Upgrade edgenas, or start a new run with another --out.",
        )
    return from_json(document.get("config"), RunConfig, str(folder.config), RunFolderError)


def no_run(path: Path) -> RunFolderError:
    """Return the error of a path that holds no run."""
    if (path / "boards.json").exists():
        return RunFolderError(
            f"{path} holds a run of several boards.",
            f"Name the run of one of them: {path}/boards/NAME",
        )
    return RunFolderError(
        f"{path} is not a run folder: it has no run.json.",
        f"Start a run with: edgenas search --out {path}",
    )


def resumed(folder: RunFolder, asked: dict[str, Any]) -> RunConfig:
    """Return the configuration in run.json with the options of `asked`.

    Raises
    ------
    RunFolderError : as for `read_config`; an option differs that finished work depends on.
    """
    stored = read_config(folder)
    untrained = not (folder.supernet.exists() or folder.checkpoint.exists())
    changeable = (*CHANGEABLE, *(CHANGEABLE_UNTRAINED if untrained else ()))
    for name, value in asked.items():
        before = getattr(stored, name)
        if name not in changeable and value != before:
            option = option_of(name)
            began = f"with {option} {before}" if before is not None else f"without {option}"
            raise RunFolderError(
                f"This run was started {began}, not with {option} {value}.",
                f"Leave {option} out, or start a new run with another --out.",
            )
    return dataclasses.replace(stored, **asked)
