"""The dashboard of a folder: what it shows while runs are written, and what it keeps to itself."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from device_runtime import protocol
from edgenas.core.errors import InputError, RunFolderError
from edgenas.core.files.inside import read_inside
from edgenas.core.files.run_folder import RunFolder, write_json
from edgenas.core.progress import Silent
from edgenas.core.records import to_json
from edgenas.runs import progress_file
from edgenas.runs.config import RunConfig, write_config
from edgenas.runs.dashboard.server import HOSTS, listening, serve
from edgenas.runs.dashboard.state import State
from edgenas.runs.dashboard.watch import FolderWatch
from edgenas.runs.progress_file import AtWork
from helpers.browser import barriers, browser_or_skip
from helpers.cli import edgenas
from helpers.dashboard import TOKEN, Dashboard, served
from helpers.finished_run import finish, latency, verified
from helpers.html_page import HOSTILE
from helpers.learnt_run import learnt

pytest.importorskip("uvicorn", reason="needs pip install 'edgenas[dashboard]'")

REPORT = "<!DOCTYPE html><title>a report</title>"
NAMED = HOSTILE.replace("/", "|")  # no file's name has a slash


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a run that passed, one at work with a hostile name, and what is no run."""
    root = tmp_path / "runs"
    finish(RunFolder(root / "passed"), verified(latency()), RunConfig())
    (root / "passed" / "report.html").write_text(REPORT)
    working = RunFolder(root / NAMED)
    write_config(working, RunConfig(), "0")
    at_work(working)
    (root / "empty").mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    return root


def at_work(run: RunFolder, **changes: Any) -> AtWork:
    work = AtWork(os.getpid(), socket.gethostname(), f"Training {HOSTILE}", "loss 2", 0.25, 0.1, 60)
    write_json(run.progress, to_json(replace(work, **changes)))
    return replace(work, **changes)


@pytest.fixture
def dashboard(folder: Path) -> Any:
    with served(folder) as made:
        yield made


def told(board: Dashboard) -> dict[str, dict[str, Any]]:
    return {run["name"]: run for run in next(board.states())["runs"]}


def test_runs_are_told_with_what_they_are_at(dashboard: Dashboard) -> None:
    runs = told(dashboard)
    assert set(runs) == {"passed", NAMED}
    assert runs["passed"]["state"] == "pass" and runs["passed"]["has_report"]
    assert runs["passed"]["best"]["latency_ms"] == 0.15
    assert runs[NAMED]["state"] == "at work"
    assert runs[NAMED]["doing"]["seconds_left"] == 60
    assert runs[NAMED]["doing"]["step"] == f"Training {HOSTILE}"


def test_who_lacks_the_token_learns_nothing(dashboard: Dashboard) -> None:
    for token in ("", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "%00", "%ff"):
        for path in ("", "events", "compare?run=passed", "passed/report.html"):
            answer = dashboard.get(path, token=token)
            assert answer.status == 404 and "passed" not in answer.text, (token, path)


def test_a_name_that_only_points_here_is_refused(dashboard: Dashboard) -> None:
    assert all(dashboard.get("", host=f"{host}:{dashboard.port}").status == 200 for host in HOSTS)
    for host in ("evil.example", f"127.0.0.1.evil.example:{dashboard.port}", "localhost.evil"):
        assert dashboard.get("", host=host).status == 400


def test_nothing_can_be_asked_but_to_look(dashboard: Dashboard) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        for path in ("", "events", "compare", "passed/report.html"):
            assert dashboard.get(path, method=method).status == 405


def test_the_page_and_reports_run_nothing_of_others(dashboard: Dashboard) -> None:
    page, report = dashboard.get(""), dashboard.get("passed/report.html")
    assert report.text == REPORT
    for answer in (page, report):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "'unsafe-inline'" not in policy.split("style")[0]
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
    assert "sandbox allow-scripts" in report.headers["content-security-policy"]
    assert "connect-src 'none'" in report.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "../secret.txt",
        "..%2fsecret.txt",
        "passed/../../secret.txt",
        "passed%2f..%2f..%2fsecret.txt/report.html",
        "../report.html",
        "%2e%2e/report.html",
        "passed/run.json",
        "passed/%00/report.html",
        "/etc/passwd",
        "empty/report.html",
        "linked/report.html",
        "passed-link/report.html",
    ],
)
def test_no_path_leads_out_of_the_reports(folder: Path, dashboard: Dashboard, path: str) -> None:
    (folder / "passed" / "report.html").rename(folder.parent / "report.html")
    linked = RunFolder(folder / "linked")
    write_config(linked, RunConfig(), "0")
    linked.report.symlink_to(folder.parent / "secret.txt")
    (folder / "passed-link").symlink_to(folder / "passed")
    answer = dashboard.get(path)
    assert answer.status == 404 and "secret" not in answer.text and answer.text != REPORT


