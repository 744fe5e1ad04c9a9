"""Faults between host and board: each ends in finished work kept and a message that helps."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgenas.core.errors import MeasurementError, TargetError
from edgenas.core.progress import Silent
from edgenas.targets.base import Preprocess
from edgenas.targets.remote import connection as connections
from edgenas.targets.remote import ssh_config
from edgenas.targets.remote.transport import LinkLostError, Login, connect
from helpers.boards.at_work import PASSES, AtWork, host_program, passes, records, wait_until
from helpers.boards.loopback import LoopbackBoard, own_python
from helpers.scripted_runtime import QUICK, scripted_model

ROOT = Path(__file__).parents[2]


@pytest.fixture
def work(board: LoopbackBoard, tmp_path: Path) -> AtWork:
    return AtWork(board, tmp_path)


@contextmanager
def frozen(board: LoopbackBoard) -> Iterator[None]:
    """Let the board's runtime stand still, so that it is not done before it is looked at."""
    (pid,) = board.runtimes()
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# ---------------------------------------------------------------- the link


@pytest.mark.smoke
def test_cut_link_is_made_again(work: AtWork) -> None:
    work.start().wait_for_passes(2)
    before = passes(work.journal())
    work.board.link.cut()
    wait_until(work.noticed)
    assert work.board.runtimes()
    work.board.link.mend()
    work.assert_whole()
    assert passes(work.journal())[: len(before)] == before
    assert work.starts() == 1


def python_that(board: LoopbackBoard, does: str) -> str:
    path = board.folder / "python"
    path.write_text(f"#!/bin/sh\n{does}\n")
    path.chmod(0o755)
    return str(path)


def test_link_cut_before_python_greets_is_no_broken_python(work: AtWork) -> None:
    began = work.board.folder / "began"
    work.target = work.new_target(python=python_that(work.board, f"touch {began}; sleep 60"))
    work.start()
    wait_until(began.exists)
    work.board.link.cut()
    with pytest.raises(LinkLostError, match="was lost"):
        work.join()


def test_python_that_is_killed_is_said_to_be(work: AtWork) -> None:
    work.target = work.new_target(python=python_that(work.board, "kill -9 $$"))
    with pytest.raises(TargetError, match=r"python' on target 'board' was killed: silently"):
        work.start().join()


def test_silent_link_is_noticed(work: AtWork) -> None:
    work.target = work.new_target(silence_s=2)
    work.start().wait_for_passes(2)
    work.board.link.silence()
    wait_until(work.noticed)
    work.board.link.mend()
    work.assert_whole()


def test_killed_sessions_leave_the_runtime_at_work(work: AtWork) -> None:
    work.start().wait_for_passes(2)
    work.board.kill_sessions()
    assert work.board.runtimes()
    work.assert_whole()
    assert work.starts() == 1


def test_board_that_stays_away_is_given_up_and_gone_on_with_later(
    board: LoopbackBoard, tmp_path: Path
) -> None:
    work = AtWork(board, tmp_path).start()
    work.wait_for_passes(2)
    kept = passes(work.journal())
    board.link.cut()
    work.give_up_after(2)
    with pytest.raises(LinkLostError, match=r"has not answered for \d+ s") as given_up:
        work.join()
    assert "--resume" in given_up.value.hint
    board.link.mend()
    again = AtWork(board, tmp_path).start()
    again.assert_whole()
    assert passes(again.journal())[: len(kept)] == kept


@pytest.mark.parametrize("seed", range(3))
def test_cut_at_any_moment_loses_and_doubles_nothing(
    board: LoopbackBoard, tmp_path: Path, seed: int
) -> None:
    work = AtWork(board, tmp_path).start()
    time.sleep(random.Random(seed).uniform(0.0, 2.5))
    board.link.cut()
    board.link.mend()
    if isinstance(work.error, LinkLostError):  # cut before the first connection was made
        work = AtWork(board, tmp_path).start()
    try:
        work.assert_whole()
    except LinkLostError:
        AtWork(board, tmp_path).start().assert_whole()


# ---------------------------------------------------------------- the board


