"""edgenas quantize: a float model of somebody else, its int8 files, and what is said of them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgenas.int8.engines.host import fed_logits, logits
from edgenas.int8.exporters import onnx as onnx_exporter
from edgenas.int8.graph.calibrated import calibrated
from edgenas.int8.graph.quantize import SCHEMES
from edgenas.int8.importer.read import import_onnx
from helpers import own_series
from helpers.cli import Done, edgenas
from helpers.own_networks import built, exported, images_and_labels, normalised, pictures

Says = Callable[..., Done]


@pytest.fixture
def quantize(own_folder: Path, tmp_path: Path) -> Says:
    def run(*arguments: str, model: str = "model.onnx") -> Done:
        named = [arg.replace("FOLDER", str(own_folder)) for arg in arguments]
        return edgenas("quantize", str(own_folder / model), *named, cwd=tmp_path)

    return run


HOW = ("--mean", "0.5", "--std", "0.5")


def test_files_compute_what_is_said_of_them(
    quantize: Says, own_folder: Path, tmp_path: Path
) -> None:
    done = quantize("--data", "imagefolder:FOLDER/digits", *HOW, "--layers", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    pixels, labels = images_and_labels()
    test, answers = normalised(pixels[1400:1700]), labels[1400:1700]
    right = logits((own_folder / "model.onnx").read_bytes(), test).argmax(1) == answers
    assert found["float_accuracy"]["mean"] == pytest.approx(right.mean())
    assert found["float_accuracy"]["mean"] > 0.7
    assert (found["n_calibration"], found["n_test"]) == (128, 300)
    for file in found["files"]:
        content = (tmp_path / file["path"]).read_bytes()
        if file["format"] == "tflite":
            test = test.transpose(0, 2, 3, 1)
        seen = fed_logits(content, test).argmax(1) == answers
        assert file["accuracy"]["mean"] == pytest.approx(seen.mean(), abs=0.011)
        assert file["change"]["lower"] <= file["change"]["mean"] <= file["change"]["upper"]
        assert file["change"]["mean"] == pytest.approx(
            file["accuracy"]["mean"] - found["float_accuracy"]["mean"]
        )
        assert file["problems"] == []
        layers = file["layers"]
        assert len(layers) == len({layer["name"] for layer in layers})
        assert {layer["kind"] for layer in layers} >= {"input", "conv", "mul", "linear"}
        assert file["form"] in ("as it is", "equalised", "biases corrected")
        assert min(layer["logits_snr_db"] for layer in layers) > file["logits_snr_db"]


def test_int8_is_as_near_to_float_as_static_quantization(own_folder: Path, tmp_path: Path) -> None:
    from onnxruntime import quantization as ort

    pixels, _ = images_and_labels()
    calibration, test = normalised(pixels[:128]), normalised(pixels[1400:1700])

    class Reader(ort.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.rows = iter(calibration)

        def get_next(self) -> dict[str, np.ndarray] | None:
            row = next(self.rows, None)
            return None if row is None else {"image": row[None]}

    ort.quantize_static(
        own_folder / "model.onnx",
        tmp_path / "other.onnx",
        Reader(),
        per_channel=True,
        activation_type=ort.QuantType.QUInt8,
        weight_type=ort.QuantType.QInt8,
    )
    scheme = SCHEMES["u8s8"]
    content = (own_folder / "model.onnx").read_bytes()
    found = calibrated(import_onnx(content, "model").graph, calibration, scheme)
    exact = logits(content, test)
    files = (onnx_exporter.emit(found.graph, found.ranges), (tmp_path / "other.onnx").read_bytes())
    own, other = (float(np.square(logits(file, test) - exact).mean()) for file in files)
    assert own <= 1.2 * other


@pytest.mark.parametrize(("steps", "code"), [(1, 0), (3, 1)])
def test_scores_may_be_as_far_from_the_reference_as_the_engine_is_known_to_be(
    quantize: Says, monkeypatch: pytest.MonkeyPatch, steps: int, code: int
) -> None:
    """A step in the mean, which moves classes that are nearly equal, is tolerated of XNNPACK."""

    def off(model: bytes, images: np.ndarray, engine: str = "onnxruntime") -> np.ndarray:
        scores = logits(model, images, engine)
        if engine == "litert":
            step = np.diff(np.unique(scores)).min()
            scores[:, ::2] += steps * step
            scores[:, 1::2] -= steps * step
        return scores

    monkeypatch.setattr("edgenas.runs.own_models.quantized.logits", off)
    done = quantize("--inputs", "FOLDER/arrays.npz", "-o", "own.tflite", "--json")
    assert done.returncode == code, done.stderr
    (file,) = json.loads(done.stdout)["files"]
    assert file["mean_steps"] == pytest.approx(steps, abs=0.2)
    assert bool(file["problems"]) == bool(code)


def test_network_that_gives_images_has_no_classes(tmp_path: Path) -> None:
    (tmp_path / "unet.onnx").write_bytes(exported(built("u-net"), (3, 16, 16)))
    np.savez(tmp_path / "arrays.npz", inputs=pictures(12))
    done = edgenas("quantize", "unet.onnx", "--inputs", "arrays.npz", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert [file["changed"] for file in json.loads(done.stdout)["files"]] == [None, None]
    np.savez(tmp_path / "labelled.npz", inputs=pictures(12), labels=np.zeros(12, int))
    done = edgenas("quantize", "unet.onnx", "--inputs", "labelled.npz", cwd=tmp_path)
    refused(done, "gives no score a class")


def test_both_files_are_described(quantize: Says) -> None:
    labels = ("--labels", "FOLDER/classes.txt")
    done = quantize("--data", "imagefolder:FOLDER/digits", *HOW, *labels, "--layers")
    assert done.returncode == 0, done.stderr
    for text in ("model.int8.onnx", "model.int8.tflite", "calibrated on 128 images", "change"):
        assert text in done.stdout
    lines = done.stdout.splitlines()
    first, second = (
        next(at for at, line in enumerate(lines) if line.startswith(f"model.int8.{suffix}: "))
        for suffix in ("onnx", "tflite")
    )
    for own in (lines[first + 1 : second], lines[second + 1 :]):
        assert sum(line.startswith("  layer ") for line in own) >= 5


@pytest.mark.parametrize("name", ["mlp", "keywords", "length-first", "one-per-step"])
def test_vectors_and_series_are_quantized(tmp_path: Path, name: str) -> None:
    module, shape = own_series.built(name)
    content = exported(module, shape)
    (tmp_path / "own.onnx").write_bytes(content)
    values = own_series.inputs(60, shape)
    exact = logits(content, values)
    known = {"labels": exact.argmax(1)} if exact.ndim == 2 else {}
    np.savez(tmp_path / "arrays.npz", inputs=values, **known)
    done = edgenas("quantize", "own.onnx", "--inputs", "arrays.npz", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["n_calibration"], found["n_test"], found["input"]) == (30, 30, None)
    power = float(np.square(exact).sum())
    for file in found["files"]:
        assert file["problems"] == []
        assert file["logits_snr_db"] > 15
        engine = {"onnx": "onnxruntime", "tflite": "litert"}[file["format"]]
        scores = logits((tmp_path / file["path"]).read_bytes(), values, engine)
        scores = scores.reshape(len(exact), -1)
        if exact.ndim == 3 and file["format"] == "tflite":
            scores = scores.reshape(len(exact), -1, exact.shape[1]).transpose(0, 2, 1)
        lost = float(np.square(scores.reshape(exact.shape) - exact).sum())
        assert 10 * np.log10(power / lost) > 15  # beyond the range that calibrated, too


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"inputs": np.zeros((4, 40, 1), np.float32)}, "numbers of shape (n, 40)"),
        ({"inputs": np.zeros(40, np.float32)}, "numbers of shape (n, 40)"),
        ({"inputs": np.float32(1)}, "numbers of shape (n, 40)"),
        ({"inputs": np.full((4, 40), np.nan, np.float32)}, "not all finite"),
        ({"inputs": np.full((4, 40), 3, np.float32)}, "nothing can be calibrated"),
    ],
)
def test_vectors_that_do_not_fit_are_refused(
    tmp_path: Path, arrays: dict[str, Any], said: str
) -> None:
    (tmp_path / "own.onnx").write_bytes(exported(*own_series.built("mlp")))
    path = saved(tmp_path / "bad.npz", **arrays)
    refused(edgenas("quantize", "own.onnx", "--inputs", path, cwd=tmp_path), said)
    done = edgenas("quantize", "own.onnx", "--data", "digits", cwd=tmp_path)
    refused(done, "The model takes 40, which no square image becomes")
    refused(edgenas("quantize", "own.onnx", "--shape", "4x-4", cwd=tmp_path), "no shape of an")


def test_wrong_preprocessing_is_doubted(quantize: Says) -> None:
    done = quantize("--data", "imagefolder:FOLDER/digits", "--mean", "200", "--json")
    assert "no better than guessing" in " ".join(json.loads(done.stdout)["reservations"])


def test_file_says_how_its_input_is_made(quantize: Says, tmp_path: Path) -> None:
    quantize("--data", "imagefolder:FOLDER/digits", *HOW, "-o", "own.onnx")
    known = {one.key: one.value for one in onnx.load(tmp_path / "own.onnx").metadata_props}
    assert json.loads(known["edgenas.input"])["mean"] == [0.5, 0.5, 0.5]
    assert json.loads(known["edgenas.class_names"]) == [f"class{n}" for n in range(10)]


def refused(done: Done, said: str) -> None:
    assert done.returncode in (2, 6), done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def saved(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"inputs": np.zeros((4, 3, 9, 9), np.float32)}, "the model takes numbers of shape"),
        ({"inputs": np.ones((4, 3, 8, 8), np.float32)}, "nothing can be calibrated"),
        ({"inputs": np.full((4, 3, 8, 8), np.nan, np.float32)}, "not all finite"),
        ({"inputs": np.zeros((1, 3, 8, 8), np.float32)}, "1 input;"),
        ({"a": np.zeros(2), "b": np.zeros(2)}, "has the arrays a, b"),
        (
            {"inputs": np.random.default_rng(0).random((4, 3, 8, 8)), "labels": np.arange(3)},
            "for each of 4 inputs",
        ),
        (
            {"inputs": np.random.default_rng(0).random((4, 3, 8, 8)), "labels": np.full(4, 10)},
            "the model has 10 scores",
        ),
        ({"inputs": np.array(["a"], object)}, "is no .npz file of arrays"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(
    quantize: Says, tmp_path: Path, arrays: dict[str, Any], said: str
) -> None:
    refused(quantize("--inputs", saved(tmp_path / "bad.npz", **arrays)), said)


def test_labels_that_do_not_match_the_scores_are_refused(quantize: Says, tmp_path: Path) -> None:
    data = ("--data", "imagefolder:FOLDER/digits")
    (tmp_path / "few.txt").write_text("class0\nclass1\n")
    refused(quantize(*data, "--labels", "few.txt"), "10 scores, and 2 classes")
    (tmp_path / "other.txt").write_text("".join(f"c{n}\n" for n in range(10)))
    refused(quantize(*data, "--labels", "other.txt"), "is not among those of the model")
    refused(quantize(*data, "--mean", "1,2"), "--mean has 2 numbers")
    refused(quantize(), "one of the two")


def test_weights_outside_of_the_folder_are_refused(own_folder: Path, tmp_path: Path) -> None:
    model = onnx.load(own_folder / "model.onnx")
    for tensor in model.graph.initializer:
        if numpy_helper.to_array(tensor).size > 100:
            onnx.external_data_helper.set_external_data(tensor, "../secret.bin")
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    done = edgenas("quantize", "own.onnx", "--inputs", "x.npz", cwd=tmp_path)
    refused(done, "outside its own folder")


def test_too_large_and_foreign_files_are_refused(own_folder: Path, tmp_path: Path) -> None:
    with (tmp_path / "large.onnx").open("wb") as file:
        file.truncate(3 << 30)
    refused(edgenas("quantize", "large.onnx", "--inputs", "x", cwd=tmp_path), "over 2 GB")
    refused(edgenas("quantize", "a.tflite", "--inputs", "x", cwd=tmp_path), "no .onnx file")
    model, data = str(own_folder / "model.onnx"), str(own_folder / "arrays.npz")
    (tmp_path / "mine.onnx").write_bytes(b"mine")
    done = edgenas("quantize", model, "--inputs", data, "-o", "mine.onnx", cwd=tmp_path)
    refused(done, "edgenas did not write it")
    assert (tmp_path / "mine.onnx").read_bytes() == b"mine"
    done = edgenas("quantize", model, "--inputs", data, "-o", "a.txt", cwd=tmp_path)
    refused(done, "ends neither in .onnx nor in .tflite")


def test_noisiest_layers_stay_in_float_until_the_drop_holds(
    quantize: Says, own_folder: Path, tmp_path: Path
) -> None:
    arrays = own_folder / "arrays.npz"
    done = quantize(
        "--inputs", str(arrays), "-o", "m.onnx", "--max-drop", "2", "--json", model="spiked.onnx"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    (file,) = found["files"]
    drop, layers, cost = file["drop"], file["float_layers"], file["cost"]
    assert found["n_calibration"] + drop["n_deciding"] + found["n_test"] == 400
    assert drop["int8"] > 0.3
    assert drop["mixed"] <= 0.02
    assert drop["lost"]["mean"] == pytest.approx(-file["change"]["mean"])
    assert 0 < len(layers) < 6
    assert 0 < sum(layer["share"] for layer in layers) < 1
    assert all(cost[name]["lower"] <= cost[name]["mean"] for name in ("mixed", "int8", "float"))
    with np.load(arrays) as every:
        inputs, labels = every["inputs"], every["labels"]
    scores = [logits((tmp_path / "m.onnx").read_bytes(), inputs).argmax(1) == labels]
    scores += [logits((own_folder / "spiked.onnx").read_bytes(), inputs).argmax(1) == labels]
    assert abs(scores[0].mean() - scores[1].mean()) < 0.03


def test_drop_is_judged_on_images_that_did_not_decide(quantize: Says) -> None:
    """A drop of nothing is not kept on the test images; the exit code says so."""
    done = quantize(
        *("--data", "imagefolder:FOLDER/digits", *HOW, "-o", "m.onnx", "--max-drop", "0", "--json")
    )
    (file,) = json.loads(done.stdout)["files"]
    held = file["drop"]["lost"]["mean"] <= 0
    assert done.returncode == (0 if held else 1)
    assert any("points on the test images" in text for text in file["problems"]) != held
    assert file["drop"]["n_deciding"] == 75


def test_operators_that_are_not_covered_stay_in_float_if_asked_for(tmp_path: Path) -> None:
    (tmp_path / "elu.onnx").write_bytes(exported(built("elu"), (3, 16, 16)))
    np.savez(tmp_path / "arrays.npz", inputs=pictures(12))
    given = ("quantize", "elu.onnx", "--inputs", "arrays.npz")
    refused(edgenas(*given, cwd=tmp_path), "--keep-float")
    done = edgenas(*given, "--keep-float", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (file,) = json.loads(done.stdout)["files"]
    assert file["format"] == "onnx"
    assert [layer["kind"] for layer in file["float_layers"]] == ["Elu", "Resize"]
    refused(edgenas(*given, "--keep-float", "-o", "e.tflite", cwd=tmp_path), "no place for Elu")


def test_drop_needs_labels_and_a_target_that_is_known(
    quantize: Says, own_folder: Path, tmp_path: Path
) -> None:
    with np.load(own_folder / "arrays.npz") as every:
        path = saved(tmp_path / "bare.npz", inputs=every["inputs"])
    refused(quantize("--inputs", path, "--max-drop", "1"), "needs labels")
    two = saved(tmp_path / "two.npz", inputs=pictures(2, 8), labels=np.zeros(2, int))
    refused(quantize("--inputs", two, "--max-drop", "1"), "some decide")
    refused(quantize("--inputs", path, "--target", "local"), "Add --max-drop")
    refused(quantize("--inputs", path, "--max-drop", "1", "--target", "locl"), "locl")
