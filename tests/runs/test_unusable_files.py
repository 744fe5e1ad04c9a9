"""Files that cannot be used end in one clear line that blames no program and loses no data."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper
from PIL import Image

from edgenas.challenges import model_files
from edgenas.cli import main, show_search
from edgenas.core.errors import InputError, RunFolderError
from edgenas.core.files import run_folder, toml
from edgenas.core.files.lock import locked_file
from edgenas.core.goals import parse_constraints
from edgenas.core.progress import Silent
from edgenas.core.records import SearchResult, to_json
from edgenas.data.decode import decode_split, native_size
from edgenas.int8.engines.host import logits
from edgenas.predictors.tables import rows
from edgenas.runs.evidence import bundle
from edgenas.runs.store import Store


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
        bundle.read(Path("/dev/zero"))


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
    monkeypatch.setattr("edgenas.runs.space_card.space_card", fails)
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert "bug" not in error


@pytest.mark.parametrize("threads", ["2,1", "", "many", "1"])
def test_any_number_of_threads_runs_the_host(threads: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import numpy as np

    from helpers.challenge_packages import emit, tiny_graph

    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    model = emit("onnx", tiny_graph(8, 3))
    assert logits(model, np.zeros((2, 3, 8, 8), np.float32)).shape == (2, 3)


def test_a_limit_on_another_latency_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    texts = ("latency<=3ms", "latency_p90_ms<=4ms")
    limits = tuple(parse_constraints(texts).values())
    result = SearchResult("exact", 1, limits, 0.95, (), (), True, 0.0, 1, 0.1, constraints=texts)
    show_search.show(to_json(result), "accuracy")
    shown = capsys.readouterr().out
    assert "limits latency_ms<=3ms, latency_p90_ms<=4ms;" in shown


# ---------------------------------------------------------------- what is no file


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Path]:
    """A named pipe that nobody writes to: reading it never ends, so that an alarm must."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    before = signal.signal(signal.SIGALRM, _hangs)
    signal.alarm(20)
    yield path
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def _hangs(*_: object) -> None:
    raise AssertionError("it hangs")


@pytest.mark.parametrize(
    "read",
    [
        toml.read_toml,
        run_folder.read_json,
        run_folder.require_readable,
        rows.read_csv,
        lambda path: Store(path).measurements("board"),
        lambda path: locked_file(path, path, "--out").__enter__(),
    ],
)
def test_a_named_pipe_is_refused_and_not_waited_for(
    read: Callable[[Path], object], pipe: Path
) -> None:
    with pytest.raises(InputError, match="pipe: it is a named pipe, not a file"):
        read(pipe)


def test_sockets_and_devices_are_no_files_either(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="/dev/zero: it is a device"):
        toml.read_toml(Path("/dev/zero"))
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(tmp_path / "s"))
        with pytest.raises(InputError, match="s: it is a socket"):
            run_folder.read_json(tmp_path / "s")


@pytest.mark.parametrize("read", [model_files.read_onnx, model_files.read_tflite])
def test_a_named_pipe_is_no_model(read: Callable[[Path], object], pipe: Path) -> None:
    with pytest.raises(model_files.UnreadableModelError, match="It is a named pipe"):
        read(pipe)


def test_a_named_pipe_among_images_is_skipped_and_named(pipe: Path) -> None:
    picture = pipe.with_name("a.png")
    Image.new("RGB", (16, 16), "red").save(picture)
    assert native_size([pipe, picture], 64, "crop") == 16
    task = Silent().task("", 2).__enter__()
    labels = np.array([0, 1])
    decoded = decode_split([pipe, picture], labels, ["pipe", "a.png"], 16, "crop", task)
    assert decoded.split.labels.tolist() == [1]
    assert [str(one) for one in decoded.skipped] == ["pipe (it is a named pipe, not a file)"]


def test_a_model_without_outputs_is_no_model(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])
    graph = helper.make_graph([helper.make_node("Relu", ["image"], ["y"])], "g", [value], [])
    path = tmp_path / "model.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with pytest.raises(model_files.UnreadableModelError, match=r"^The model has no output\.$"):
        model_files.read_onnx(path)
