"""Boards without bounds: each limit in time and bytes ends what has no end, and names its key."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from device_runtime import protocol
from edgenas.core.errors import InputError, MeasurementError, TargetError
from edgenas.core.progress import Silent
from edgenas.targets.base import Preprocess
from edgenas.targets.config import Access, Limits, TargetConfig, read
from edgenas.targets.jobs.journal import Follower
from edgenas.targets.local import LocalTarget
from edgenas.targets.remote import connection, ssh_config
from edgenas.targets.remote.ssh_config import Endpoint
from edgenas.targets.remote.transport import LinkLostError, Login, connect
from edgenas.targets.ssh import SshTarget
from edgenas.targets.waiting import Waited
from helpers.boards.at_work import AtWork, host_program, passes, records, wait_until
from helpers.boards.loopback import LoopbackBoard
from helpers.scripted_runtime import scripted_runtime

ROOT = Path(__file__).parents[2]

# An agent that answers as one, and then without end; `TAIL` and `READ` say with what.
LIAR = """#!PYTHON
import json, os, sys, time
here = os.fdopen(0, "rb", buffering=0)
def take(size):
    content = b""
    while len(content) < size:
        content += here.read(size - len(content)) or sys.exit()
    return content
def answer(fields, payload=b""):
    os.write(1, json.dumps({**fields, "bytes": len(payload)}).encode() + b"\\n")
    while payload:
        payload = payload[os.write(1, payload):]
print("edgenas-python 3 11", flush=True)
take(int(take(8)))
answer({"hello": "edgenas"})
lines = os.fdopen(os.dup(0), "rb")
job = {}
for line in lines:
    asked = json.loads(line)
    lines.read(asked["bytes"])
    do = asked["do"]
    if do == "probe":
        answer({"machine": {"machine": "x86_64", "python": "3.11.2", "libc": "glibc 2.36"},
                "state": {}, "engines": {}, "folder": "/", "writable": True, "holder": {}})
    elif do == "have":
        answer({"blobs": dict.fromkeys(asked["blobs"], -1), "packages": asked["packages"],
                "free_bytes": 10**15})
    elif do == "compare":
        answer({"same": True, "running": False})
    elif do == "place":
        job = json.loads(asked["text"])
        import hashlib
        started = {"type": "started", "version": job["version"], "engine": job["engine"],
                   "engine_version": "1", "machine": {},
                   "job": hashlib.sha256(asked["text"].encode()).hexdigest()}
        key = job["models"][0]["key"]
        answer({})
    elif do == "start":
        answer({"state": "started"})
    elif do == "tail":
        TAIL
    elif do == "read":
        READ
    else:
        answer({})
"""
ENDLESS_JOURNAL = """
        record = {"type": "checked", "key": key, "provider": "x", "affinity": [],
                  "rss_before_bytes": None, "peak_rss_bytes": None, "seconds": 0.0}
        content = (json.dumps(started) + "\\n").encode() if asked["offset"] == 0 else b""
        content += (json.dumps(record) + "\\n").encode() * 5000
        answer({"running": True, "size": 10**15}, content)
"""
NOTHING_NEW = """
        time.sleep(asked["wait_s"])
        answer({"running": True, "size": 0})
"""
ENDS_NEVER = """
        content = b"{" * 10  # the same piece of a line again and again, of a journal that is done
        answer({"running": False, "size": 10**15}, content)
"""
INFERRED = """
        inferred = {"type": "inferred", "key": key, "first": 0, "rows": 3, "classes": CLASSES,
                    "sha256": "0" * 64}
        said = [started, inferred, {"type": "ended", "why": "finished"}]
        content = "".join(json.dumps(record) + "\\n" for record in said).encode()
        answer({"running": False, "size": len(content)}, content)
"""
ENDLESS_FILE = """
        answer({"size": 10**15}, b"x" * (1 << 20))
