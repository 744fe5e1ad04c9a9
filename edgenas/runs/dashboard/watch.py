"""What the runs in a folder are at, by looking at their files: nothing is written or executed."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from device_runtime.json_text import read_json_text
from edgenas.core.errors import EdgeNasError
from edgenas.core.files.inside import is_plain_file, read_inside
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.goals import limit_text
from edgenas.core.records import from_json
from edgenas.core.records.goals import SCORE
from edgenas.runs.config import read_config
from edgenas.runs.dashboard.measuring import JournalReader
from edgenas.runs.dashboard.state import Best, Doing, FolderState, RunState
from edgenas.runs.progress_file import AtWork
from edgenas.runs.store import Store
from edgenas.runs.verdict.verdicts import read_verification, verdict

MOST_RUNS = 200
_MOST_PROGRESS_BYTES = 2**16
_SECONDS_BETWEEN_BESTS = 5.0  # a large store takes a while to read
_LOOKED_AT = ("", "models", "predictors")  # folders whose files a verdict depends on
_CHANGING = {RunFolder.progress.name, RunFolder.lock.name}

Signature = tuple[tuple[str, int, int], ...]


class FolderWatch:
    """Looks at the runs in a folder, again and again; what did not change is not read again."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()
        self._runs: dict[str, _RunWatch] = {}

    def look(self) -> FolderState:
        """Return what the runs are at now."""
        names = {name: _changed_s(self.root / name) for name in run_names(self.root)}
        newest = sorted(names, key=lambda name: (-names[name], name))
        kept = {
            name: self._runs.get(name) or _RunWatch(self.root, name) for name in newest[:MOST_RUNS]
        }
        self._runs = kept
        states = sorted(
            (one.look() for one in kept.values()), key=lambda one: (-one.changed_s, one.name)
        )
        return FolderState(tuple(states), len(newest) - len(kept))


def run_names(root: Path) -> Iterator[str]:
    """Yield the runs in a folder, those of several boards and each of their boards; no links."""
    for entry in _folders(root):
        if is_plain_file(RunFolder(entry).config):
            yield entry.name
        elif is_plain_file(RunFolder(entry).boards):
            yield entry.name
            for board in _folders(entry / "boards"):
                if is_plain_file(RunFolder(board).config):
                    yield f"{entry.name}/boards/{board.name}"


def _folders(path: Path) -> list[Path]:
    try:
        with os.scandir(path) as entries:
            return [Path(one.path) for one in entries if one.is_dir(follow_symlinks=False)]
    except OSError:
        return []


def _changed_s(run: Path) -> float:
    """Return when something of a run was last written."""
    try:
        return run.lstat().st_mtime
    except OSError:
        return 0.0


class _RunWatch:
    def __init__(self, root: Path, name: str) -> None:
        self._root, self._name = root, name
        self._folder = RunFolder(root / name)
        self._journal = JournalReader(self._folder.path)
        self._begun: tuple[Signature, RunState] | None = None
        self._judged: tuple[Signature, RunState] | None = None
        self._best: tuple[float, Best | None] = (-math.inf, None)

    def look(self) -> RunState:
        """Return what the run is at now."""
        work = self._work()
        state = self._begin()
        if work is not None and state.state != "damaged":
            # what it did before is judged when it ends: a verdict reads every file
            doing = Doing(work.title, work.note, work.done, work.share, work.seconds_left)
            return replace(
                state,
                state="at work",
                doing=doing,
                measuring=self._journal.look(),
                best=self._best_so_far(),
            )
        signature = _signature(self._folder.path, _LOOKED_AT)
        if self._judged is None or self._judged[0] != signature:
            self._judged = (signature, _judged(self._folder, state))
        return self._judged[1]

    def _work(self) -> AtWork | None:
        """Return what a living process does in the folder."""
        name = f"{self._name}/{RunFolder.progress.name}"
        if not is_plain_file(self._folder.progress):
            return None
        try:
            text = read_inside(self._root, name, _MOST_PROGRESS_BYTES)
            work = from_json(read_json_text(text), AtWork, name)
        except (EdgeNasError, ValueError):  # gone meanwhile, or not edgenas's
            return None
        return work if work.is_alive else None

    def _begin(self) -> RunState:
        """Return what the run was asked to do; it is read again where run.json changed."""
        signature = _signature(self._folder.path, ("",))
        if self._begun is None or self._begun[0] != signature:
            self._begun = (signature, _asked(self._folder, self._name))
        return replace(
            self._begun[1],
            changed_s=_changed_s(self._folder.path),
            has_report=is_plain_file(self._folder.report),
        )

    def _best_so_far(self) -> Best | None:
        looked_s, best = self._best
        if time.monotonic() - looked_s < _SECONDS_BETWEEN_BESTS:
            return best
        if is_plain_file(self._folder.store):
            try:
                config = read_config(self._folder)
                limit = config.limits().get("latency_ms")
                row = Store(self._folder.store).best_within(limit.at_most if limit else None)
            except (EdgeNasError, OSError):
                return best  # it is being written
            best = None if row is None else Best(str(row[0]), *row[1:], config.score)
        self._best = (time.monotonic(), best)
        return best


def _asked(folder: RunFolder, name: str) -> RunState:
    if not is_plain_file(folder.config):
        return RunState(name, "several boards", 0.0)
    try:
        config = read_config(folder)
        limits = ", ".join(limit_text(one, config.known) for one in config.limits().values())
    except (EdgeNasError, OSError) as problem:
        return RunState(name, "damaged", 0.0, says=(str(problem),))
    return RunState(name, "stopped", 0.0, config.target, config.data, config.space, limits)


def _judged(folder: RunFolder, state: RunState) -> RunState:
    """Return the state with the verdict and the winner of a run that nobody works on."""
    if state.state != "stopped" or not is_plain_file(folder.verification):
        return state
    try:
        folder.require_inside()
        config = read_config(folder)
        said = verdict(folder, config)
        verified = read_verification(folder)
    except (EdgeNasError, OSError) as problem:
        return replace(state, state="damaged", says=(str(problem),))
    best = verified.winner or verified.models[0]
    known = best.known(SCORE), best.known("latency_ms")
    return replace(
        state,
        state=said.status,
        says=(*said.outdated, *said.reservations),
        best=Best(str(best.candidate.architecture), *known, config.score),
        is_finished=is_plain_file(folder.explanation) and not is_plain_file(folder.table),
    )


def _signature(run: Path, folders: tuple[str, ...]) -> Signature:
    """Return name, time and size of what is in these folders of a run, but for what comes and
    goes."""
    files = []
    for folder in folders:
        try:
            with os.scandir(run / folder) as entries:
                for file in entries:
                    status = file.stat(follow_symlinks=False)
                    if file.name not in _CHANGING:
                        name = f"{folder}/{file.name}"
                        files.append((name, status.st_mtime_ns, status.st_size))
        except OSError:
            continue
    return tuple(sorted(files))