def test_a_file_is_read_below_its_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(b"12345")
    (tmp_path / "link").symlink_to(tmp_path / "in")
    os.mkfifo(tmp_path / "pipe")
    assert read_inside(tmp_path, "in/file", 5) == b"12345"
    for name in ("in/file2", "link/file", "in", "pipe", "../in/file", "in//file", "/etc/passwd"):
        with pytest.raises(RunFolderError):
            read_inside(tmp_path, name, 5)
    with pytest.raises(RunFolderError, match="longer"):
        read_inside(tmp_path, "in/file", 4)


def test_a_run_that_is_written_meanwhile_is_told_whole_to_fifty_pages(
    folder: Path, dashboard: Dashboard
) -> None:
    run, ended = RunFolder(folder / NAMED), threading.Event()

    def write() -> None:
        step = 0
        while not ended.is_set():
            step += 1
            at_work(run, title=f"Training {step}")
            finish(RunFolder(folder / f"new {step % 5}"), verified(latency()), RunConfig())

    def look(_: int) -> set[str]:
        seen = set()
        for state in dashboard.states():
            seen |= {one["doing"]["step"] for one in state["runs"] if one["doing"]}
            assert all(one["state"] in get_args(State) for one in state["runs"])
            if len(seen) > 1:
                return seen
        return seen

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        with ThreadPoolExecutor(50) as pages:
            seen = list(pages.map(look, range(50)))
    finally:
        ended.set()
        writer.join()
    assert all(len(one) > 1 for one in seen)
    assert told(dashboard)["passed"]["state"] == "pass"


