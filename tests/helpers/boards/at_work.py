"""A search's host and board at work on slow models, watched by a test from outside."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgenas.core.progress import Silent, Task
from edgenas.core.records import Outcome
from edgenas.targets.base import MeasureSettings, ModelFile
from edgenas.targets.config import Access
from edgenas.targets.ssh import SshTarget
from helpers.boards.emulated import EmulatedBoard
from helpers.boards.loopback import LoopbackBoard
from helpers.local_job import passes, wait_until
from helpers.scripted_runtime import QUICK, scripted_model, scripted_runtime

PASSES = 8
SETTINGS = replace(QUICK, min_runs=10, min_passes=PASSES, max_passes=PASSES, anchor="a")


class Watcher(Silent):
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)

    @contextmanager
    def task(self, title: str, total: float) -> Iterator[Task]:
        watcher = self

        class Bar:
            def advance(self, units: float = 1.0) -> None:
                pass

            def note(self, text: str) -> None:
                watcher.notes.append(text)

        yield Bar()


class AtWork:
    """One host that measures models on a board, in a thread of its own."""

    def __init__(
        self, board: LoopbackBoard | EmulatedBoard, folder: Path, seconds: float = 0.02
    ) -> None:
        self.board = board
        self.folder = folder
        self.models = [scripted_model(folder, key, f"sleep {seconds}") for key in ("a", "b")]
        self.settings = SETTINGS
        self.job_dir = folder / "jobs"
        self.progress = Watcher()
        self.target = self.new_target()
        self.outcomes: dict[str, Outcome] = {}
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._measure, daemon=True)

    def new_target(self, **setup: Any) -> SshTarget:
        config = replace(self.board.target_config(setup=setup), engine="scripted")
        return SshTarget(config, Access(), scripted_runtime(self.folder / "runtime_copy"))

    def _measure(self) -> None:
        try:
            self.outcomes = self.target.measure(
                self.models, self.settings, self.job_dir, self.progress
            )
        except BaseException as problem:  # noqa: BLE001 - for the test to look at
            self.error = problem

    def start(self) -> AtWork:
        self._thread.start()
        return self

    def give_up_after(self, seconds: float) -> None:
        """Let the host wait that long for a board it has lost, from now on.

        A target made so impatient from the start may give up a healthy board on a busy machine.
        """
        board = self.target._board
        board._setup = replace(board._setup, reconnect_s=seconds)

    def join(self, seconds: float = 240) -> dict[str, Outcome]:
        """Return the outcomes; raise what the host raised."""
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "the host hangs"
        self.target.close()
        if self.error is not None:
            raise self.error
        return self.outcomes

    def wait_for_passes(self, count: int, seconds: float = 120) -> None:
        """Wait until the host's copy of the journal has that many whole passes."""
        wait_until(lambda: len(passes(self.journal())) >= count or self.error is not None, seconds)
        assert self.error is None, self.error

    def journal(self) -> list[dict[str, Any]]:
        return records(self.job_dir)

    def noticed(self) -> bool:
        """Whether the host was without a link at some time."""
        return any("trying again" in note for note in self.progress.notes)

    def assert_whole(self, seconds: float = 240) -> None:
        """Every pass was counted once, in order and as the journal has it; none is missing."""
        outcomes = self.join(seconds)
        assert all(outcome.status == "ok" for outcome in outcomes.values())
        latency = outcomes["b"].latency
        assert latency is not None and len(latency.samples_ns) == PASSES
        assert [list(samples) for samples in latency.samples_ns] == passes(self.journal())
        indices = [record["index"] for record in self.journal() if record["type"] == "pass"]
        assert indices == list(range(PASSES))

    def starts(self) -> int:
        """How often the runtime was started on the job."""
        return sum(record["type"] == "started" for record in self.journal())


def records(folder: Path) -> list[dict[str, Any]]:
    found = list(folder.glob("*/journal.jsonl"))
    content = found[0].read_bytes() if found else b""
    return [json.loads(line) for line in content[: content.rfind(b"\n") + 1].splitlines()]


def model_of(folder: Path, key: str, behaviour: str) -> ModelFile:
    return scripted_model(folder, key, behaviour)


def quick(**changes: Any) -> MeasureSettings:
    return replace(SETTINGS, **changes)


def host_program(board: LoopbackBoard, folder: Path, then: str) -> str:
    """Return a program that is a host of its own at `work` on the board, and does `then`."""
    told = {name: getattr(board, name) for name in ("name", "host", "user", "user_key", "home")}
    return (
        "import sys\nfrom pathlib import Path, PosixPath\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from types import SimpleNamespace\n"
        "from helpers.boards.at_work import AtWork\n"
        "from helpers.boards.loopback import LoopbackBoard\n"
        f"board = SimpleNamespace(port={board.port}, **{told!r})\n"
        "board.target_config = lambda **k: LoopbackBoard.target_config(board, **k)\n"
        f"work = AtWork(board, Path({str(folder)!r}))\n{then}"
    )
