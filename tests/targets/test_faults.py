"""Faults injected into real processes: each ends in finished work kept and a clear reason."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from device_runtime import protocol
from edgenas.core.errors import MeasurementError
from edgenas.core.files.run_folder import write_json
from edgenas.core.progress import Silent
from edgenas.core.records import to_json
from edgenas.targets.base import ModelFile
from edgenas.targets.jobs import detached
from edgenas.targets.local import LocalTarget
from helpers.local_job import Board, wait_until
from helpers.scripted_runtime import QUICK, scripted_model, scripted_target

ROOT = Path(__file__).parents[2]


@pytest.fixture
def target(tmp_path: Path) -> LocalTarget:
    return scripted_target(tmp_path / "runtime_copy")


@pytest.fixture
def model(tmp_path: Path) -> Callable[[str, str], ModelFile]:
    return lambda key, behaviour: scripted_model(tmp_path, key, behaviour)


CRASHES = {
    "refuse": "check: RuntimeError: no kernel for operator Foo",
    "segfault": "check: the worker process was ended by SIGSEGV: about to read address 0",
    "segfault_later": "timing: the worker process was ended by SIGSEGV: about to read address 0",
    "be_killed": "check: the worker process was ended by SIGKILL (most likely out of memory)",
}
HANGS = {
    "hang": "check: no sign of life for 2 s: killed as hanging",
    "hang_later": "timing: no sign of life for 2 s: killed as hanging",
}


@pytest.mark.parametrize(("reasons", "timeout_s"), [(CRASHES, 20), (HANGS, 2)])
def test_bad_models_are_recorded_and_the_rest_goes_on(
    target: LocalTarget, tmp_path: Path, reasons: dict[str, str], timeout_s: float
) -> None:
    behaviours = {"good": "sleep 0.0002", **{word: word for word in reasons}, "noisy": "chatter"}
    models = [scripted_model(tmp_path, *item) for item in behaviours.items()]
    settings = replace(QUICK, timeout_s=timeout_s, anchor="good")

    outcomes = target.measure(models, settings, tmp_path / "jobs", Silent())

    for key, reason in reasons.items():
        assert outcomes[key].status == "failed" and outcomes[key].latency is None
        assert outcomes[key].reason == reason
    for key in ("good", "noisy"):
        latency = outcomes[key].latency
        assert outcomes[key].status == "ok" and latency is not None
        assert 0.2 <= latency.median_ms < 100


def test_failed_anchor_leaves_the_times_as_they_are(
    target: LocalTarget, model: Callable[[str, str], ModelFile], tmp_path: Path
) -> None:
    models = [model("good", "sleep 0.0002"), model("bad", "refuse")]
    settings = replace(QUICK, anchor="bad")
    outcomes = target.measure(models, settings, tmp_path / "jobs", Silent())
    latency = outcomes["good"].latency
    assert latency is not None and set(latency.drift) == {1.0}


def test_model_gets_a_second_chance_alone_after_a_crash_in_company(
    target: LocalTarget, model: Callable[[str, str], ModelFile], tmp_path: Path
) -> None:
    models = [model("good", "sleep 0.0002"), model("once", f"crash_once {tmp_path / 'mark'}")]
    outcomes = target.measure(models, QUICK, tmp_path / "jobs", Silent())
    assert (tmp_path / "mark").exists()
    assert outcomes["once"].status == "ok" and outcomes["good"].status == "ok"


def test_budget_ends_after_whole_passes_and_says_so(
    target: LocalTarget, model: Callable[[str, str], ModelFile], tmp_path: Path
) -> None:
    settings = replace(QUICK, relative_ci=1e-9, max_passes=1000, min_passes=3, budget_s=1.0)
    models = [model("a", "sleep 0.01"), model("b", "sleep 0.01")]
    outcomes = target.measure(models, settings, tmp_path / "jobs", Silent())
    latency = outcomes["a"].latency
    assert latency is not None and not latency.converged
    assert 1 <= len(latency.samples_ns) < 100
    assert outcomes["a"].environment["ended"] == "budget"


def test_one_pass_has_no_interval_and_is_written_without_infinity(
    target: LocalTarget, model: Callable[[str, str], ModelFile], tmp_path: Path
) -> None:
    settings = replace(QUICK, relative_ci=1e-9, max_passes=1000, budget_s=0.01)
    outcome = target.measure([model("a", "sleep 0.001")], settings, tmp_path / "jobs", Silent())[
        "a"
    ]
    assert outcome.latency is not None
    assert outcome.latency.ci95_ms is None
    assert outcome.latency.span_ms == (outcome.latency.median_ms,) * 2
    write_json(tmp_path / "outcome.json", to_json(outcome))  # refuses infinity


def test_model_changed_after_it_was_listed(
    target: LocalTarget, model: Callable[[str, str], ModelFile], tmp_path: Path
) -> None:
    changed = model("a", "sleep 0.0002")
    changed.path.write_text("sleep 0.0003")
    outcome = target.measure([changed], QUICK, tmp_path / "jobs", Silent())["a"]
    assert outcome.reason == "check: a is not the file that was sent: its SHA-256 differs"


# ---------------------------------------------------------------- interruption


@pytest.fixture
def board(target: LocalTarget, tmp_path: Path) -> Iterator[Board]:
    board = Board(target, tmp_path)
    yield board
    if board.process is not None:
        board.process.kill()
        board.process.communicate()


@pytest.fixture
def slow_board(target: LocalTarget, tmp_path: Path) -> Iterator[Board]:
    """A board that is still at work when this process gets the processor again."""
    board = Board(target, tmp_path, run_s=0.1)
    yield board
    if board.process is not None:
        board.process.kill()
        board.process.communicate()


def children(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes in /proc")
@pytest.mark.parametrize("torn", [b"", b'{"index":3,"key":"b","samp'])
def test_killed_runtime_goes_on_where_it_was(
    target: LocalTarget, board: Board, torn: bytes
) -> None:
    process = board.start()
    board.wait_for_passes(3)
    workers = children(process.pid)
    assert workers
    process.kill()
    process.wait()
    wait_until(lambda: not any(map(alive, workers)))
    before = board.passes()
    with board.journal.open("ab") as stream:
        stream.write(torn)

    outcomes = target.measure(board.models, board.settings, board.job_dir, Silent())

    latency = outcomes["b"].latency
    assert latency is not None and len(latency.samples_ns) == 12
    assert [list(samples) for samples in latency.samples_ns[: len(before)]] == before
    assert [list(samples) for samples in latency.samples_ns] == board.passes()
    assert outcomes["b"].environment["restarts"] == 1
    checks = [record["key"] for record in board.records() if record["type"] == "checked"]
    assert sorted(checks) == ["a", "b"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_stops_in_order(slow_board: Board, number: int) -> None:
    board = slow_board
    before = signal.signal(
        number, signal.SIG_DFL
    )  # what a shell runs behind its back ignores SIGINT
    process = board.start()
    signal.signal(number, before)
    board.wait_for_passes(1)
    workers = children(process.pid)
    process.send_signal(number)
    assert process.wait(10) == 3
    assert not any(map(alive, workers))
    assert board.journal.read_bytes().endswith(b"\n")
    assert board.records()[-1]["type"] != "ended"


def test_killed_host_takes_the_runtime_with_it(board: Board, tmp_path: Path) -> None:
    script = tmp_path / "host.py"
    script.write_text(
        "import sys; from pathlib import Path\n"
        "from edgenas.core.progress import Silent\n"
        "from helpers.local_job import Board\n"
        "from helpers.scripted_runtime import scripted_target\n"
        f"target = scripted_target(Path({str(tmp_path / 'runtime_copy')!r}))\n"
        f"board = Board(target, Path({str(tmp_path)!r}))\n"
        "target.measure(board.models, board.settings, board.job_dir, Silent())\n"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    host = subprocess.Popen([sys.executable, str(script)], env={**os.environ, "PYTHONPATH": path})
    board.wait_for_passes(1)
    (runtime,) = children(host.pid)
    workers = children(runtime)
    host.kill()
    host.wait()
    wait_until(lambda: not any(map(alive, [runtime, *workers])))
    assert len(board.passes()) < 12


def test_full_disk_keeps_what_was_written(target: LocalTarget, board: Board) -> None:
    limited = (
        "import resource, runpy, sys\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))\n"
        "sys.argv = sys.argv[1:]\n"
        "runpy.run_module('device_runtime', run_name='__main__', alter_sys=True)\n"
    )
    command = [sys.executable, "-B", "-c", limited, "device_runtime", str(board.folder)]
    environment = {**os.environ, "PYTHONPATH": str(target._runtime.parent)}
    done = subprocess.run(
        command, env=environment, cwd=board.folder, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert b"File too large" in done.stderr and b"Traceback" not in done.stderr
    before = board.passes()
    assert 0 < len(before) < 12
    outcomes = target.measure(board.models, board.settings, board.job_dir, Silent())
    latency = outcomes["b"].latency
    assert latency is not None
    assert [list(samples) for samples in latency.samples_ns[: len(before)]] == before


# ---------------------------------------------------------------- journals that cannot be trusted


def test_foreign_journal_is_refused_and_named(target: LocalTarget, board: Board) -> None:
    started = {
        "type": "started",
        "version": protocol.VERSION,
        "job": "0" * 64,
        "engine": "scripted",
        "engine_version": "1.0",
        "machine": {},
    }
    board.journal.write_text(json.dumps(started) + "\n")
    with pytest.raises(MeasurementError, match="belongs to another job") as caught:
        target.measure(board.models, board.settings, board.job_dir, Silent())
    assert str(board.folder) in caught.value.hint
    assert json.loads(board.journal.read_text()) == started


def test_runtime_that_cannot_start_says_why(
    target: LocalTarget, board: Board, tmp_path: Path
) -> None:
    backend = tmp_path / "runtime_copy" / "device_runtime" / "backends" / "scripted.py"
    backend.write_text("raise ImportError('libengine.so.1: cannot open')\n" + backend.read_text())
    with pytest.raises(MeasurementError, match=r"libengine\.so\.1: cannot open"):
        target.measure(board.models, board.settings, board.job_dir, Silent())


@pytest.mark.parametrize("since", [1e300, float("nan"), -1e300, "yesterday", None])
def test_a_board_that_says_nonsense_of_who_measures_is_quoted_without_the_time(
    since: object,
) -> None:
    assert detached._holder({"host": "me@here", "since": since}) == "me@here"
