"""edgenas deploy: the application that it makes, and the pixels that the application feeds."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from edgenas.core.errors import InputError
from edgenas.core.records import ImageInput
from edgenas.core.records.image_input import FITS, Fit
from edgenas.data.decode import read_input
from edgenas.int8.engines.host import logits
from edgenas.runs.deploy.deliver import place_of
from edgenas.runs.deploy.folder import APPLICATION
from helpers.boards.loopback import LoopbackBoard
from helpers.cli import edgenas
from helpers.own_networks import images_and_labels, normalised


@pytest.fixture(scope="module")
def pixels() -> ModuleType:
    """The application's own module, loaded from its file as an application does."""
    spec = importlib.util.spec_from_file_location("pixels", APPLICATION / "pixels.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def made(fit: Fit, image_size: int, size: int, channels: str) -> ImageInput:
    ones = (1.0,) * (1 if channels == "grey" else 3)
    return ImageInput(
        fit,
        image_size,
        size,
        channels,
        ones,
        ones,
        "nchw",
        "float32",  # type: ignore[arg-type]
    )


def encoded(pixels: np.ndarray, format: str, **how: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format, **how)
    return stream.getvalue()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("channels", ["rgb", "grey"])
def test_pixels_are_those_of_the_verification_bit_by_bit(
    pixels: ModuleType, fit: Fit, channels: str
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(40):
        height, width = rng.integers(1, 150, 2)
        image_size, size = (int(value) for value in rng.integers(1, 70, 2))
        content = encoded(rng.integers(0, 256, (height, width, 3), np.uint8), "PPM")
        wanted = made(fit, image_size, size, channels)
        document = {"fit": fit, "image_size": image_size, "size": size, "channels": channels}
        assert np.array_equal(pixels.read(content, document), read_input(content, wanted)), (
            height,
            width,
            image_size,
            size,
        )


def test_compressed_rotated_and_transparent_files_are_read_alike(pixels: ModuleType) -> None:
    rng = np.random.default_rng(1)
    smooth = np.asarray(
        Image.fromarray(rng.integers(0, 256, (9, 7, 3), np.uint8)).resize((400, 300))
    )
    turned = Image.Exif()
    turned[0x0112] = 6
    files = [
        encoded(smooth, "JPEG", quality=80),
        encoded(smooth, "JPEG", exif=turned),
        encoded(rng.integers(0, 256, (40, 50, 4), np.uint8), "PNG"),
        encoded(rng.integers(0, 65536, (40, 50)).astype(np.uint16), "PNG"),
        encoded(rng.integers(0, 65536, (40, 50)).astype(np.int32), "TIFF"),
        encoded(rng.integers(0, 256, (40, 50)).astype(np.int32), "TIFF"),
        encoded(rng.integers(0, 256, (40, 50), np.uint8), "GIF"),
    ]
    wanted = made("crop", 32, 24, "rgb")
    document = {"fit": "crop", "image_size": 32, "size": 24, "channels": "rgb"}
    for content in files:
        assert np.array_equal(pixels.read(content, document), read_input(content, wanted))


def test_files_that_are_cut_are_refused(pixels: ModuleType) -> None:
    document = {"fit": "crop", "image_size": 8, "size": 8, "channels": "rgb"}
    for content in (b"P6 9 9 255\n" + b"x" * 9, b"P6 2 2 65535\n" + b"x" * 99):
        with pytest.raises(ValueError, match="cut"):
            pixels.read(content, document)
    stream = io.BytesIO()
    np.save(stream, np.zeros((4, 4, 3), np.float32))
    with pytest.raises(ValueError, match="uint8"):
        pixels.read(stream.getvalue(), document)


def test_an_application_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "mine.txt").write_text("mine")
    for taken in (tmp_path / "app", tmp_path / "app" / "mine.txt"):
        with pytest.raises(InputError, match="replaces nothing"):
            place_of(str(taken))
    assert (tmp_path / "app" / "mine.txt").read_text() == "mine"


def test_places_are_written_as_for_scp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of("./a:b").board is None
    there = place_of("pi@board.local:apps/flowers")
    assert there.board is not None
    assert (there.board.connection.host, there.folder) == ("board.local", "apps/flowers")
    with pytest.raises(InputError, match="names no folder"):
        place_of("pi@board.local:")


def images_in(folder: Path, count: int = 2) -> list[str]:
    pixels, _ = images_and_labels()
    for at, image in enumerate(pixels[1400 : 1400 + count]):
        Image.fromarray(image).save(folder / f"{at}.png")
    return [str(folder / f"{at}.png") for at in range(count)]


@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_own_model_classifies_as_its_engine_does(
    own_folder: Path, tmp_path: Path, suffix: str
) -> None:
    data = ("--data", f"imagefolder:{own_folder / 'digits'}")
    model, name = str(own_folder / "model.onnx"), f"int8.{suffix}"
    how = ("--mean", "0.5", "--std", "0.5")
    edgenas("quantize", model, *data, *how, "-o", name, cwd=tmp_path)
    done = edgenas("deploy", name, "--to", "app", *data, *how, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)["result"]
    assert [report["identical"] for report in found["self_test"]] == [True] * 3
    assert "Nothing was verified" in " ".join(found["reservations"])
    command = [sys.executable, str(tmp_path / "app" / "classify.py"), *images_in(tmp_path)]
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    answers = [json.loads(line) for line in lines.splitlines()]
    example = tmp_path / "app" / "input.h"
    assert example.exists() == (tmp_path / "app" / "classify.cpp").exists() == (suffix == "onnx")
    if suffix == "onnx":
        assert "#define EDGENAS_STD {0.5f, 0.5f, 0.5f}\n" in example.read_text()
    pixels, _ = images_and_labels()
    engine = "litert" if suffix == "tflite" else "onnxruntime"
    scores = logits((tmp_path / name).read_bytes(), normalised(pixels[1400:1402]), engine)
    assert [answer["index"] for answer in answers] == scores.argmax(1).tolist()
    assert [answer["label"] for answer in answers] == [f"class{n}" for n in scores.argmax(1)]


def test_own_model_without_images_or_names(own_folder: Path, tmp_path: Path) -> None:
    model = str(own_folder / "model.onnx")
    done = edgenas("deploy", model, "--to", "app", cwd=tmp_path)
    assert done.returncode == 2
    assert "10 classes without names" in done.stderr
    assert not (tmp_path / "app").exists()
    labels = ("--labels", str(own_folder / "classes.txt"))
    done = edgenas("deploy", model, "--to", "app", *labels, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "app" / "labels.txt").read_text().splitlines()[3] == "class3"
    done = edgenas("deploy", model, "--to", "b", *labels, "--engine", "litert", cwd=tmp_path)
    assert "litert does not take model.onnx" in done.stderr
    done = edgenas("deploy", "runs/none", "--to", "b", *labels, cwd=tmp_path)
    assert "--labels is of a model file" in done.stderr


def target_file(board: LoopbackBoard, folder: Path) -> str:
    config = board.target_config()
    reached = "\n".join(
        f"{key} = {json.dumps(value)}"
        for key, value in vars(config.connection).items()
        if value not in ("", 0)
    )
    (folder / "board.toml").write_text(
        f"kind = 'ssh'\n[connection]\n{reached}\n[board]\npython = {json.dumps(sys.executable)}\n"
    )
    return "board.toml"


def test_an_application_is_sent_and_tested_on_the_board(
    board: LoopbackBoard, own_folder: Path, tmp_path: Path
) -> None:
    labels = ("--labels", str(own_folder / "classes.txt"), "--json")
    arguments = ("deploy", str(own_folder / "model.onnx"), *labels)
    there = f"{target_file(board, tmp_path)}:~/apps/digits"
    done = edgenas(*arguments, "--to", there, cwd=tmp_path)
    assert done.returncode == 0, done.stderr + done.stdout
    found = json.loads(done.stdout)["result"]
    assert found["folder"] == f"board:{board.home}/apps/digits"
    assert [report["ok"] for report in found["self_test"]] == [True] * 3
    folder = board.home / "apps" / "digits"
    assert (folder / "classify.py").stat().st_mode & 0o111
    (folder / "mine.txt").write_text("mine")
    again = edgenas(*arguments, "--to", there, cwd=tmp_path)
    assert again.returncode == 2
    assert "is there already" in again.stderr
    assert (folder / "mine.txt").read_text() == "mine"
    (board.home / "file").write_text("mine")
    inside = edgenas(*arguments, "--to", "board.toml:~/file/app", cwd=tmp_path)
    assert inside.returncode == 2
    assert "Not a directory" in inside.stderr