def test_a_process_that_is_gone_is_not_at_work(folder: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    at_work(RunFolder(folder / NAMED), pid=gone.pid)
    (state,) = (one for one in FolderWatch(folder).look().runs if one.name == NAMED)
    assert state.state == "stopped" and state.doing is None


@pytest.mark.parametrize(
    "content", [b"{", b"[]", b'{"pid": "x"}', b"\xff", b"{" * 100_000, b'{"pid": 1}'], ids=repr
)
def test_a_file_that_edgenas_did_not_write_is_passed_over(folder: Path, content: bytes) -> None:
    for file in (RunFolder.progress, RunFolder.verification):
        (folder / "passed" / file.name).write_bytes(content)
    (state,) = (one for one in FolderWatch(folder).look().runs if one.name == "passed")
    assert state.state == "damaged"


def test_work_is_told_while_it_is_done_and_gone_at_its_end(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    write_config(run, RunConfig(), "0")
    with progress_file.kept(run, Silent(), whole=True) as progress:
        assert FolderWatch(tmp_path).look().runs[0].state == "stopped"
        with progress.task("Measuring on board", 10):
            doing = FolderWatch(tmp_path).look().runs[0].doing
            assert doing is not None and doing.step == "Measuring on board"
            assert doing.share is not None and doing.done == 0
    assert not run.progress.exists()


def test_the_best_so_far_keeps_the_limit(tmp_path: Path) -> None:
    context = learnt(tmp_path / "run")
    known = context.latencies()
    accuracy = {one.architecture: one.int8_accuracy for one in context.evaluations()}
    limit_ms = sorted(ms for ms, _ in known.values())[6]
    expected = max((n for n in known if known[n][0] <= limit_ms), key=accuracy.__getitem__)
    best = context.store.best_within(limit_ms)
    assert best == (expected, accuracy[expected], known[expected][0])
    assert context.store.best_within(0.0) is None
    options = replace(context.config, max_latency_ms=limit_ms)
    write_config(context.folder, options, "0")
    at_work(context.folder)
    shown = FolderWatch(tmp_path).look().runs[0].best
    assert shown is not None and shown.network == str(expected)


def test_the_journal_tells_how_warm_it_is_and_what_is_rejected(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    write_config(run, RunConfig(), "0")
    at_work(run)
    job_dir = run.jobs / "measure-1" / "measure-2"
    job_dir.mkdir(parents=True)
    settings = protocol.Settings(
        *(1.0, 1.0, 3, 2, 9, 0.1, 0.1, 0.05, 0.05, 0.0, 60.0, 60.0), None, 0
    )
    models = tuple(protocol.JobModel(key, "a" * 64) for key in ("a", "b"))
    job = protocol.Job(protocol.VERSION, "measure", "onnxruntime", 1, (), models, settings)
    (job_dir / protocol.JOB_FILE).write_text(job.to_json())
    watch, journal = FolderWatch(tmp_path), job_dir / protocol.JOURNAL_FILE
    records: list[protocol.Record] = [
        protocol.Started(protocol.VERSION, job.job_id, "onnxruntime", "1", {"cores": 1})
    ]
    for index, flags in ((0, "none"), (1, "throttled")):
        records += [protocol.Timed(index, key, (1000, 1100)) for key in ("a", "b")]
        state = {"temperature_celsius": 40.0 + index, "throttle_flags": flags, "throttled": flags}
        records.append(protocol.PassEnded(index, 1.0, state, state))
    lines = [protocol.write_record(one) + "\n" for one in records]
    journal.write_text("".join(lines[:4]))
    (state,) = watch.look().runs
    assert state.measuring is not None and state.measuring.temperature_celsius == 40.0
    assert (state.measuring.rejected, state.measuring.timed) == (0, 2)
    with journal.open("a") as stream:
        stream.write("".join(lines[4:])[:-5])  # the last line is not whole yet
    (half,) = watch.look().runs
    assert half.measuring == state.measuring
    journal.write_text("".join(lines))
    (state,) = watch.look().runs
    assert state.measuring is not None and state.measuring.timed == 4
    assert state.measuring.temperature_celsius == 41.0


def test_what_cannot_be_served_is_said_at_the_start(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder"):
        serve(tmp_path / "nothing", 0, print)
    with pytest.raises(InputError, match="is a run"):
        serve(folder / "passed", 0, print)
    taken = listening(0)
    taken.listen()  # else a second one may bind to it
    with pytest.raises(InputError, match="Cannot listen on port"):
        serve(folder, taken.getsockname()[1], print)
    taken.close()


def test_without_starlette_one_line_says_how_to_get_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    done = edgenas("dashboard", str(folder))
    assert done.returncode == 2 and "pip install 'edgenas[dashboard]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_importing_edgenas_loads_no_server() -> None:
    code = (
        "import sys, edgenas.runs.commands as _; print({'starlette', 'uvicorn'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_ctrl_c_ends_it(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "edgenas", "dashboard", str(folder), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    url = json.loads("".join(process.stdout.readline() for _ in range(3)))["url"]
    assert url.startswith("http://127.0.0.1:") and len(url.split("/")[3]) >= 40
    process.send_signal(signal.SIGINT)
    try:
        _, said = process.communicate(timeout=120)
    finally:
        process.kill()
    assert (process.returncode, said) == (0, "")


@pytest.mark.slow
def test_in_a_browser_names_are_text_and_what_is_ticked_is_compared(
    folder: Path, dashboard: Dashboard
) -> None:
    finish(RunFolder(folder / "passed too"), verified(latency()), RunConfig())
    for name in ("passed", "passed too"):
        write_json(RunFolder(folder / name).explanation, [])
    browser = browser_or_skip(dashboard.url)
    with browser as page:
        assert page.text_content(".card h3") == NAMED
        assert HOSTILE in page.text_content(".card .step")
        assert page.evaluate("document.querySelector('progress').value") == 0.25
        at_work(RunFolder(folder / NAMED), title="Measuring", done=0.5)
        page.wait_for_selector(".step:has-text('Measuring')")
        assert page.is_disabled("#compare")
        page.check("input[value='passed']")
        at_work(RunFolder(folder / NAMED), title="Fitting", done=0.75)
        page.wait_for_selector(".step:has-text('Fitting')")
        page.check("input[value='passed too']")  # the first tick was kept
        assert barriers(page) == []
        for width in (1600, 400):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert browser.problems == []
        assert {one.startswith(dashboard.url) for one in browser.requested} == {True}
        page.click("#compare")
        page.wait_for_url("**/compare?run=passed*")
        page.go_back()
        page.click("a[href='passed/report.html']")
        assert page.title() == "a report"
