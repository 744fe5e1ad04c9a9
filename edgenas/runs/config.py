"""What a run was asked to do: `RunConfig`, written once to run.json and checked on resume."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from edgenas.core import plugins
from edgenas.core.errors import InputError, RunFolderError, nearest
from edgenas.core.files.run_folder import FORMAT_VERSION, RunFolder, read_json, write_json
from edgenas.core.goals import parse_constraints, parse_objectives
from edgenas.core.metrics import ResponseKind, of_task
from edgenas.core.records import SearchResult, from_json, to_json
from edgenas.core.records.goals import SCORE, Limit, Objective
from edgenas.core.run_options import OPTIONS, RunOptions, option_of
from edgenas.int8.engines.scheme import Scheme
from edgenas.runs import space_file
from edgenas.runs.fpga import reports as reports_file
from edgenas.runs.named_paths import absolute, anchored
from edgenas.spaces.files import is_file
from edgenas.targets.table import target_file

AUTO = "auto"  # what a search begins with is settled when it looks at the images
FROM_NOTHING = "none"  # a supernet that is trained from random weights, said on purpose


@dataclass(frozen=True)
class RunConfig(RunOptions):
    """What one run was asked to do: its options, and what was settled beside them.

    space_sha256 : of the file that defines the space, where --space names a file.
    reports_sha256 : of the synthesis reports that the file of an FPGA names; None without.
    scheme : int8 scheme that the first probe took in place of the usual one; None for that.
    """

    space_sha256: str | None = None
    reports_sha256: str | None = None
    scheme: Scheme | None = None

    def __post_init__(self) -> None:
        for name in ("objectives", "constraints"):  # JSON has lists
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, option in OPTIONS.items():
            value = getattr(self, name)
            if value is not None and option.must is not None and not option.must[0](value):
                raise InputError(f"{option_of(name)} must {option.must[1]}.")
        named = [name for name, option in OPTIONS.items() if option.path_endings]
        for name in ("data", *named):
            if not _is_utf8(str(getattr(self, name) or "")):
                raise InputError(
                    f"{option_of(name)} needs a name in UTF-8: rename it, or link to it by ln -s."
                )
        try:
            parse_objectives(self.objectives, self.known)
            self.limits()
        except InputError as problem:
            if self.target.endswith(".toml") and not Path(self.target).exists():
                raise InputError(
                    f"There is no target file {self.target}, whose responses are asked for.",
                    "Put it back: the run was started with it.",
                ) from problem
            raise

    @property
    def known(self) -> Mapping[str, ResponseKind]:
        """The responses that can be asked for: a measured table's own, or those of a run."""
        if target_file.is_table(self.target):
            return target_file.read(Path(self.target)).kinds
        return of_task(plugins.load_task(self.task).METRIC)

    @property
    def score(self) -> str:
        """What the task calls its score, such as "accuracy"; that name of a table, too."""
        return self.known[SCORE].label if SCORE in self.known else SCORE

    def limits(self) -> dict[str, Limit]:
        """Return the tightest limits on each response, the latency limit among them.

        Raises
        ------
        InputError : a constraint cannot be read, or two contradict each other.
        """
        return parse_constraints(self.constraints, self.known, self.max_latency_ms)

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
        first = SCORE if SCORE in better_high else better_high[0]
        return (Objective(first, "max"),)

    @property
    def responses(self) -> set[str]:
        """The names of the responses that the objectives and constraints are on."""
        return {one.response for one in self.wanted} | set(self.limits())

    def search_options(self, optimizer: ModuleType) -> dict[str, str]:
        """Return what only some optimizers take, for `optimizer`.

        Raises
        ------
        InputError : it does not take what was asked for, or has no such reward.
        """
        if self.reward is None:
            return {}
        if not hasattr(optimizer, "REWARDS"):
            raise InputError(
                f"The optimizer {self.optimizer} has no rewards.",
                "Use --reward with monas; --reward none drops that of a run.",
            )
        if self.reward not in optimizer.REWARDS:
            raise InputError(
                f"There is no reward '{self.reward}'.", nearest(self.reward, optimizer.REWARDS)
            )
        return {"reward": self.reward}

    def asked_for(self, result: SearchResult[Any]) -> bool:
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
            self.wanted == (Objective(SCORE, "max"),)
            and set(self.limits()) <= {"latency_ms"}
            and (latency is None or latency.at_least is None)
        )

    @property
    def limited(self) -> bool:
        """Whether latency has an upper limit: the user's, or one half-way if nothing is asked."""
        latency = self.limits().get("latency_ms")
        return self.plain or (latency is not None and latency.at_most is not None)


def _is_utf8(name: str) -> bool:
    """Whether JSON can hold a file's name: bytes that are no UTF-8 are half surrogates in it."""
    return not any(0xD800 <= ord(character) <= 0xDFFF for character in name)


