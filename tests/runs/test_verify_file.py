"""edgenas verify MODEL: a file that somebody else made, on a target."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from edgenas.int8.engines.host import fed_logits, logits
from helpers import own_series, scripted_clock
from helpers.cli import Done, edgenas
from helpers.own_networks import exported, images_and_labels, normalised

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


@pytest.mark.parametrize("suffix", ["onnx", "tflite"])
def test_arrays_verify_a_network_of_series(tmp_path: Path, suffix: str) -> None:
    module, shape = own_series.built("length-first")
    content = exported(module, shape)
    (tmp_path / "own.onnx").write_bytes(content)
    values = own_series.inputs(80, shape)
    labels = logits(content, values).argmax(1)
    np.savez(tmp_path / "arrays.npz", inputs=values, labels=labels)
    name, given = f"own.int8.{suffix}", ("--inputs", "arrays.npz")
    done = edgenas("quantize", "own.onnx", *given, "-o", name, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    target = ("--target", scripted_clock.target_file(tmp_path, "here"))
    more = ("--reference", "own.onnx", "--json")
    with scripted_clock.ticking(tmp_path):
        done = edgenas("verify", name, *given, *target, *more, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["reasons"], found["input"], found["n_images"]) == ([], None, 80)
    right = fed_logits((tmp_path / name).read_bytes(), values).argmax(1) == labels
    assert found["accuracy"]["mean"] == pytest.approx(right.mean(), abs=0.026)
    assert found["agreement"] >= 0.97
    assert found["reference"]["accuracy"]["mean"] == 1.0
    np.savez(tmp_path / "bare.npz", inputs=values[:30])
    with scripted_clock.ticking(tmp_path):
        done = edgenas("verify", name, "--inputs", "bare.npz", *target, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "parity: " in done.stdout
    assert "of the classes of 30 inputs alike" in done.stdout
    assert "accuracy" not in done.stdout


def test_arrays_that_do_not_fit_verify_nothing(files: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "none.npz", inputs=np.zeros((0, 3, 8, 8), np.float32))
    np.savez(tmp_path / "other.npz", inputs=np.zeros((4, 9), np.float32))
    bad = np.full((4, 3, 8, 8), np.nan, np.float32)
    np.savez(tmp_path / "nan.npz", inputs=bad)
    for name, said in (
        ("none.npz", "has no inputs"),
        ("other.npz", "numbers of shape (n, 3, 8, 8)"),
        ("nan.npz", "not all finite"),
        ("missing.npz", "missing.npz"),
    ):
        done = edgenas("verify", "float.onnx", "--inputs", str(tmp_path / name), cwd=files)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
    both = ("--inputs", str(tmp_path / "nan.npz"), "--data", "digits")
    assert "one of the two" in edgenas("verify", "float.onnx", *both, cwd=files).stderr
    assert "--inputs is of a model file" in edgenas("verify", "run", *both[:2], cwd=files).stderr


def test_several_inputs_are_timed_and_not_verified_or_quantized(tmp_path: Path) -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.image, self.row = nn.Conv2d(3, 4, 3), nn.Linear(6, 4)

        def forward(self, image: torch.Tensor, row: torch.Tensor) -> torch.Tensor:
            return self.image(image).mean((2, 3)) + self.row(row)

    path = tmp_path / "two.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Two().eval(),
            (torch.zeros(1, 3, 8, 8), torch.zeros(1, 6)),
            str(path),
            dynamo=False,
            opset_version=17,
            input_names=["image", "row"],
        )
    target = ("--target", scripted_clock.target_file(tmp_path, "here"))
    with scripted_clock.ticking(tmp_path):
        done = edgenas("bench", "two.onnx", *target, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [row["status"] for row in json.loads(done.stdout)["rows"]] == ["ok"]
    for command, said in (
        ("verify", "other than one float32 input"),
        ("quantize", "2 inputs (image, row)"),
    ):
        done = edgenas(command, "two.onnx", "--inputs", "a.npz", cwd=tmp_path)
        assert done.returncode == 2, done.stderr
        assert said in done.stderr
        assert "edgenas bench" in done.stderr