def test_rebooted_board_goes_on(work: AtWork) -> None:
    work.start().wait_for_passes(2)
    before = passes(work.journal())
    work.board.link.silence()
    work.board.stop()  # the plug is pulled: nothing says goodbye
    work.board.link.mend()
    work.board.start()
    work.assert_whole()
    assert passes(work.journal())[: len(before)] == before
    assert work.starts() == 2


def test_journal_that_the_board_lost_is_brought_back(work: AtWork) -> None:
    work.start().wait_for_passes(3)
    kept = passes(work.journal())
    work.board.link.silence()
    work.board.stop()
    for journal in work.board.cache.glob("jobs/*/journal.jsonl"):
        journal.write_bytes(journal.read_bytes()[:-400])  # not on the card yet when it went dark
    work.board.link.cut()
    work.give_up_after(0.1)
    with pytest.raises(TargetError):
        work.join()
    work.board.link.mend()
    work.board.start()
    again = AtWork(work.board, work.folder).start()
    again.assert_whole()
    assert passes(again.journal())[: len(kept)] == kept


def test_killed_runtime_is_started_again(work: AtWork) -> None:
    work.start().wait_for_passes(2)
    before = passes(work.journal())
    for pid in work.board.runtimes():
        os.kill(pid, signal.SIGKILL)
    work.assert_whole()
    assert passes(work.journal())[: len(before)] == before


def test_frozen_runtime_is_waited_for(work: AtWork) -> None:
    work.start().wait_for_passes(2)
    with frozen(work.board):
        time.sleep(1)
    work.assert_whole()


def test_models_that_crash_or_hang_cost_only_themselves(
    board: LoopbackBoard, tmp_path: Path
) -> None:
    work = AtWork(board, tmp_path)
    words = ("segfault", "be_killed", "hang", "refuse")
    work.models += [scripted_model(tmp_path, word, word) for word in words]
    work.settings = replace(work.settings, min_passes=2, max_passes=2, timeout_s=2)
    outcomes = work.start().join()
    assert outcomes["a"].status == outcomes["b"].status == "ok"
    assert "SIGSEGV" in outcomes["segfault"].reason
    assert "out of memory" in outcomes["be_killed"].reason
    assert "hanging" in outcomes["hang"].reason and "Foo" in outcomes["refuse"].reason


def test_disk_full_while_sending(board: LoopbackBoard, tmp_path: Path) -> None:
    folder = _small_disk(tmp_path, "200k")
    try:
        work = AtWork(board, tmp_path)
        work.target = work.new_target(cache_dir=str(folder))
        work.models.append(scripted_model(tmp_path, "big", "sleep 0.001".ljust(300_000)))
        with pytest.raises(TargetError, match=r"disk") as full:
            work.start().join()
        assert "edgenas target clean" in full.value.hint
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_disk_full_while_measuring(board: LoopbackBoard, tmp_path: Path) -> None:
    folder = _small_disk(tmp_path, "1500k")
    try:
        work = AtWork(board, tmp_path)
        work.target = work.new_target(cache_dir=str(folder))
        work.start().wait_for_passes(2)
        filler = folder / "filler"
        with pytest.raises(OSError), filler.open("wb") as file:
            while True:
                file.write(bytes(4096))
                file.flush()
        with pytest.raises(MeasurementError, match=r"stopped early: .*(No space|disk is full)"):
            work.join()
        kept = passes(work.journal())
        assert len(kept) >= 2
        filler.unlink()
        again = AtWork(board, tmp_path)
        again.target = again.new_target(cache_dir=str(folder))
        again.start()
        again.assert_whole()
        assert passes(again.journal())[: len(kept)] == kept
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def _small_disk(tmp_path: Path, size: str) -> Path:
    folder = tmp_path / "small disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a small disk needs root, who may mount")
    return folder


def test_home_that_cannot_be_written(board: LoopbackBoard, tmp_path: Path) -> None:
    (board.home / ".cache").write_text("a file where a folder should be")
    work = AtWork(board, tmp_path)
    with pytest.raises(TargetError, match="does not let edgenas write") as refused:
        work.start().join()
    assert "[board] cache_dir" in refused.value.hint
    again = AtWork(board, tmp_path)
    again.target = again.new_target(cache_dir=str(board.folder / "else where"))
    again.start()
    assert again.join()["a"].status == "ok"


