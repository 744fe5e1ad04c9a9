"""One search on several boards: killed, resumed, with one that is off; and boards side by side."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from edgenas.core.errors import InputError, RunFolderError, TargetError
from edgenas.core.progress import Silent
from edgenas.core.records import Outcome
from edgenas.runs import search
from edgenas.runs.boards import search as boards
from edgenas.runs.open import open_run
from edgenas.runs.sources.board_evaluations import to_evaluate as wanted
from edgenas.runs.store import Store
from edgenas.targets.base import ModelFile
from edgenas.targets.local import LocalTarget
from helpers import scripted_clock
from helpers.cli import edgenas
from helpers.tiny_space import write_tiny_space

# a limit that is easily kept: one round of search is enough
SMALL = (
    *("--epochs", "1", "--samples", "8", "--evaluate", "8", "--top", "1"),
    *("--max-latency", "9s"),
)
OFF = "nobody@127.0.0.1:1"  # nothing listens there
ENGINE = 'engine = "onnxruntime"'


def target_file(folder: Path, name: str, threads: int = 1) -> str:
    return scripted_clock.target_file(folder, name, ENGINE, f"threads = {threads}")


def asked_of(folder: Path) -> tuple[str, ...]:
    """Return a search on three boards, one of them off."""
    targets = [target_file(folder, "one"), target_file(folder, "two", threads=2), OFF]
    named = [word for target in targets for word in ("--target", target)]
    space = ("--space", write_tiny_space(folder))
    return ("search", *named, "--out", str(folder / "run"), *space, *SMALL)


@pytest.fixture(scope="module")
def searched(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Path, dict[str, Any], int]]:
    """A search on three boards, one of them off, interrupted while it measured, then resumed."""
    folder = tmp_path_factory.mktemp("several")
    with scripted_clock.ticking(folder):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LocalTarget, "measure", interrupted)
            assert edgenas(*asked_of(folder)).returncode == 130
        resumed = edgenas("search", "--out", str(folder / "run"), "--resume", "--json")
        yield folder / "run", json.loads(resumed.stdout), resumed.returncode


def interrupted(*arguments: Any) -> dict[str, Outcome]:
    raise KeyboardInterrupt


@pytest.mark.slow  # by default: one board in test_search.py, and the same interrupted, above
def test_a_search_on_several_boards_that_was_killed_goes_on(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgenas", *asked_of(tmp_path)]
    environment = scripted_clock.environment(tmp_path)
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    )
    deadline = time.monotonic() + 240
    while not any((tmp_path / "run").glob("boards/*/jobs/measure-*/**/journal.jsonl")):
        assert process.poll() is None, "the search ended before it measured"
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with scripted_clock.ticking(tmp_path):
        resumed = edgenas("search", "--out", str(tmp_path / "run"), "--resume", "--json")
    test_every_board_has_a_result_of_its_own(
        (tmp_path / "run", json.loads(resumed.stdout), resumed.returncode)
    )


def test_every_board_has_a_result_of_its_own(searched: tuple[Path, dict[str, Any], int]) -> None:
    _, document, code = searched
    one, two, off = document["boards"]
    assert [board["target"] for board in (one, two, off)] == ["one", "two", OFF]
    for board in (one, two):
        assert board["status"] == "pass"
        assert {"winner", "candidates", "frontier", "predictors", "report"} <= set(board)
        assert board["constraint"]["latency_ms"] == 9000
    assert "the trained supernet" in one["reused"]
    assert "8 of 8 evaluations" in two["reused"]
    assert off["status"] == "error"
    assert "Connection refused" in off["error"]
    assert (document["status"], code) == ("fail", 1)


def test_the_boards_share_supernet_and_evaluations(
    searched: tuple[Path, dict[str, Any], int],
) -> None:
    _, document, _ = searched
    folders = [Path(board["run"]) for board in document["boards"]]
    first, *others = [(folder / "supernet.safetensors").read_bytes() for folder in folders]
    assert all(content == first for content in others)
    with open_run(folders[0], {}, Silent(), resume=True) as context:
        supernet = context.supernet_sha256()
        evaluated = wanted(context)
    one, two = (Store(folder / "store.sqlite").evaluations(supernet) for folder in folders[:2])
    assert len(evaluated) == 8
    assert [one[a] for a in evaluated] == [two[a] for a in evaluated]


def test_the_comparison_has_each_choice_on_each_board(
    searched: tuple[Path, dict[str, Any], int],
) -> None:
    run, document, _ = searched
    assert document["reference"] == "one"
    assert set(document["speed"]) == {"two"}
    assert document["comparison"]
    for choice in document["comparison"]:
        assert set(choice["effects"]) == {"one", "two"}
        assert set(choice["ratios"]) <= {"two"}
        for effect in choice["effects"].values():
            assert effect["lower"] <= effect["effect"] <= effect["upper"]
    page = Path(document["report"]).read_text("utf-8")
    assert Path(document["report"]) == run / "report.html"
    for board in document["boards"][:2]:
        assert f'href="{Path(board["report"]).relative_to(run)}"' in page
    assert "Connection refused" in page


def test_each_board_is_an_ordinary_run(searched: tuple[Path, dict[str, Any], int]) -> None:
    run, document, _ = searched
    done = edgenas("optimize", document["boards"][1]["run"], "--max-latency", "8s", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["result"]["limit_ms"] == 8000
    own = Path(document["boards"][1]["report"]).read_text("utf-8")
    assert "Not verified as it is now" in own
    compared = (run / "report.html").read_text("utf-8")
    assert "two: not verified as it is now" in compared
    assert "two: not verified" not in own
    assert "Connection refused" in compared


@pytest.mark.parametrize("asked", [{"samples": 2}, {"space": "mbv3-tnyi"}])
def test_what_refuses_its_input_leaves_no_folder(tmp_path: Path, asked: dict[str, Any]) -> None:
    targets = [target_file(tmp_path, "one"), target_file(tmp_path, "two")]
    with pytest.raises(InputError):
        boards.search_several(tmp_path / "run", targets, asked, Silent(), resume=False)
    assert not (tmp_path / "run").exists()


def test_a_run_of_several_cannot_change_its_targets(
    searched: tuple[Path, dict[str, Any], int],
) -> None:
    run, _, _ = searched
    with pytest.raises(RunFolderError, match="was started with the targets"):
        boards.search_several(run, ["local"], {}, Silent(), resume=True)
    with pytest.raises(RunFolderError, match="holds a run already"):
        boards.search_several(run, [], {}, Silent(), resume=False)
    with pytest.raises(InputError, match="several boards"):
        search.run_step("fit", run, {}, Silent())


def test_two_boards_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    targets = [target_file(tmp_path, "pi"), target_file(tmp_path / "other", "pi")]
    with pytest.raises(InputError, match="called 'pi'"):
        boards.search_several(tmp_path / "run", targets, {}, Silent(), resume=False)
    assert not (tmp_path / "run" / "boards.json").exists()


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").touch()
    targets = [target_file(tmp_path, "a"), target_file(tmp_path, "b")]
    with pytest.raises(RunFolderError, match="not a run of several boards"):
        boards.search_several(tmp_path, targets, {}, Silent(), resume=False)


def test_remote_boards_measure_at_the_same_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits in `measure` for the other, so one after the other would never end."""
    together = threading.Barrier(2, timeout=60)

    def measure(self: LocalTarget, models: Sequence[ModelFile], *rest: Any) -> dict[str, Outcome]:
        together.wait()
        raise TargetError(f"{self.name} was switched off.")

    monkeypatch.setattr(boards, "MEASURED_ALONE", ())
    monkeypatch.setattr(boards, "_share_supernet", lambda *shared: None)
    monkeypatch.setattr(LocalTarget, "measure", measure)
    targets = [target_file(tmp_path, "a"), target_file(tmp_path, "b")]
    asked = {"samples": 8, "evaluate": 8}
    document = boards.search_several(tmp_path / "run", targets, asked, Silent(), resume=False)
    assert [board["error"] for board in document["boards"]] == [
        "a was switched off.",
        "b was switched off.",
    ]
