"""One search on several boards: one supernet, and a frontier and a winner for each board.

The folder holds boards.json and, in boards/NAME, an ordinary and whole run folder of each board.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas import __version__, comparison, pipeline
from edgenas.errors import EdgeNasError, InputError, RunFolderError
from edgenas.in_turn import InTurn
from edgenas.open_run import locked, open_run
from edgenas.progress import Labelled, Progress
from edgenas.records import from_json, to_json
from edgenas.run_context import RunContext
from edgenas.run_folder import RunFolder, read_json, write_bytes, write_json
from edgenas.steps.evaluate import wanted
from edgenas.targets.config import resolve
from edgenas.targets.local import LocalTarget

if TYPE_CHECKING:
    from edgenas.targets.config import Access

FORMAT_VERSION = 1
# Targets that the host's own work would disturb: no other board is worked for meanwhile.
MEASURED_ALONE: tuple[type, ...] = (LocalTarget,)


@dataclass(frozen=True)
class BoardsFile:
    """What boards.json says: the targets, and the other options that all boards share."""

    edgenas_boards: int
    version: str
    targets: tuple[str, ...]
    asked: dict[str, Any]


@dataclass
class BoardRun:
    """The run of one board, and how it ended: with its document, or with an error."""

    context: RunContext
    added: int = 0
    document: dict[str, Any] | None = None
    error: EdgeNasError | None = None

    def attempt(self, work: Callable[[BoardRun], None]) -> None:
        """Do `work`, unless this board failed before; a failure is kept, and said."""
        if self.error is not None:
            return
        try:
            work(self)
        except EdgeNasError as problem:
            self.error = problem
            self.context.progress.message(f"stopped: {problem}")

    def result(self) -> dict[str, Any]:
        """Return the document of `edgenas search`, or the error in its place."""
        if self.document is not None:
            return self.document
        assert self.error is not None
        return {
            "status": "error",
            "run": str(self.context.folder.path),
            "target": self.context.target.name,
            "error": self.error.message,
            "hint": self.error.hint,
        }


def is_several(path: Path) -> bool:
    """Return whether the folder holds a run of several boards."""
    return (path / "boards.json").exists()


def search_several(
    path: Path,
    targets: Sequence[str],
    asked: dict[str, Any],
    progress: Progress,
    resume: bool,
    *,
    access: Access | None = None,
) -> dict[str, Any]:
    """Search for the best network on each target; return the JSON document of them all.

    The supernet is trained once, and an accuracy is evaluated once for each int8 scheme. Remote
    boards are measured at the same time; then this machine, alone. A board that fails does not stop
    the others: its error stands in its place, and the status is "fail".

    Parameters
    ----------
    targets : empty for those that the folder was started with.
    asked : the options that the user gave, for all boards.

    Raises
    ------
    InputError : a target does not exist, or two have one name, or an option cannot change.
    """
    stated = _stated(path, targets, asked, resume)
    with contextlib.ExitStack() as stack:
        stack.enter_context(locked(RunFolder(path)))
        paths = _board_paths(path, stated.targets)
        write_json(path / "boards.json", to_json(stated))
        boards = [
            BoardRun(stack.enter_context(_open(paths[target], target, options, progress, access)))
            for target, options in _options(paths, stated, asked).items()
        ]
        _search(boards)
        finished = [board.context for board in boards if board.document is not None]
        failed = {b.context.target.name: str(b.error) for b in boards if b.document is None}
        return {
            "status": "pass" if all(b.result()["status"] == "pass" for b in boards) else "fail",
            "run": str(path),
            "boards": [board.result() for board in boards],
            **comparison.write(path, finished, failed),
        }


def _stated(path: Path, targets: Sequence[str], asked: dict[str, Any], resume: bool) -> BoardsFile:
    file = path / "boards.json"
    if not file.exists():
        if path.exists() and (not path.is_dir() or _others(path)):
            raise RunFolderError(
                f"{path} exists and is not a run of several boards.",
                "Choose an empty or new folder with --out.",
            )
        return BoardsFile(FORMAT_VERSION, __version__, tuple(targets), asked)
    if not resume:
        raise RunFolderError(
            f"{path} holds a run already.", "Go on with --resume, or choose another --out."
        )
    known = from_json(read_json(file), BoardsFile, str(file), RunFolderError)
    if known.edgenas_boards > FORMAT_VERSION:
        raise RunFolderError(
            f"{path} has format {known.edgenas_boards}; this edgenas reads {FORMAT_VERSION}.",
            "Upgrade edgenas, or start a new run with another --out.",
        )
    if targets and set(targets) != set(known.targets):
        raise RunFolderError(
            f"This run was started with the targets {', '.join(known.targets)}.",
            "Leave --target out, or start a new run with another --out.",
        )
    return BoardsFile(FORMAT_VERSION, __version__, known.targets, {**known.asked, **asked})


def _others(path: Path) -> list[Path]:
    return [file for file in path.iterdir() if file != RunFolder(path).lock]


def _board_paths(path: Path, targets: Sequence[str]) -> dict[str, Path]:
    """Return the run folder of each target; `InputError` if two cannot be told apart."""
    paths: dict[str, Path] = {}
    for target in targets:
        name = resolve(target).name
        folder = path / "boards" / (re.sub(r"[^\w.@+-]+", "_", name).strip(".-") or "board")
        if folder in paths.values():
            raise InputError(
                f"Two of the targets are called '{name}'.",
                'Give each a name of its own in its target file: name = "kitchen pi"',
            )
        paths[target] = folder
    return paths


def _options(
    paths: dict[str, Path], stated: BoardsFile, asked: dict[str, Any]
) -> dict[str, dict[str, Any]]:
    """Return the options of each target's run.

    A run that is there may have been gone on with alone: only what is asked now changes it.
    """
    begun = {target: RunFolder(paths[target]).config.exists() for target in stated.targets}
    return {target: asked if begun[target] else stated.asked for target in stated.targets}


def _open(
    path: Path, target: str, options: dict[str, Any], progress: Progress, access: Access | None
) -> contextlib.AbstractContextManager[RunContext]:
    labelled = Labelled(progress, resolve(target).name)
    return open_run(path, {**options, "target": target}, labelled, resume=True, access=access)


def _search(boards: Sequence[BoardRun]) -> None:
    for board in boards:  # in turn, for a password may be asked for
        board.attempt(lambda one: pipeline.step(one.context, "probe"))
    if all(board.error is not None for board in boards):
        return
    _share_supernet([board.context for board in boards])
    alone = [board for board in boards if isinstance(board.context.target, MEASURED_ALONE)]
    remote = [board for board in boards if board not in alone]
    turn = threading.Lock()
    for board in remote:
        board.context.target = InTurn(board.context.target, turn)
    for work in (_measure, _evaluate_once(boards), _conclude):
        _side_by_side(remote, work, turn)
        for board in alone:
            board.attempt(work)


def _share_supernet(contexts: Sequence[RunContext]) -> None:
    """Train in one run, the one that got furthest before, and give every other its supernet."""
    trainer = min(
        contexts, key=lambda c: (not c.folder.supernet.exists(), not c.folder.checkpoint.exists())
    )
    for context in contexts:
        if context is not trainer:
            context.images_of = trainer
    pipeline.step(trainer, "train")
    for context in contexts:
        mine, theirs = context.folder.supernet, trainer.folder.supernet
        if not mine.exists():
            _link(theirs, mine)
        elif context.supernet_sha256() != trainer.supernet_sha256():
            raise RunFolderError(
                f"{mine} and {theirs} differ: boards are compared over one supernet.",
                f"Remove {mine} and run again with --resume.",
            )


def _link(source: Path, path: Path) -> None:
    try:
        os.link(source, path)
    except OSError:  # a file system without hard links
        write_bytes(path, source.read_bytes())


def _measure(board: BoardRun) -> None:
    board.added += pipeline.step(board.context, "measure")


def _evaluate_once(boards: Sequence[BoardRun]) -> Callable[[BoardRun], None]:
    """Return the work of evaluating what no other board of the same int8 scheme has evaluated."""

    def work(board: BoardRun) -> None:
        context = board.context
        missing = set(wanted(context)) - {e.architecture for e in context.evaluations()}
        for other in boards:
            if other.error is None and other.context.target.scheme == context.target.scheme:
                for evaluation in other.context.evaluations():
                    if evaluation.architecture in missing:
                        context.store.add_evaluation(evaluation)
                        missing.remove(evaluation.architecture)
                        board.added += 1
        board.added += pipeline.step(context, "evaluate")

    return work


def _conclude(board: BoardRun) -> None:
    board.document = pipeline.conclude(board.context, board.added)


def _side_by_side(
    boards: Sequence[BoardRun], work: Callable[[BoardRun], None], turn: threading.Lock
) -> None:
    """Do `work` for all boards at once; the host's own part of it takes turns."""
    bugs: list[BaseException] = []

    def run(board: BoardRun) -> None:
        try:
            with turn:
                board.attempt(work)
        except Exception as bug:  # noqa: BLE001 - raised below, in the thread that started this one
            bugs.append(bug)

    # daemons: an interrupted command ends at once, while the boards go on and are followed later
    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in boards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if bugs:
        raise bugs[0]