# ---------------------------------------------------------------- its Python


def test_board_without_python(work: AtWork) -> None:
    work.target = work.new_target(python="/nowhere/python3")
    with pytest.raises(TargetError, match="has no '/nowhere/python3'") as none:
        work.start().join()
    assert "sudo apt install python3" in none.value.hint


def test_python_that_is_too_old(work: AtWork, board: LoopbackBoard) -> None:
    old = board.folder / "python3.7"
    old.write_text("#!/bin/sh\necho 'Welcome to the board!'\necho edgenas-python 3 7\n")
    old.chmod(0o755)
    work.target = work.new_target(python=str(old))
    with pytest.raises(TargetError, match=r"Python 3\.7; 3\.8 or newer") as too_old:
        work.start().join()
    assert "[board] python" in too_old.value.hint


def test_greeting_of_any_python_is_its_version() -> None:
    program = connections._BOOT
    for version in ((2, 7), (3, 6)):
        told = program.replace("sys.version_info[:2]", repr(version)).replace(
            "sys.version_info >=", f"{version} >="
        )
        done = subprocess.run([sys.executable, "-c", told], capture_output=True, check=True)
        assert done.stdout.decode() == f"edgenas-python {version[0]} {version[1]}\n"


def test_what_the_shell_prints_at_login_is_skipped(board: LoopbackBoard, tmp_path: Path) -> None:
    noisy = board.folder / "noisy"
    noisy.write_text(f"#!/bin/sh\necho 'Last login: today'\nexec {sys.executable} \"$@\"\n")
    noisy.chmod(0o755)
    work = AtWork(board, tmp_path)
    work.target = work.new_target(python=str(noisy))
    assert work.start().join()["a"].status == "ok"


# ---------------------------------------------------------------- what comes back


def _answering(board: LoopbackBoard, answer: str, version: str = "3 11") -> str:
    """A Python whose agent says hello, and then `answer` to whatever it is asked."""
    path = board.folder / "liar"
    path.write_text(
        f"#!{sys.executable}\nimport sys\nprint('edgenas-python {version}', flush=True)\n"
        f'print(\'{{"hello": 1, "bytes": 0}}\', flush=True)\n'
        f"sys.stdin.readline()\nsys.stdout.write({answer!r})\nsys.stdout.flush()\n"
        "sys.stdin.read()\n"
    )
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "answer",
    [
        "what?\n",
        '{"bytes": -1}\n',
        '{"bytes": 1e3}\n',
        '{"bytes": 99999999999}\n',
        '{"bytes": 0}\n',
        "[1]\n",
        '{"machine": 7, "bytes": 0}\n',
        "x" * 3_000_000,
    ],
)
def test_answers_that_are_none(work: AtWork, answer: str) -> None:
    work.target = work.new_target(python=_answering(work.board, answer), reconnect_s=1)
    with pytest.raises(MeasurementError, match="'board'"):
        work.start().join()


def test_greeting_without_a_version(work: AtWork) -> None:
    work.target = work.new_target(python=_answering(work.board, "", "three"), reconnect_s=1)
    with pytest.raises(MeasurementError, match="'board' answered what is no answer"):
        work.start().join()


def _timed(work: AtWork) -> dict[str, object]:
    return next(record for record in work.journal() if record["type"] == "timed")


LIES: dict[str, Callable[[AtWork], str]] = {
    "no JSON": lambda work: "not json",
    "truncated": lambda work: json.dumps(_timed(work))[:-9],
    "not a number": lambda work: json.dumps({**_timed(work), "samples_ns": [float("nan")]}),
    "negative": lambda work: json.dumps({**_timed(work), "samples_ns": [-5]}),
    "path escape": lambda work: json.dumps({**_timed(work), "key": "../../etc/passwd"}),
    "another version": lambda work: json.dumps({**work.journal()[0], "version": 99}),
    "endless": lambda work: "y" * 1_200_000,
}


