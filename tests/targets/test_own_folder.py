"""Whatever `cache_dir` says: on a board, edgenas removes and runs only what it wrote itself."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from edgenas.core.errors import TargetError
from edgenas.targets.remote import ssh_config
from edgenas.targets.remote.connection import BoardError, Connection
from edgenas.targets.remote.transport import Login, connect
from helpers.boards.at_work import AtWork
from helpers.boards.loopback import LoopbackBoard

OTHER_USER = 65534


@pytest.fixture
def work(board: LoopbackBoard, tmp_path: Path) -> AtWork:
    return AtWork(board, tmp_path)


def precious(folder: Path) -> dict[str, str]:
    """Fill a folder with what a user has, in names that edgenas uses, too; return the contents."""
    old = 100 * 86400
    for name in ("thesis.tex", "blobs/photo.jpg", "packages/mine/setup.py", "jobs/a/notes.txt"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
        os.utime(path, (time.time() - old, time.time() - old))
    return contents(folder)


def contents(folder: Path) -> dict[str, str]:
    files = (
        path for path in folder.rglob("*") if path.is_file() and "edgenas-board" not in str(path)
    )
    return {str(path.relative_to(folder)): path.read_text() for path in files}


@pytest.mark.parametrize("cache_dir", ["~", "~/projects", "projects", "~/link", ""])
def test_what_the_user_has_in_the_folder_stays(work: AtWork, cache_dir: str) -> None:
    home = work.board.home
    (home / "link").symlink_to(home / "projects")
    before = precious(home / "projects"), precious(home)
    work.target = work.new_target(cache_dir=cache_dir)
    assert "nothing of edgenas" in work.target.clean()
    assert work.start().join()["a"].status == "ok"
    assert "Removed" in work.target.clean()
    assert (contents(home / "projects"), contents(home)) == before
    assert not list(home.rglob("edgenas-board"))


def without_mark(folder: Path, elsewhere: Path) -> None:
    precious(folder)


def a_link(folder: Path, elsewhere: Path) -> None:
    precious(elsewhere)
    folder.symlink_to(elsewhere)


def another_mark(folder: Path, elsewhere: Path) -> None:
    precious(folder)
    (folder / "edgenas-folder.json").write_text(json.dumps({"kind": "mine", "id": "0" * 32}))


def linked_mark(folder: Path, elsewhere: Path) -> None:
    precious(folder)
    (folder / "edgenas-folder.json").symlink_to("/etc/passwd")


def a_file(folder: Path, elsewhere: Path) -> None:
    folder.write_text("precious")


@pytest.mark.parametrize("make", [without_mark, a_link, another_mark, linked_mark, a_file])
def test_folder_that_is_not_its_own_is_refused_in_one_line(
    work: AtWork, tmp_path: Path, make: Callable[[Path, Path], None]
) -> None:
    make(work.board.home / "edgenas-board", tmp_path / "elsewhere")
    before = sorted(work.board.home.rglob("*"))
    work.target = work.new_target(cache_dir="~")
    for action in (work.target.clean, lambda: work.start().join()):
        with pytest.raises(BoardError, match="nothing was touched") as refused:
            action()
        assert "\n" not in str(refused.value) and "mktemp -d" in refused.value.hint
    assert sorted(work.board.home.rglob("*")) == before
    assert any("edgenas-board" in problem for problem in work.target.probe().problems)


@pytest.mark.smoke
def test_what_was_put_beside_edgenas_files_stays(work: AtWork) -> None:
    assert work.start().join()["a"].status == "ok"
    kept = work.board.cache
    (kept / "notes.txt").write_text("mine")
    (kept / "blobs" / "photo.jpg").write_text("mine")
    said = work.target.clean()
    assert "Left" in said and "notes.txt" in said
    assert contents(kept.parent) == {} and (kept / "notes.txt").read_text() == "mine"
    assert sorted(p.name for p in kept.rglob("*") if p.is_file()) == [
        "edgenas-folder.json",
        "notes.txt",
        "photo.jpg",
    ]


def test_link_in_the_place_of_a_folder_of_it_is_not_followed(work: AtWork) -> None:
    assert work.start().join()["a"].status == "ok"
    before = precious(work.board.home / "projects")
    kept = work.board.cache
    for kind in ("jobs", "packages", "blobs"):
        (kept / kind).rename(kept / f"{kind}.old")
        (kept / kind).symlink_to(work.board.home / "projects" / kind)
    work.target.close()
    again = work.new_target()
    with pytest.raises(BoardError, match="symbolic link"):
        agent(work.board).ask("forget", b"", 5, {"job": "a"})
    again.clean()
    assert contents(work.board.home / "projects") == before


def test_others_may_not_write_to_it_or_above_it(work: AtWork) -> None:
    shared = work.board.folder / "shared"
    shared.mkdir(mode=0o777)
    shared.chmod(0o777)
    work.target = work.new_target(cache_dir=str(shared))
    with pytest.raises(BoardError, match=f"other users may write to {shared}"):
        work.start().join()
    assert not list(shared.iterdir())
    shared.chmod(0o1777)  # as /tmp: what is in it can be moved by nobody else
    again = AtWork(work.board, work.folder)
    again.target = again.new_target(cache_dir=str(shared))
    assert again.start().join()["a"].status == "ok"
    assert stat.S_IMODE((shared / "edgenas-board").stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a folder to another user needs root")
def test_folder_of_another_user_is_refused(work: AtWork) -> None:
    """What the other user put there under the name of a package never runs."""
    assert work.start().join()["a"].status == "ok"
    work.target.close()
    planted = work.board.folder / "planted"
    subprocess.run(["cp", "-r", work.board.cache.parent, planted], check=True)
    mark = work.folder / "ran"
    for runtime in planted.glob("edgenas-board/packages/runtime-*"):
        (runtime / "device_runtime" / "__init__.py").write_text(f"open({str(mark)!r}, 'w')")
    subprocess.run(["chown", "-R", str(OTHER_USER), planted], check=True)
    again = AtWork(work.board, work.folder)
    again.job_dir = work.folder / "other jobs"
    again.target = again.new_target(cache_dir=str(planted))
    with pytest.raises(BoardError, match="belongs to the user"):
        again.start().join()
    subprocess.run(["chown", "0", planted], check=True)
    with pytest.raises(BoardError, match="belongs to the user"):
        again.new_target(cache_dir=str(planted)).clean()
    assert not mark.exists()


def test_package_that_was_changed_is_sent_again_before_it_runs(work: AtWork) -> None:
    assert work.start().join()["a"].status == "ok"
    work.target.close()
    mark = work.folder / "ran"
    (runtime,) = work.board.cache.glob("packages/runtime-*")
    source = runtime / "device_runtime" / "__main__.py"
    whole = source.read_text()
    source.write_text(f"open({str(mark)!r}, 'w')\n" + whole)
    (runtime / "numpy.py").write_text(f"open({str(mark)!r}, 'w')\n")
    again = AtWork(work.board, work.folder)
    again.job_dir = work.folder / "other jobs"
    assert again.start().join()["a"].status == "ok"
    assert not mark.exists() and source.read_text() == whole


def test_package_changed_after_it_was_looked_for_does_not_run(work: AtWork) -> None:
    assert work.start().join()["a"].status == "ok"
    packages = [path.name for path in work.board.cache.glob("packages/*")]
    (work.board.cache / "packages" / packages[0] / "planted.py").write_text("")
    with pytest.raises(BoardError, match="not as it was sent"):
        agent(work.board).ask(
            "check", b"", 60, {"packages": packages, "own": True, "engine": "scripted"}
        )


# ---------------------------------------------------------------- the lock


def agent(board: LoopbackBoard) -> Connection:
    link = connect(ssh_config.endpoint(board.target_config().connection), Login())
    return Connection("board", link, sys.executable, "")


@pytest.mark.parametrize("claim", ["another process", "another job"])
def test_lock_that_lies_ends_no_process(work: AtWork, claim: str) -> None:
    """Any user of the board may write to the lock: only a runtime that holds it is ended."""
    work.start().wait_for_passes(1)
    bystander = subprocess.Popen(["sleep", "60"], start_new_session=True)
    lock = work.board.folder / "board.lock"
    told = json.loads(lock.read_text())
    try:
        pid = bystander.pid if claim == "another process" else told["pid"]
        lock.write_text(json.dumps({**told, "pid": pid}))
        job = told["job"] if claim == "another process" else "measure-of-somebody-else"
        agent(work.board).ask("stop", b"", 60, {"job": job})
        assert bystander.poll() is None
        lock.write_text(json.dumps(told))
        work.assert_whole()
    finally:
        bystander.kill()
        bystander.wait()


def test_two_folders_for_temporary_files_are_one_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two hosts whose logins have different TMPDIRs: the board has one lock all the same."""
    monkeypatch.delenv("EDGENAS_BOARD_LOCK", raising=False)
    took = "from device_runtime.board_lock import BoardLock as B; f = B().take({}); "
    words = [sys.executable, "-c", f"{took}print(f is not None, flush=True); input()"]
    with subprocess.Popen(
        words, env={**os.environ, "TMPDIR": str(tmp_path)}, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as first:  # fmt: skip
        assert first.stdout is not None and first.stdout.readline() == b"True\n"
        second = subprocess.run(
            words, env={**os.environ, "TMPDIR": "/tmp"}, input=b"\n", capture_output=True,
            check=True,
        )  # fmt: skip
        assert second.stdout == b"False\n"
        first.communicate(b"\n")


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_lock_that_is_no_file_is_named(work: AtWork, kind: str, tmp_path: Path) -> None:
    lock, victim = work.board.folder / "board.lock", tmp_path / "victim"
    victim.write_text("precious")
    lock.symlink_to(victim) if kind == "link" else os.mkfifo(lock)
    with pytest.raises(TargetError, match=r"board\.lock"):
        work.start().join()
    assert victim.read_text() == "precious"