def with_supernet(asked: dict[str, Any]) -> dict[str, Any]:
    """Return `asked` with the space of its pretrained supernet, and its images and its fit unless
    others are asked for.

    Raises
    ------
    InputError : no such supernet, or it is of another space.
    """
    if asked.get("supernet") == AUTO:
        return asked
    if asked.get("supernet") in (None, FROM_NOTHING):
        return {**asked, "supernet": None} if "supernet" in asked else asked
    if asked.get("task", RunConfig.task) != RunConfig.task:
        raise InputError(
            f"Pretrained supernets are of the task {RunConfig.task}, not of {asked['task']}.",
            "Train from nothing: --supernet none",
        )
    from edgenas.supernet.packages.package import find

    name = asked["supernet"]
    package = find(name)
    space = package.metadata()["space"]["name"]
    if is_file(asked.get("space", "")):
        return {"data": f"pretrained:{name}", "fit": package.fit(), **asked}
    if asked.get("space", space) != space:
        raise InputError(
            f"The supernet '{name}' is of the space {space}, not {asked['space']}.",
            "Leave --space out, or choose another supernet.",
        )
    if package.any_size():
        if "data" not in asked:
            raise InputError(
                f"The supernet '{name}' comes without images, and is trained on from yours.",
                "Name them: --data imagefolder:DIR",
            )
        return {**asked, "space": space}
    return {"data": f"pretrained:{name}", "fit": package.fit(), **asked, "space": space}


def write_config(folder: RunFolder, config: RunConfig, version: str) -> None:
    """Write run.json: the format version, the program's version and the configuration."""
    document = {"edgenas_run": FORMAT_VERSION, "version": version, "config": to_json(config)}
    write_json(folder.config, document)


def read_config(folder: RunFolder) -> RunConfig:
    """Return the configuration in run.json.

    Raises
    ------
    RunFolderError : not a run folder, or one of a newer format version, or a damaged run.json, or
        a link in it leads out of it.
    """
    if not folder.config.exists():
        raise no_run(folder.path)
    folder.require_inside()
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
    options = document.get("config")
    if isinstance(options, dict):
        options = anchored(options, folder.path)
    return from_json(options, RunConfig, str(folder.config), RunFolderError)


def no_run(path: Path) -> RunFolderError:
    """Return the error of a path that holds no run."""
    if RunFolder(path).boards.exists():
        return RunFolderError(
            f"{path} holds a run of several boards.",
            f"Name the run of one of them: {path}/boards/NAME",
        )
    return RunFolderError(
        f"{path} is not a run folder: it has no run.json.",
        f"Start a run with: edgenas search --out {path}",
    )


def earlier_run(config: RunConfig, folder: RunFolder) -> RunFolder | None:
    """Return the run that the run in `folder` learns from; None if it begins from nothing.

    Raises
    ------
    RunFolderError : it is no run folder. InputError : it is this run.
    """
    if config.warm_start is None:
        return None
    earlier = RunFolder(Path(config.warm_start))
    if earlier.path.resolve() == folder.path.resolve():
        raise InputError(f"{earlier.path} cannot start from itself.", "Name another run.")
    read_config(earlier)
    return earlier


def begun(asked: dict[str, Any]) -> RunConfig:
    """Return the configuration of a new run, from the options that were given."""
    asked = space_file.asked_for(absolute(asked))
    if asked.get("epochs") is not None and asked.get("time_s") is not None:
        raise InputError(
            "--epochs and --time both say how long to train.",
            "Leave one of them out: --time plans the epochs.",
        )
    config = RunConfig(**with_supernet({**_start(asked), **asked}))
    return dataclasses.replace(config, reports_sha256=reports_file.sha256(config.target))


def _start(asked: dict[str, Any]) -> dict[str, str]:
    """Return the start of a run whose user names none, {} for the usual one.

    Where ImageNet's weights are installed, and images are in a folder, it is settled later.
    """
    from edgenas.supernet.imagenet.weights import installed

    named = {"supernet", "space", "warm_start"} & asked.keys()
    of_folder = str(asked.get("data", "")).startswith("imagefolder:")
    of_classes = asked.get("task", RunConfig.task) == RunConfig.task  # as those weights are
    is_table = target_file.is_table(str(asked.get("target", "")))
    if named or not of_folder or not of_classes or is_table or not installed("imagenet"):
        return {}
    return {"supernet": AUTO}


def resumed(folder: RunFolder, asked: dict[str, Any]) -> RunConfig:
    """Return the configuration in run.json with the options of `asked`.

    Raises
    ------
    RunFolderError : as for `read_config`; an option differs that finished work depends on.
    """
    stored = read_config(folder)
    asked = space_file.asked_for(absolute(asked), stored.space, stored.space_sha256, folder)
    untrained = not (folder.supernet.exists() or folder.checkpoint.exists())
    changeable = {"always", "before training"} if untrained else {"always"}
    for name, value in asked.items():
        before = getattr(stored, name)
        may_change = name in OPTIONS and OPTIONS[name].may_change in changeable
        if not may_change and value != before:
            option = option_of(name)
            began = f"with {option} {before}" if before is not None else f"without {option}"
            raise RunFolderError(
                f"This run was started {began}, not with {option} {value}.",
                f"Leave {option} out, or start a new run with another --out.",
            )
    reports_file.require_unchanged(folder, stored.target, stored.reports_sha256)
    return dataclasses.replace(stored, **asked)


def limits_of(options: Any, what: str) -> dict[str, Limit]:
    """Return the limits of the options that a run.json holds; `RunFolderError` names `what`."""
    return from_json(options, RunConfig, what, RunFolderError).limits()