@pytest.mark.parametrize("lie", LIES)
def test_journal_that_lies_is_refused_and_what_was_right_is_kept(work: AtWork, lie: str) -> None:
    work.start().wait_for_passes(2)
    with frozen(work.board):
        kept = passes(work.journal())
        (journal,) = work.board.cache.glob("jobs/*/journal.jsonl")
        with journal.open("a") as file:
            file.write(LIES[lie](work) + "\n")
    with pytest.raises(MeasurementError, match="journal of target 'board'") as refused:
        work.join()
    assert "--resume" in refused.value.hint
    again = AtWork(work.board, work.folder).start()
    again.assert_whole()
    assert passes(again.journal())[: len(kept)] == kept


@pytest.mark.parametrize("keep", [slice(6, -1), slice(6, -40)], ids=["changed", "truncated"])
def test_logits_that_are_not_what_the_journal_says(
    board: LoopbackBoard, tmp_path: Path, keep: slice
) -> None:
    work = AtWork(board, tmp_path)
    images = np.zeros((3, 3, 8, 8), np.uint8)
    asked = work.target._board.ask

    def lying(do: str, *rest: object, **fields: object) -> object:
        answer, content = asked(do, *rest, **fields)  # type: ignore[arg-type]
        if do != "read":
            return answer, content
        wrong = b"\x93NUMPY" + content[keep] + b"\0"
        return replace(answer, size=len(wrong)), wrong

    work.target._board.ask = lying  # type: ignore[method-assign, assignment]
    how = Preprocess((0.5,) * 3, (0.5,) * 3)
    with pytest.raises(MeasurementError, match=r"logits-0\.npy is not the file"):
        work.target.infer(work.models[0], images, how, tmp_path / "jobs", Silent())
    work.target._board.ask = asked  # type: ignore[method-assign]
    inference = work.target.infer(work.models[0], images, how, tmp_path / "jobs", Silent())
    assert inference.logits is not None and inference.logits.shape == (3, 3)
    work.target.close()


# ---------------------------------------------------------------- the host


def test_host_killed_and_started_again(board: LoopbackBoard, tmp_path: Path) -> None:
    script = host_program(board, tmp_path, "work._measure()\n")
    host = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    wait_until(lambda: len(passes(records(tmp_path / "jobs"))) >= 2)
    host.kill()
    host.wait()
    kept = passes(records(tmp_path / "jobs"))
    (journal,) = (tmp_path / "jobs").glob("*/journal.jsonl")
    with journal.open("ab") as file:
        file.write(b'{"type":"timed","ind')  # what a killed host may leave
    assert board.runtimes()
    again = AtWork(board, tmp_path).start()
    again.assert_whole()
    assert passes(again.journal())[: len(kept)] == kept
    assert again.starts() == 1


def test_second_host_waits_and_says_for_whom(board: LoopbackBoard, tmp_path: Path) -> None:
    first = AtWork(board, tmp_path).start()
    first.wait_for_passes(1)
    (tmp_path / "second").mkdir()
    second = AtWork(board, tmp_path / "second")
    second.models = [scripted_model(tmp_path / "second", key, "sleep 0.004") for key in ("a", "b")]
    with frozen(board):
        second.start()
        wait_until(lambda: any("is measuring for" in note for note in second.progress.notes))
        assert len(board.runtimes()) == 1
    first.assert_whole()
    second.assert_whole()


def test_busy_board_is_not_cleaned_and_says_so_in_the_probe(work: AtWork) -> None:
    work.start().wait_for_passes(1)
    other = work.new_target()
    with frozen(work.board):
        with pytest.raises(TargetError, match="is measuring for"):
            other.clean()
        assert any("Another host" in problem for problem in other.probe().problems)
    work.assert_whole()
    assert "Removed" in other.clean()
    assert "nothing" in other.clean()
    assert not board_leftovers(work.board)
    other.close()


def board_leftovers(board: LoopbackBoard) -> list[Path]:
    folders = (board.home, board.temporary)
    return [path for folder in folders for path in folder.rglob("*") if path.name != ".cache"]


