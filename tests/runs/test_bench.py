"""edgenas bench: models that somebody else made, measured, and held against a baseline."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper, numpy_helper

from device_runtime.inputs import Input, random_values, shapes
from edgenas.cli.bench import bench as command
from edgenas.core.errors import InputError
from edgenas.core.records import Bench, BenchRow
from edgenas.int8.exporters import tflite
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.runs.own_models.bench import against, parse_shapes
from edgenas.spaces import mbv3_tiny

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes an ONNX file of some nodes and inputs."""

    def written(
        file: str,
        nodes: list[Any],
        inputs: dict[str, tuple[int, list[Any]]],
        constants: tuple[Any, ...] = (),
        opsets: tuple[tuple[str, int], ...] = (("", 17),),
        **saving: Any,
    ) -> Path:
        ends = [
            helper.make_tensor_value_info(n, kind, shape) for n, (kind, shape) in inputs.items()
        ]
        out = [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)]
        graph = helper.make_graph(nodes, "g", ends, out, list(constants))
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid(*one) for one in opsets], ir_version=8
        )
        onnx.save(model, tmp_path / file, **saving)
        return tmp_path / file

    return written


@pytest.fixture
def convolution(write: Write) -> Callable[..., Path]:
    """Return a function that writes a convolution of an image of some shape."""

    def written(name: str, shape: list[Any], **saving: Any) -> Path:
        weights = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
        return write(
            name,
            [helper.make_node("Conv", ["x", "w"], ["y"])],
            {"x": (TensorProto.FLOAT, shape)},
            (numpy_helper.from_array(weights, "w"),),
            **saving,
        )

    return written


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(command, [str(one) for one in arguments])


def test_files_of_any_inputs_are_measured_side_by_side(
    write: Write, convolution: Callable[..., Path], tmp_path: Path
) -> None:
    image = convolution("image.onnx", ["batch", 3, 16, 16])
    table = numpy_helper.from_array(np.zeros((10, 4), np.float32), "table")
    text = write(
        "text.onnx",
        [
            helper.make_node("Gather", ["table", "tokens"], ["words"]),
            helper.make_node("Add", ["words", "more"], ["y"]),
        ],
        {"tokens": (TensorProto.INT64, [1, "length"]), "more": (TensorProto.FLOAT, [1, 8, 4])},
        (table,),
    )
    space = mbv3_tiny.create(10, 3, 16)
    layers = space.layers(space.smallest())
    graph = lower(layers, random_state(layers, 0))
    images = np.random.default_rng(0).standard_normal((8, *graph.input_shape[1:]), np.float32)
    lite = tmp_path / "image.tflite"
    lite.write_bytes(tflite.emit(graph, calibrate(graph, images)))
    picture = tmp_path / "plot.png"
    done = run(
        image, text, lite, "--shape", "tokens=1x8", "--operators", "--png", picture, "--json"
    )
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    rows = {row["model"]: row for row in document["rows"]}
    assert list(rows) == ["image.onnx", "text.onnx", "image.tflite"]
    assert [row["engine"] for row in rows.values()] == ["onnxruntime", "onnxruntime", "litert"]
    assert all(row["median_ms"] > 0 and row["passes"] >= 2 for row in rows.values())
    assert rows["text.onnx"]["shapes"] == {"tokens": [1, 8]}
    kinds = {one["type"] for one in rows["text.onnx"]["profile"]["operators"]}
    assert kinds == {"Gather", "Add"}
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_table_says_what_could_not_be_measured_and_fails(
    write: Write, convolution: Callable[..., Path]
) -> None:
    foreign = helper.make_node("Foo", ["x"], ["y"], domain="me")
    custom = write(
        "custom.onnx", [foreign], {"x": (TensorProto.FLOAT, [1, 3])}, (), (("", 17), ("me", 1))
    )
    done = run(custom, convolution("image.onnx", [1, 3, 16, 16]))
    assert done.exit_code == 1
    assert "custom.onnx on local (onnxruntime): NOT MEASURED" in done.stdout
    assert "Foo" in done.stdout and "/models/" not in done.stdout
    assert "Traceback" not in done.output


