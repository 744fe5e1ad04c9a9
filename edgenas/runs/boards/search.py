"""One search on several boards, or engines: one supernet, and a frontier and a winner for each.

The folder holds boards.json and, in boards/NAME, an ordinary and whole run folder of each board, or
of each engine of a board.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgenas.core.errors import EdgeNasError, InputError, RunFolderError
from edgenas.core.files.run_folder import RunFolder, write_bytes, write_json
from edgenas.core.progress import Labelled, Progress
from edgenas.core.records import RunVerdict, to_json
from edgenas.runs import search
from edgenas.runs.boards import comparison
from edgenas.runs.boards import engines as engine_choice
from edgenas.runs.boards import file as boards_file
from edgenas.runs.boards.engines import EngineChoice
from edgenas.runs.boards.file import BoardsFile, Place
from edgenas.runs.boards.turn import InTurn
from edgenas.runs.config import read_config
from edgenas.runs.named_paths import absolute
from edgenas.runs.open import locked, open_run
from edgenas.runs.run import RunContext
from edgenas.runs.sources.board_evaluations import to_evaluate
from edgenas.runs.start import checks as start_checks
from edgenas.runs.verdict.verdicts import verdict
from edgenas.targets.config import resolve
from edgenas.targets.local import LocalTarget

if TYPE_CHECKING:
    from edgenas.targets.config import Access

# Targets that the host's own work would disturb: no other board is worked for meanwhile.
MEASURED_ALONE: tuple[type, ...] = (LocalTarget,)


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


def search_several(
    path: Path,
    targets: Sequence[str],
    asked: dict[str, Any],
    progress: Progress,
    resume: bool,
    *,
    engines: Sequence[str] = (),
    access: Access | None = None,
) -> dict[str, Any]:
    """Search for the best network on each target and engine; return the JSON of them all.

    The supernet is trained once, and an accuracy is evaluated once for each int8 scheme and host
    engine. Remote boards are measured at the same time; then this machine, alone; the engines of
    one board in turn, under one limit. A board that fails does not stop the others: its error
    stands in its place, and the status is "fail".

    Parameters
    ----------
    targets, engines : empty for those that the folder was started with.
    asked : the options that the user gave, for all boards.

    Raises
    ------
    InputError : a target does not exist, or two have one name, or an option cannot change.
    """
    asked, targets = absolute(asked), [absolute({"target": one})["target"] for one in targets]
    stated = boards_file.stated(path, targets, engines, asked, resume)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_none_if_refused(path))
        stack.enter_context(locked(RunFolder(path)))
        paths = boards_file.board_paths(path, stated.places)
        if not boards_file.is_several(path):
            write_json(RunFolder(path).boards, to_json(stated))
        boards = [
            BoardRun(stack.enter_context(_open(paths[place], place, options, progress, access)))
            for place, options in _options(paths, stated, asked).items()
        ]
        write_json(RunFolder(path).boards, to_json(stated))  # each board took its options
        choices = _search(boards)
        finished = [board.context for board in boards if board.document is not None]
        failed = {b.context.target.name: str(b.error) for b in boards if b.document is None}
        results = [board.result() for board in boards]
        return {
            "status": "pass" if all(one["status"] == "pass" for one in results) else "fail",
            "reservations": [
                f"{one['target']}: {text}"
                for one in results
                for text in one.get("reservations", ())
            ],
            "run": str(path),
            "boards": results,
            "engines": [choice.document() for choice in choices],
            **comparison.write(path, finished, failed, choices),
        }


@contextlib.contextmanager
def comparison_kept(run: Path, progress: Progress) -> Iterator[None]:
    """Write the comparison that a board's run is of again, if its verdict changes meanwhile."""
    run = run.absolute()
    path, folder = run.parent.parent, RunFolder(run)
    compared = run.parent.name == "boards" and boards_file.is_several(path)
    if not (compared and RunFolder(path).report.exists() and folder.config.exists()):
        yield
        return
    before, known = _verdict(folder), comparison.stored(path)
    yield
    if _verdict(folder) == before:
        return
    runs = [
        RunFolder(one) for one in sorted(run.parent.iterdir()) if RunFolder(one).config.exists()
    ]
    contexts = [RunContext(one, read_config(one), progress) for one in runs]
    failed = dict(known.failed)
    for one in contexts:
        if not one.folder.report.exists():
            failed.setdefault(one.target.name, "no finished search")
        elif one.folder.path == run:
            failed.pop(one.target.name, None)
    finished = [one for one in contexts if one.target.name not in failed]
    comparison.write(path, finished, failed, known.engines)


def _verdict(folder: RunFolder) -> RunVerdict | None:
    """Return a run's verdict; None where a file is damaged, which is a step's to mend or name."""
    try:
        return verdict(folder, read_config(folder))
    except EdgeNasError:
        return None


@contextlib.contextmanager
def _none_if_refused(path: Path) -> Iterator[None]:
    """Remove a new run whose input is refused, so that the corrected command may use --out."""
    new = not boards_file.is_several(path)
    try:
        yield
    except InputError:
        if new and not any(path.glob("boards/*")):
            for file in (RunFolder(path).boards, RunFolder(path).lock):
                file.unlink(missing_ok=True)
            for folder in (path / "boards", path):
                with contextlib.suppress(OSError):  # not there, or somebody's
                    folder.rmdir()
        raise