"""


def script(board: LoopbackBoard, text: str) -> str:
    path = board.folder / "liar"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def liar(board: LoopbackBoard, tail: str, read_file: str = "pass") -> str:
    text = LIAR.replace("PYTHON", sys.executable).replace("TAIL", tail.strip())
    return script(board, text.replace("READ", read_file.strip()))


def target(work: AtWork, python: str, limits: Limits | None = None, **setup: float) -> SshTarget:
    config = work.board.target_config(setup={"python": python, "reconnect_s": 1, **setup})
    config = replace(config, engine="scripted", limits=limits or Limits())
    return SshTarget(config, Access(), scripted_runtime(work.folder / "runtime_copy"))


@pytest.fixture
def work(board: LoopbackBoard, tmp_path: Path) -> AtWork:
    return AtWork(board, tmp_path)


def test_banner_that_is_dripped_is_given_up(work: AtWork) -> None:
    dripping = f"#!{sys.executable}\nimport os, time\nwhile os.write(1, b'y'): time.sleep(0.1)\n"
    work.target = target(work, script(work.board, dripping), silence_s=2)
    with pytest.raises(TargetError, match="no whole answer in time"):
        work.start().join(60)


@pytest.mark.parametrize("piece", [b"x", b"x" * 65536], ids=["dripped", "flooded"])
def test_server_that_never_greets_is_given_up(tmp_path: Path, piece: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet() -> None:
            made, _ = server.accept()
            with made, contextlib.suppress(OSError):
                while made.send(piece):
                    time.sleep(0.05)

        threading.Thread(target=greet, daemon=True).start()
        endpoint = Endpoint("pi", "127.0.0.1", server.getsockname()[1], "pi")
        with pytest.raises(LinkLostError, match="cannot be reached: no answer in time"):
            connect(endpoint, Login(silence_s=1))


@pytest.mark.smoke
def test_banner_without_end_is_given_up(work: AtWork) -> None:
    work.target = target(work, script(work.board, "#!/bin/sh\nexec yes welcome\n"), answer_mb=0.2)
    with pytest.raises(MeasurementError, match=r"over 0\.2 MB") as refused:
        work.start().join(60)
    assert "[board] answer_mb" in refused.value.hint


def test_answer_that_is_dripped_is_given_up(work: AtWork) -> None:
    tail = "for byte in b' ' * 10**6: os.write(1, b' '); time.sleep(0.1)"
    work.target = target(work, liar(work.board, tail), silence_s=2)
    with pytest.raises(TargetError, match="no whole answer in time"):
        work.start().join(60)


def test_file_that_is_dripped_is_given_up(work: AtWork) -> None:
    tail = """os.write(1, b'{"running": true, "size": 9, "bytes": 50000}\\\\n')
        for byte in b' ' * 10**6: os.write(1, b' '); time.sleep(0.1)"""
    work.target = target(work, liar(work.board, tail), silence_s=1, slowest_kb_s=50)
    with pytest.raises(TargetError, match="no whole answer in time"):
        work.start().join(60)


@pytest.mark.parametrize("tail", [NOTHING_NEW, ENDS_NEVER], ids=["at work", "ending"])
def test_job_at_work_for_ever_is_given_up(work: AtWork, tail: str) -> None:
    work.target = target(work, liar(work.board, tail), Limits(stalled_s=1), silence_s=2)
    with pytest.raises(MeasurementError, match="nothing new for 1 s") as stalled:
        work.start().join(60)
    assert "[limits] stalled_s" in stalled.value.hint and "--resume" in stalled.value.hint


def test_valid_journal_without_end_is_given_up(work: AtWork) -> None:
    work.target = target(work, liar(work.board, ENDLESS_JOURNAL), Limits(journal_mb=2))
    with pytest.raises(MeasurementError, match="journal of target 'board' is longer than 2 MB"):
        work.start().join(60)


@pytest.mark.parametrize(
    ("classes", "message"),
    [(3, r"logits-0\.npy is 1000000000000000 bytes, not"), (10**9, "the logits are 12000 MB")],
)
def test_logits_without_end_are_given_up(work: AtWork, classes: int, message: str) -> None:
    tail = INFERRED.replace("CLASSES", str(classes))
    board = target(work, liar(work.board, tail, ENDLESS_FILE))
    images = np.zeros((3, 3, 8, 8), np.uint8)
    how = Preprocess((0.5,) * 3, (0.5,) * 3)
    with pytest.raises(MeasurementError, match=message):
        board.infer(work.models[0], images, how, work.folder / "jobs", Silent())
    board.close()


def test_journal_of_more_passes_than_asked_for_is_refused() -> None:
    settings = protocol.Settings(1.0, 1.0, 5, 2, 4, 0.1, 0.1, 0.05, 0.05, 0.0, 10.0, 5.0, None, 0)
    model = protocol.JobModel("a", "ab" * 32)
    job = protocol.Job(protocol.VERSION, "measure", "onnxruntime", 1, (), (model,), settings)
    started = protocol.Started(protocol.VERSION, job.job_id, "onnxruntime", "1", {})
    follower = Follower(job, "pi", "the job folder")
    lines: list[protocol.Record] = [started]
    for index in range(5):
        lines += [protocol.Timed(index, "a", (1,)), protocol.PassEnded(index, 0.0, {}, {})]
    content = "".join(protocol.write_record(line) + "\n" for line in lines).encode()
    with pytest.raises(MeasurementError, match="line 11: pass 4 is more than the job asks for"):
        follower.feed(content)


@pytest.mark.parametrize("line", ["answer_mb = 0", "slowest_kb_s = 0.0", "silence_s = -1"])
def test_limit_that_is_none_is_refused(tmp_path: Path, line: str) -> None:
    path = tmp_path / "pi.toml"
    path.write_text(f'kind = "ssh"\n[board]\n{line}\n')
    with pytest.raises(InputError, match=rf"{line.split(maxsplit=1)[0]} .*must be above 0"):
        read(path)


# ---------------------------------------------------------------- a host that is stopped


def test_time_in_which_the_host_was_stopped_is_not_waited() -> None:
    waited = Waited()
    with waited.stretch(0.25):
        time.sleep(0.5)
    waited.sleep(0.125)
    assert waited.seconds == 0.375


def test_host_that_was_asleep_tries_again(board: LoopbackBoard, tmp_path: Path) -> None:
    program = host_program(
        board,
        tmp_path,
        "work.target = work.new_target(reconnect_s=3)\nwork._measure()\n"
        "print(work.error or 'measured', flush=True)\n",
    )
    host = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: len(passes(records(tmp_path / "jobs"))) >= 1)
    host.send_signal(signal.SIGSTOP)
    time.sleep(4)  # longer than it would wait
    board.link.mend()  # what was open meanwhile is gone
    host.send_signal(signal.SIGCONT)
    said, _ = host.communicate(timeout=120)
    assert said == "measured\n"


# ---------------------------------------------------------------- archives


def test_truncated_archive_is_no_lost_link(board: LoopbackBoard, tmp_path: Path) -> None:
    archive = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff\xed\xd1"  # the start of a .tar.gz
    name = hashlib.sha256(archive).hexdigest()
    link = connect(ssh_config.endpoint(board.target_config().connection), Login())
    agent = connection.Connection("board", link, sys.executable, "")
    agent.put(archive, {"blobs": [[name, 0, len(archive)]]}, lambda size: None)
    with pytest.raises(connection.BoardError, match=r"'board' could not do it: .*end-of-stream"):
        agent.ask("unpack", b"", 20, {"blob": name, "package": "broken"})
    assert agent.ask("have", b"", 20, {"blobs": [], "packages": ["broken"]})[0]["packages"] == []
    agent.close()


# ---------------------------------------------------------------- what was said is told


def broken_runtime(work: AtWork, does: str) -> Path:
    """A runtime that says something and ends."""
    runtime = scripted_runtime(work.folder / "broken_copy")
    (runtime / "__main__.py").write_text(f"import sys\n{does}\nsys.exit(1)\n")
    return runtime


@pytest.mark.parametrize(
    ("does", "said"),
    [
        ("print('no room for numpy')", "no room for numpy"),
        ("print('no room for numpy', file=sys.stderr)", "no room for numpy"),
        ("", "it ended with status 1, without a word"),
    ],
)
def test_what_the_runtime_said_is_told(work: AtWork, does: str, said: str) -> None:
    config = replace(work.board.target_config(), engine="scripted")
    work.target = SshTarget(config, Access(), broken_runtime(work, does))
    with pytest.raises(TargetError, match=rf"does not start on target 'board': {said}\."):
        work.start().join(60)


def test_what_the_runtime_said_here_is_told(tmp_path: Path) -> None:
    runtime = scripted_runtime(tmp_path / "runtime_copy")
    (runtime / "__main__.py").write_text("raise ImportError('libm.so.6: cannot open')\n")
    here = LocalTarget(TargetConfig("here", "local", "test", engine="scripted"), runtime)
    with pytest.raises(TargetError, match=r"cannot be probed: [^$]*libm\.so\.6: cannot open\.$"):
        here.probe()
