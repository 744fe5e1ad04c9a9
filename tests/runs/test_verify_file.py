"""edgenas verify MODEL: a file that somebody else made, on a target."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgenas.int8.engines.host import logits
from helpers import scripted_clock
from helpers.cli import Done, edgenas
from helpers.own_networks import images_and_labels, normalised

Says = Callable[..., Done]
HOW = ("--mean", "0.5", "--std", "0.5")


@pytest.fixture(scope="module")
def files(own_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the float file, and what quantize makes of it."""
    folder = tmp_path_factory.mktemp("files")
    data = f"imagefolder:{own_folder / 'digits'}"
    done = edgenas("quantize", str(own_folder / "model.onnx"), "--data", data, *HOW, cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "float.onnx").write_bytes((own_folder / "model.onnx").read_bytes())
    return folder


@pytest.fixture
def verify(files: Path, own_folder: Path) -> Says:
    def run(*arguments: str) -> Done:
        data = ("--data", f"imagefolder:{own_folder / 'digits'}")
        target = ("--target", scripted_clock.target_file(files, "here"))
        with scripted_clock.ticking(files):
            return edgenas("verify", *arguments, *data, *target, cwd=files)

    return run


@pytest.mark.parametrize("name", ["model.int8.onnx", "model.int8.tflite"])
def test_a_file_that_computes_rightly_passes(verify: Says, name: str) -> None:
    done = verify(name, *HOW, "--reference", "float.onnx", "--max-latency", "1s", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["status"], found["reasons"]) == ("pass", [])
    assert found["n_images"] == 300
    assert found["accuracy"]["mean"] > 0.8
    assert found["agreement"] >= 0.99
    assert found["outcome"]["latency"]["median_ms"] > 0
    change = found["accuracy"]["mean"] - found["reference"]["accuracy"]["mean"]
    assert found["reference"]["change"]["mean"] == pytest.approx(change)


@pytest.mark.slow
def test_float_file_has_the_accuracy_of_its_engine(verify: Says, files: Path) -> None:
    found = json.loads(verify("float.onnx", *HOW, "--json").stdout)
    pixels, labels = images_and_labels()
    scores = logits((files / "float.onnx").read_bytes(), normalised(pixels[1400:1700]))
    right = float((scores.argmax(1) == labels[1400:1700]).mean())
    assert found["accuracy"]["mean"] == pytest.approx(right, abs=0.0067)
    assert found["max_steps"] < 0.1


def test_a_limit_that_is_not_kept_fails(verify: Says) -> None:
    done = verify("model.int8.onnx", "--max-latency", "0.0001ms")
    assert done.returncode == 1
    assert "FAIL: model.int8.onnx" in done.stdout
    assert "over the limit" in done.stdout


def test_a_worse_file_is_told_from_its_reference(verify: Says, files: Path) -> None:
    model = onnx.load(files / "float.onnx")
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.shape == (10, 192):
            noise = np.random.default_rng(0).standard_normal(values.shape) * values.std() * 2
            worse = numpy_helper.from_array((values + noise).astype(np.float32), tensor.name)
            tensor.CopyFrom(worse)
    onnx.save(model, files / "worse.onnx")
    done = verify("worse.onnx", *HOW, "--reference", "float.onnx", "--strict")
    assert done.returncode == 7, done.stderr + done.stdout
    assert "measurably less accurate than float.onnx" in done.stdout


def test_what_cannot_be_verified_is_one_line(verify: Says, files: Path, tmp_path: Path) -> None:
    (files / "damaged.tflite").write_bytes(b"\x08\0\0\0TFL3" + b"\xff" * 50)
    (files / "text.onnx").write_text("no model")
    few = tmp_path / "few.txt"
    few.write_text("a\nb\n")
    for arguments, said in (
        (["damaged.tflite"], "damaged"),
        (["text.onnx"], "no ONNX file"),
        (["missing.onnx"], "missing.onnx"),
        (["float.onnx", "--labels", str(few)], "2 classes are named"),
        (["float.onnx", "--engine", "litert"], "does not take float.onnx"),
        (["float.onnx", "--epochs", "3"], "--epochs is of a run, not of a model file"),
    ):
        done = verify(*arguments)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    done = edgenas("verify", "float.onnx", cwd=files)
    assert "--data imagefolder:DIR" in done.stderr
    done = edgenas("verify", "run", "--mean", "1", cwd=files)
    assert "--mean is of a model file" in done.stderr
