"""edgenas shrink: a search within a network of the user's, from its file to the verified winner."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import onnxruntime
import pytest

from edgenas.core.progress import Silent
from edgenas.core.records import Architecture, from_json
from edgenas.data.base import load
from edgenas.runs.own_models.data import Preprocessing
from edgenas.runs.own_models.shrink import begin as shrink_begin
from edgenas.spaces import files
from edgenas.supernet.packages.package import metadata
from helpers import scripted_clock
from helpers.cli import Done, edgenas
from helpers.own_digits import CLASSES, SIZE, write_digits
from helpers.own_networks import built, exported, settled
from helpers.shrinkable import mobilenet_v2

HOW = ("--mean", "0.5", "--std", "0.5")
SMALL = ("--epochs", "1", "--samples", "10", "--evaluate", "10", "--top", "1")
Says = Callable[..., Done]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with digits, and with a network whose classifier is fitted to them."""
    root = tmp_path_factory.mktemp("own")
    write_digits(root)
    (root / "vgg.onnx").write_bytes(exported(built("vgg"), (3, SIZE, SIZE)))
    (root / "seven.onnx").write_bytes(exported(settled(mobilenet_v2(7)), (3, SIZE, SIZE)))
    (root / "letters.txt").write_text("".join(f"letter{n}\n" for n in range(CLASSES)))
    return root


@pytest.fixture(scope="module")
def clock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("clock")
    with scripted_clock.ticking(folder):
        yield folder


@pytest.fixture
def shrink(own: Path, clock: Path, tmp_path: Path) -> Says:
    def run(*arguments: str, model: str = "model.onnx") -> Done:
        target = scripted_clock.target_file(clock, "local", 'engine = "onnxruntime"')
        named = ("--data", f"imagefolder:{own}/digits", "--target", target, *HOW, *SMALL)
        named = (*named, "--out", str(tmp_path / "run"), *arguments)
        return edgenas("shrink", str(own / model), *named, cwd=tmp_path)

    return run


def test_training_begins_with_the_network_and_keeps_what_it_is(own: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    how = Preprocessing(mean=(0.5,), std=(0.5,))
    asked = shrink_begin(own / "model.onnx", run, how, None, Silent())
    options = [f"--{name}={value}" for name, value in asked.items()]
    data = f"imagefolder:{own}/digits"
    done = edgenas("train", str(run), "--data", data, "--epochs", "1", *options)
    assert done.returncode == 0, done.stderr
    session = onnxruntime.InferenceSession(str(own / "model.onnx"))
    dataset = load(data, seed=0, progress=Silent(), image_size=SIZE)
    dataset = replace(dataset, mean=(0.5,) * 3, std=(0.5,) * 3)
    inputs = dataset.normalize(dataset.val.resized(SIZE).images)
    (scores,) = session.run(None, {"image": inputs})
    right = (scores.argmax(1) == dataset.val.labels).mean()
    assert right > 0.3
    assert f"model.onnx itself gets {right:.1%} of 75 validation images right" in done.stderr
    about = metadata(run / "supernet.safetensors")
    assert about["origin"]["network"] == "model.onnx" and about["mean"] == [0.5, 0.5, 0.5]


@pytest.mark.slow
def test_the_winner_is_a_part_of_the_network_and_is_verified(shrink: Says, tmp_path: Path) -> None:
    done = shrink("--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["status"] == "pass"
    run = tmp_path / "run"
    config = json.loads((run / "run.json").read_text())["config"]
    space = files.find(config["space"]).create(CLASSES, 3, SIZE)
    winner = from_json(document["winner"]["architecture"], Architecture, "the winner")
    assert space.contains(winner) and winner != space.largest()
    assert "of which 3 may go, 5 may have fewer hidden channels, and 3 smaller kernels" in (
        done.stderr
    )
    assert "model.onnx itself gets" in done.stderr
    assert (run / "report.html").exists()

    moved = run.rename(tmp_path / "moved")
    again = edgenas("optimize", str(moved), "--max-latency", "1s", "--json", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    twice = shrink("--out", str(moved))
    assert twice.returncode == 2
    assert "holds a run already" in twice.stderr and "--resume" in twice.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("seven.onnx",), "seven.onnx has 7 scores, and the images have 10 classes."),
        (("vgg.onnx",), "neither inverted bottlenecks nor residual blocks"),
        (("letters.txt",), "letters.txt is no .onnx file"),
        (("absent.onnx",), "absent.onnx"),
        (("model.onnx", "--labels", "OWN/letters.txt"), "'class0' of"),
        (("model.onnx", "--mean", "0.5,0.5"), "--mean has 2 numbers"),
        (("model.onnx", "--evaluate", "3"), "--evaluate must be 8 or more"),
    ],
)
def test_what_cannot_be_shrunk_is_one_line_and_leaves_the_folder_free(
    shrink: Says, own: Path, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    model, *more = arguments
    done = shrink(*(one.replace("OWN", str(own)) for one in more), model=model)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run" / "run.json").exists()


def test_nothing_that_is_there_is_replaced(shrink: Says, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("mine")
    done = shrink()
    assert done.returncode == 2
    assert "exists and is not a run folder" in done.stderr
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["letter.txt"]