# ---------------------------------------------------------------- sending


@pytest.mark.smoke
def test_second_run_sends_next_to_nothing(board: LoopbackBoard, tmp_path: Path) -> None:
    AtWork(board, tmp_path).start().join()
    sent = board.link.sent_bytes
    again = AtWork(board, tmp_path)
    again.job_dir = tmp_path / "other jobs"
    again.start().join()
    assert board.link.sent_bytes - sent < 60_000  # the agent itself, requests and keys


def test_cut_while_sending_goes_on_where_it_was_cut(board: LoopbackBoard, tmp_path: Path) -> None:
    work = AtWork(board, tmp_path)
    size = 40_000_000
    work.models.append(scripted_model(tmp_path, "big", "sleep 0.001".ljust(size)))
    work.start()
    wait_until(lambda: any(part.stat().st_size > 10**6 for part in _parts(board)))
    board.link.cut()
    arrived = sum(part.stat().st_size for part in _parts(board))
    before = board.link.sent_bytes
    board.link.mend()
    assert work.join()["big"].status == "ok"
    assert board.link.sent_bytes - before < size - arrived + 2_000_000


def _parts(board: LoopbackBoard) -> list[Path]:
    return list(board.cache.glob("blobs/*-part"))


def test_nothing_is_sent_while_a_pass_runs(work: AtWork) -> None:
    work.start().wait_for_passes(1)
    sent = work.board.link.sent_bytes
    work.wait_for_passes(PASSES - 2)
    assert work.board.link.sent_bytes - sent < 5_000  # questions for the journal, keepalives
    work.assert_whole()


def test_names_are_nothing_to_the_boards_shell(board: LoopbackBoard, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    odd = f"a b'; touch {mark}; $(touch {mark}) `touch {mark}` \" * \\ \n ü"
    folder = board.folder / f"c 'd' $(touch {mark.name}) ; *"
    work = AtWork(board, tmp_path)
    work.target = work.new_target(python=own_python(board.folder), cache_dir=str(folder))
    work.target.name = work.target._board.name = odd
    assert work.start().join()["b"].status == "ok"
    assert not mark.exists() and not list(board.home.rglob(mark.name))
    assert (folder / "edgenas-board" / "packages").is_dir()
    assert "Removed" in work.target.clean() and not folder.exists()
    work.target.close()


def test_agent_ends_with_its_connection(board: LoopbackBoard) -> None:
    link = connect(ssh_config.endpoint(board.target_config().connection), Login())
    agent = connections.Connection("board", link, sys.executable, "")
    wait_until(board.sessions)
    agent.close()
    wait_until(lambda: not board.sessions())


@pytest.mark.parametrize("name", ["../../escape", "a/b", "", ".hidden"])
def test_agent_refuses_names_that_lead_elsewhere(board: LoopbackBoard, name: str) -> None:
    link = connect(ssh_config.endpoint(board.target_config().connection), Login())
    agent = connections.Connection("board", link, sys.executable, "")
    with pytest.raises(connections.BoardError, match=re.escape(repr(name))):
        agent.ask("forget", b"", 5, {"job": name})
    with pytest.raises(connections.BoardError):
        agent.ask("read", b"", 5, {"job": "a", "file": "../" + name, "offset": 0})
    assert agent.ask("have", b"", 5, {"blobs": [], "packages": []})[0]["packages"] == []
    agent.close()


def test_model_key_cannot_be_a_path(work: AtWork) -> None:
    from edgenas.core.errors import InputError

    work.models = [replace(work.models[0], key="../escape")]
    work.settings = replace(QUICK)
    with pytest.raises(InputError, match="file-name-safe"):
        work.start().join()


def test_job_text_on_the_board_is_the_hosts(work: AtWork) -> None:
    work.start().wait_for_passes(1)
    (placed,) = work.board.cache.glob("jobs/*/job.json")
    (here,) = work.job_dir.glob("*/job.json")
    assert json.loads(placed.read_text()) == json.loads(here.read_text())
    work.assert_whole()