def _options(
    paths: dict[Place, Path], stated: BoardsFile, asked: dict[str, Any]
) -> dict[Place, dict[str, Any]]:
    """Return the options of each place's run.

    A run that is there may have been gone on with alone: only what is asked now changes it.
    """
    begun = {place: RunFolder(paths[place]).config.exists() for place in stated.places}
    return {place: asked if begun[place] else stated.asked for place in stated.places}


def _open(
    path: Path, place: Place, options: dict[str, Any], progress: Progress, access: Access | None
) -> contextlib.AbstractContextManager[RunContext]:
    target, engine = place
    labelled = Labelled(progress, resolve(target, engine=engine).name)
    asked = {**options, "target": target} | ({"engine": engine} if engine else {})
    return open_run(path, asked, labelled, resume=True, whole=True, access=access)


def _search(boards: Sequence[BoardRun]) -> list[EngineChoice]:
    """Do all the work; return which engine is recommended on each board that has several."""
    trainer = _trainer([board.context for board in boards])
    for board in boards:
        if board.context is not trainer:
            board.context.images_of = trainer
    for board in boards:
        start_checks.check_start(board.context)
    for board in boards:  # in turn, for a password may be asked for
        board.attempt(lambda one: search.probe(one.context))
    if all(board.error is not None for board in boards):
        return []
    _share_supernet(trainer, [board.context for board in boards])
    alone = [board for board in boards if isinstance(board.context.target, MEASURED_ALONE)]
    remote = [board for board in boards if board not in alone]
    turn = threading.Lock()
    for board in remote:
        board.context.target = InTurn(board.context.target, turn)
    machines = _by_target(boards)
    for work in (_measure, _evaluate_once(boards), _conclude):
        if work is _conclude:
            for engines in machines:
                _share_limit(engines)
        _side_by_side(_by_target(remote), work, turn)
        for board in alone:
            board.attempt(work)
    with turn:  # which a remote board passes on while it measures
        return [
            engine_choice.choose([board.context for board in engines if board.document is not None])
            for engines in machines
            if sum(board.document is not None for board in engines) > 1
        ]


def _by_target(boards: Sequence[BoardRun]) -> list[list[BoardRun]]:
    """Return the boards by machine: engines of one machine are never measured at the same time."""
    found: dict[str, list[BoardRun]] = {}
    for board in boards:
        found.setdefault(board.context.config.target, []).append(board)
    return list(found.values())


def _share_limit(engines: Sequence[BoardRun]) -> None:
    """Give the engines of one machine one limit where none is asked for: the largest of theirs."""
    unlimited = [
        board
        for board in engines
        if board.error is None
        and "latency_ms" not in board.context.config.limits()
        and not board.context.folder.search.exists()
    ]
    limits: list[float] = []
    for board in unlimited if len(engines) > 1 else ():
        board.attempt(lambda one: limits.append(engine_choice.default_limit_ms(one.context)))
    for board in unlimited if limits else ():
        board.context.settle(max_latency_ms=max(limits))


def _trainer(contexts: Sequence[RunContext]) -> RunContext:
    """Return the run that got furthest before, which loads the images and trains for all."""
    return min(
        contexts, key=lambda c: (not c.folder.supernet.exists(), not c.folder.checkpoint.exists())
    )


def _share_supernet(trainer: RunContext, contexts: Sequence[RunContext]) -> None:
    """Train in one run, and give every other its supernet."""
    search.step(trainer, "train")
    for context in contexts:
        mine, theirs = context.folder.frozen, trainer.folder.frozen
        if theirs.exists() and not mine.exists():
            _link(theirs, mine)
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
    board.added += search.step(board.context, "measure")


def _evaluate_once(boards: Sequence[BoardRun]) -> Callable[[BoardRun], None]:
    """Return the work of evaluating what no board of the same scheme and engine has evaluated."""

    def work(board: BoardRun) -> None:
        context = board.context
        missing = set(to_evaluate(context)) - {e.architecture for e in context.evaluations()}
        for other in boards:
            if other.error is None and _same_files(other.context, context):
                for evaluation in other.context.evaluations():
                    if evaluation.architecture in missing:
                        context.store.add_evaluation(evaluation)
                        missing.remove(evaluation.architecture)
                        board.added += 1
        board.added += search.step(context, "evaluate")

    return work


def _same_files(one: RunContext, other: RunContext) -> bool:
    """Whether both emit the same files, and run them in the same engine of the host."""
    return (one.target.scheme, one.engine.exporter, one.engine.host_engine) == (
        other.target.scheme,
        other.engine.exporter,
        other.engine.host_engine,
    )


def _conclude(board: BoardRun) -> None:
    board.document = search.conclude(board.context, board.added)


def _side_by_side(
    machines: Sequence[Sequence[BoardRun]], work: Callable[[BoardRun], None], turn: threading.Lock
) -> None:
    """Do `work` for all machines at once; the host's own part of it takes turns."""
    bugs: list[BaseException] = []

    def run(engines: Sequence[BoardRun]) -> None:
        try:
            with turn:
                for board in engines:
                    board.attempt(work)
        except Exception as bug:  # noqa: BLE001 - raised below, in the thread that started this one
            bugs.append(bug)

    # daemons: an interrupted command ends at once, while the boards go on and are followed later
    threads = [threading.Thread(target=run, args=(one,), daemon=True) for one in machines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if bugs:
        raise bugs[0]
