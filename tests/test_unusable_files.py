"""Files that cannot be used end in one clear line that blames no program and loses no data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgenas import run_folder
from edgenas.challenges import evidence
from edgenas.cli import main
from edgenas.cli.found import found
from edgenas.errors import RunFolderError
from edgenas.host_engine import logits
from edgenas.records import SearchResult, to_json


@pytest.fixture
def unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that nobody may read: root could, so that its folder stands for it."""
    path = tmp_path / "run.json"
    path.mkdir()
    return path


def test_a_file_that_may_not_be_read_is_not_called_damaged(unreadable: Path) -> None:
    for read in (run_folder.read_json, run_folder.require_readable):
        with pytest.raises(RunFolderError, match="Cannot read") as refused:
            read(unreadable)
        assert "emove" not in refused.value.hint


def test_what_is_no_file_is_not_read_to_its_end() -> None:
    with pytest.raises(RunFolderError, match="neither a file nor a folder"):
        evidence.read(Path("/dev/zero"))


@pytest.mark.parametrize(
    ("problem", "said"),
    [
        (
            PermissionError(13, "Permission denied", "models/a.onnx"),
            "Cannot use models/a.onnx: Per",
        ),
        (OSError(28, "No space left on device"), "Cannot use a file: No space left"),
    ],
)
def test_a_disk_is_no_bug(
    problem: OSError,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise problem

    monkeypatch.setattr("sys.argv", ["edgenas", "space", "mbv3-tiny"])
    monkeypatch.setattr("edgenas.space_card.space_card", fails)
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert "bug" not in error


@pytest.mark.parametrize("threads", ["2,1", "", "many", "1"])
def test_any_number_of_threads_runs_the_host(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np
    from challenge_packages import emit, tiny_graph

    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    model = emit("onnx", tiny_graph(8, 3))
    assert logits(model, np.zeros((2, 3, 8, 8), np.float32)).shape == (2, 3)


def test_a_limit_on_another_latency_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ("latency<=3ms", "latency_p90_ms<=4ms")
    result = SearchResult("exact", 1, 3.0, 0.95, (), (), True, 0.0, 1, 0.1, constraints=texts)
    found(to_json(result))
    shown = capsys.readouterr().out
    assert "limits latency_ms<=3ms, latency_p90_ms<=4ms;" in shown
