"""No file runs because of where it lies: not in a job's folder, nor in the current one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgenas.core.errors import TargetError
from edgenas.core.progress import Silent
from edgenas.targets.remote import wheels
from edgenas.targets.remote.wheels import Platform
from helpers.boards.at_work import AtWork
from helpers.boards.loopback import LoopbackBoard
from helpers.scripted_runtime import QUICK, scripted_model, scripted_target

ROOT = Path(__file__).parents[2]
# What Python imports before or while edgenas's own code starts, and what edgenas starts by name.
NAMES = ("json", "runpy", "site", "pip", "numpy", "argparse", "contextlib", "sitecustomize")


def plant(folder: Path, mark: Path) -> None:
    """Put modules into `folder` that tell by a file that they ran."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in NAMES:
        (folder / f"{name}.py").write_text(
            f"open({str(mark)!r}, 'a').write(__name__ + ' ')\nraise SystemExit('planted')\n"
        )


def test_what_lies_in_a_job_folder_is_not_run(tmp_path: Path) -> None:
    target, model = scripted_target(tmp_path), scripted_model(tmp_path, "a", "sleep 0.001")
    target.measure([model], QUICK, tmp_path / "jobs", Silent())
    (job,) = (tmp_path / "jobs").iterdir()
    (job / "journal.jsonl").unlink()  # as in a run folder that somebody else made
    plant(job, tmp_path / "ran")
    assert target.measure([model], QUICK, tmp_path / "jobs", Silent())["a"].status == "ok"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("python_path", ["", ".", os.pathsep])
def test_what_lies_in_the_current_folder_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, python_path: str
) -> None:
    plant(tmp_path / "received", tmp_path / "ran")
    monkeypatch.chdir(tmp_path / "received")
    monkeypatch.setenv("PYTHONPATH", python_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    target, model = scripted_target(tmp_path), scripted_model(tmp_path, "a", "sleep 0.001")
    assert target.probe().engines["scripted"] == "1.0"
    assert target.measure([model], QUICK, tmp_path / "jobs", Silent())["a"].status == "ok"
    with pytest.raises(TargetError, match="No wheels of onnxruntime"):
        wheels.resolve("onnxruntime", Platform("aarch64", (3, 11), 36), offline=True)
    assert not (tmp_path / "ran").exists()


def test_the_module_edgenas_takes_nothing_from_the_current_folder(tmp_path: Path) -> None:
    (tmp_path / "rich.py").write_text("raise SystemExit('planted')\n")
    done = subprocess.run(
        [sys.executable, "-m", "edgenas", "target", "list", "--json"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "raspberrypi5" in json.loads(done.stdout)["targets"]


@pytest.mark.smoke
def test_what_lies_in_the_home_of_a_board_is_not_run(board: LoopbackBoard, tmp_path: Path) -> None:
    plant(board.home, tmp_path / "ran")
    work = AtWork(board, tmp_path)
    assert work.start().join()["a"].status == "ok"
    assert not (tmp_path / "ran").exists()


def test_absolute_entries_of_pythonpath_still_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An engine that its user put on PYTHONPATH is found by runtime and worker."""
    engines = tmp_path / "engines"
    engines.mkdir()
    (engines / "engine_of_my_own.py").write_text("VERSION = '4.2'\n")
    target, model = scripted_target(tmp_path), scripted_model(tmp_path, "a", "sleep 0.001")
    backend = tmp_path / "device_runtime" / "backends" / "scripted.py"
    backend.write_text(
        backend.read_text().replace(
            'return "1.0"', "import engine_of_my_own as e; return e.VERSION"
        )
    )
    monkeypatch.setenv("PYTHONPATH", str(engines))
    assert target.probe().engines["scripted"] == "4.2"
    assert target.measure([model], QUICK, tmp_path / "jobs", Silent())["a"].engine_version == "4.2"
