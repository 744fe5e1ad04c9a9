"""edgenas grow MODEL: a network of the user's, from its file to a larger one that is verified."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from edgenas.core.progress import Silent
from edgenas.core.records import Architecture, from_json
from edgenas.data.base import load
from edgenas.spaces import files
from edgenas.spaces.resizing import hidden_widths
from helpers import scripted_clock
from helpers.cli import Done, edgenas
from helpers.own_digits import CLASSES, SIZE, write_digits
from helpers.own_networks import built, exported
from helpers.shrinkable import mobilenet_v3, settled

SMALL = ("--epochs", "1", "--samples", "10", "--evaluate", "10", "--top", "1")
Says = Callable[..., Done]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits, and with a network whose classifier is fitted to them."""
    root = tmp_path_factory.mktemp("own")
    write_digits(root)
    (root / "vgg.onnx").write_bytes(exported(built("vgg"), (3, SIZE, SIZE)))
    (root / "gated.onnx").write_bytes(exported(settled(mobilenet_v3(CLASSES)), (3, SIZE, SIZE)))
    return root


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("clock")
    with scripted_clock.ticking(folder):
        yield folder


@pytest.fixture
def grow(own: Path, clock: Path, tmp_path: Path) -> Says:
    def run(*arguments: str, model: str = "model.onnx", limit: str = "1s") -> Done:
        target = scripted_clock.target_file(clock, "local", 'engine = "onnxruntime"')
        images = ("--data", f"imagefolder:{own}/digits", "--mean", "0.5", "--std", "0.5")
        end = ("--target", target, "--max-latency", limit, "--out", str(tmp_path / "run"))
        named = (*images, *end, *SMALL, *arguments)
        return edgenas("grow", str(own / model), *named, cwd=tmp_path)

    return run


@pytest.mark.slow
def test_a_network_grows_and_the_best_way_is_verified(
    grow: Says, own: Path, tmp_path: Path
) -> None:
    done = grow("--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["status"] == "pass"
    growth = document["growth"]
    assert growth["start"] == "imported"
    config = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    space = files.find(config["space"]).create(CLASSES, 3, SIZE)
    first = from_json(growth["seed"], Architecture, "the seed")
    assert first == space.smallest()
    ways = {one["way"]: one for one in growth["contenders"]}
    assert set(ways) >= {"unchanged", "grown", "same shape from nothing", "uniform from nothing"}
    grown = from_json(ways["grown"]["network"], Architecture, "the grown network")
    before, after = hidden_widths(space, first), hidden_widths(space, grown)
    assert all(after[place] >= width for place, width in before.items())
    assert sum(after.values()) > sum(before.values())
    assert "of which 5 may have up to twice their hidden channels" in done.stderr

    session = onnxruntime.InferenceSession(str(own / "model.onnx"))
    data = load(f"imagefolder:{own}/digits", seed=0, progress=Silent(), image_size=SIZE)
    images = (data.val.resized(SIZE).images.astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2)
    (scores,) = session.run(None, {"image": np.ascontiguousarray(images)})
    right = int((scores.argmax(1) == data.val.labels).sum())
    assert abs(ways["unchanged"]["answers"]["right"] - right) <= 4  # of 75: int8 against float

    again = edgenas("grow", str(tmp_path / "run"), "--from", "imported", "--epochs", "1")
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("vgg.onnx",), "vgg.onnx cannot be grown: it has neither inverted bottlenecks"),
        (("gated.onnx",), "gated.onnx cannot be grown: none of its blocks"),
        (("absent.onnx",), "absent.onnx"),
        (("absent.tflite",), "absent.tflite is no .onnx file"),
        (("model.onnx", "--from", "winner"), "--from winner is of a run"),
        (("model.onnx", "--mean", "0.5,0.5"), "--mean has 2 numbers"),
    ],
)
def test_what_cannot_grow_is_one_line_and_leaves_the_folder_free(
    grow: Says, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    model, *rest = arguments
    done = grow(*rest, model=model)
    assert done.returncode != 0
    assert message in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_limit_that_the_network_does_not_keep_is_refused_before_training(
    grow: Says, tmp_path: Path
) -> None:
    done = grow(limit="1us")
    assert done.returncode != 0
    assert "before it grows, which is more than the limit" in done.stderr
    assert "edgenas shrink" in done.stderr
    assert not (tmp_path / "run" / "supernet.safetensors").exists()


def test_a_model_needs_images_and_a_limit(own: Path, tmp_path: Path) -> None:
    model = str(own / "model.onnx")
    done = edgenas("grow", model, "--max-latency", "1ms", cwd=tmp_path)
    assert done.returncode == 2 and "--data" in done.stderr
    done = edgenas("grow", model, "--data", f"imagefolder:{own}/digits", cwd=tmp_path)
    assert done.returncode == 2 and "Nothing says how far" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_options_of_a_model_are_refused_for_a_run(tmp_path: Path) -> None:
    for option, value in (("--mean", "0.5"), ("--data", "digits"), ("--shape", "3x32x32")):
        done = edgenas("grow", str(tmp_path), option, value)
        assert done.returncode == 2 and option in done.stderr