def test_weights_beside_the_model_are_taken_in_and_from_nowhere_else(
    convolution: Callable[..., Path], tmp_path: Path
) -> None:
    apart = {"save_as_external_data": True, "size_threshold": 0}
    path = convolution("apart.onnx", [1, 3, 16, 16], location="w.bin", **apart)
    assert run(path).exit_code == 0
    (tmp_path / "w.bin").rename(tmp_path / "elsewhere.bin")
    refused = run(path)
    assert isinstance(refused.exception, InputError)
    assert "there is no file" in str(refused.exception)
    model = onnx.load(path, load_external_data=False)
    for place in ("../secret", "/etc/hostname"):
        model.graph.initializer[0].external_data[0].value = place
        onnx.save(model, path)
        refused = run(path)
        assert isinstance(refused.exception, InputError)
        assert "outside its own folder" in str(refused.exception)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"x", "is no model file"),
        ("a.onnx", b"not protobuf at all", "cannot be read"),
        ("b.onnx", b"", "no operators"),
        ("a.tflite", b"\x00" * 32, "does not begin"),
    ],
)
def test_what_is_no_model_is_refused_in_a_line(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    refused = run(tmp_path / name)
    assert isinstance(refused.exception, InputError)
    assert message in refused.exception.message and "\n" not in refused.exception.message


def test_a_size_that_is_left_open_is_asked_for(convolution: Callable[..., Path]) -> None:
    path = convolution("open.onnx", ["n", 3, "h", "w"])
    refused = run(path)
    assert isinstance(refused.exception, InputError)
    assert "x [open, 3, open, open] has an open size" in refused.exception.message
    assert "--shape" in refused.exception.hint
    wrong = run(convolution("fixed.onnx", [1, 3, 8, 8]), "--shape", "y=1x3x8x8")
    assert "No model has an input called 'y'" in str(wrong.exception)
    assert run(path, "--shape", "1x3x8x8").exit_code == 0


def test_shapes_fit_the_file_and_wide_integers_are_zeros() -> None:
    inputs = [Input("a", (None, 3), "float32"), Input("i", (2,), "int64")]
    assert shapes(inputs, {}) == {"a": (1, 3), "i": (2,)}
    with pytest.raises(ValueError, match="cannot have the shape 1x4"):
        shapes(inputs, {"a": (1, 4)})
    assert random_values(inputs, {})["i"].tolist() == [0, 0]
    assert parse_shapes(["x=1x3", "2,2"]) == {"x": (1, 3), "": (2, 2)}
    for text in ("x=1xx", "", "0x3", "a=-1"):
        with pytest.raises(InputError, match="is no shape"):
            parse_shapes([text])


ROW = BenchRow(
    "m.onnx", "0" * 64, 10, "pi", "onnxruntime", "ok", {}, machine="A72", median_ms=10.0,
    p90_ms=11.0, ci95_ms=(9.9, 10.1), passes=6,
)  # fmt: skip


def document(*rows: BenchRow) -> Bench:
    return Bench("edgenas-bench", 1, "2026-01-01", rows)


@pytest.mark.parametrize(
    ("median_ms", "ci95_ms", "verdict"),
    [
        (10.2, (10.1, 10.3), "kept"),
        (10.6, (10.3, 10.9), "undecided"),
        (11.0, (10.8, 11.2), "slower"),
        (9.0, (8.9, 9.1), "kept"),
        (11.0, None, "undecided"),
    ],
)
def test_slower_is_what_the_whole_interval_says(
    median_ms: float, ci95_ms: tuple[float, float] | None, verdict: str
) -> None:
    now = replace(ROW, median_ms=median_ms, ci95_ms=ci95_ms)
    (change,) = against(document(now), document(ROW), 0.05)
    assert change.verdict == verdict


def test_a_baseline_of_something_else_is_refused() -> None:
    with pytest.raises(InputError, match="another machine: A76 in the baseline, A72 now"):
        against(document(ROW), document(replace(ROW, machine="A76")), 0.05)
    with pytest.raises(InputError, match="another shape"):
        against(document(ROW), document(replace(ROW, shapes={"x": (1, 2)})), 0.05)
    with pytest.raises(InputError, match="none of these models"):
        against(document(ROW), document(replace(ROW, model="n.onnx")), 0.05)


def test_new_and_lost_models_are_said() -> None:
    new = replace(ROW, model="new.onnx")
    lost = replace(ROW, model="lost.onnx", median_ms=None, ci95_ms=None, reason="check: no")
    changes = against(document(ROW, new, lost), document(ROW), 0.05)
    assert [change.verdict for change in changes] == ["kept", "new", "not measured"]


def test_a_slower_model_ends_in_1_only_if_that_was_asked_for(
    convolution: Callable[..., Path], tmp_path: Path
) -> None:
    path = convolution("m.onnx", [1, 3, 16, 16])
    baseline = json.loads(run(path, "--json").stdout)
    for row in baseline["rows"]:  # as if it had been a thousand times as fast
        row["median_ms"] /= 1000
        row["ci95_ms"] = [row["median_ms"] * 0.9, row["median_ms"] * 1.1]
    saved = tmp_path / "baseline.json"
    saved.write_text(json.dumps(baseline))
    asked = run(path, "--against", saved, "--fail-if-slower", "5%")
    assert (asked.exit_code, "SLOWER: m.onnx" in asked.stdout) == (1, True)
    assert run(path, "--against", saved).exit_code == 0
    saved.write_text("{}")
    assert isinstance(run(path, "--against", saved).exception, InputError)
