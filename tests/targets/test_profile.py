"""edgenas profile: the engine's own times by operator, and what they tell of fallbacks."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner

from device_runtime import readings
from edgenas.cli.profile import profile as command
from edgenas.core.errors import InputError, MeasurementError
from edgenas.core.progress import Silent
from edgenas.core.records import Operator
from edgenas.int8.exporters import onnx as exporter
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces import mbv3_tiny
from edgenas.targets.config import TargetConfig
from edgenas.targets.jobs import operators
from edgenas.targets.local import create
from helpers.jobs import a_job, started, state_of
from helpers.scripted_runtime import model_file, scripted_model, scripted_target
from helpers.tiny_onnx import write_convolution


@pytest.fixture(scope="module")
def int8_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    space = mbv3_tiny.create(10, 3, 16)
    layers = space.layers(space.smallest())
    graph = lower(layers, random_state(layers, 0))
    images = np.random.default_rng(0).standard_normal((8, *graph.input_shape[1:]), np.float32)
    path = tmp_path_factory.mktemp("model") / "a b.onnx"
    path.write_bytes(exporter.emit(graph, calibrate(graph, images)))
    return path


def test_every_operator_that_the_engine_runs_is_in_it(int8_model: Path) -> None:
    done = CliRunner().invoke(command, [str(int8_model), "--json", "--runs", "5"])
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    found = document["operators"]
    convolutions = [node for node in onnx.load(int8_model).graph.node if node.op_type == "Conv"]
    assert sum(one["type"].endswith("Conv") for one in found) == len(convolutions)
    assert {one["provider"] for one in found} == {"CPUExecutionProvider"}
    assert all(one["ms"] >= 0 for one in found) and document["runs"] == 5
    assert sum(one["share"] for one in found) == pytest.approx(1)
    assert document["total_ms"] == pytest.approx(sum(one["ms"] for one in found))
    assert document["findings"] == []
    assert document["model"] == "a_b"


def test_table_has_the_dearest_first(int8_model: Path) -> None:
    done = CliRunner().invoke(command, [str(int8_model), "--runs", "5"])
    rows = [line for line in done.stdout.splitlines() if "%" in line]
    shares = [float(row.split("%")[0].split()[-1]) for row in rows]
    assert len(shares) > 5 and shares == sorted(shares, reverse=True)


def test_the_engines_file_is_removed(
    int8_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    target = create(TargetConfig(name="here", kind="local", source="test"))
    model = replace(model_file(int8_model), key="a")
    target.profile(model, 3, tmp_path / "jobs", Silent())
    assert list(tmp_path.rglob("profile*.json")) == []


def test_engine_without_a_profiler_says_so(tmp_path: Path) -> None:
    target = scripted_target(tmp_path / "runtime")
    model = scripted_model(tmp_path, "a", "sleep 0.0002")
    with pytest.raises(MeasurementError, match="scripted offers no timing by operator") as caught:
        target.profile(model, 3, tmp_path / "jobs", Silent())
    assert "onnxruntime" in caught.value.hint


def test_broken_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"nothing")
    target = create(TargetConfig(name="here", kind="local", source="test"))
    with pytest.raises(MeasurementError, match="broken on target 'here'"):
        target.profile(model_file(path), 3, tmp_path / "jobs", Silent())


@pytest.mark.parametrize(
    ("name", "message"),
    [("none.onnx", "no model"), ("a.txt", "no model")],
)
def test_what_is_no_model_of_the_engine(tmp_path: Path, name: str, message: str) -> None:
    if not name.startswith("none"):
        (tmp_path / name).write_bytes(b"x")
    done = CliRunner().invoke(command, [str(tmp_path / name)])
    assert isinstance(done.exception, InputError) and message in str(done.exception)


def one(name: str, kind: str, takes: str, gives: str, provider: str = "CPU") -> Operator:
    return Operator(name, kind, 1.0, 0.25, provider, takes, gives)


def test_float_operators_are_found_in_an_int8_model_only() -> None:
    quantized = [
        one("q", "QuantizeLinear", "float", "uint8"),
        one("conv", "QLinearConv", "uint8", "uint8"),
        one("swish", "HardSwish", "float", "float"),
        one("back", "DequantizeLinear", "uint8", "float"),
    ]
    assert [found.name for found in operators.float_operators(quantized)] == ["swish"]
    (said,) = operators.findings(quantized)
    assert said.startswith("1 operator is computed in float") and "swish (HardSwish, CPU)" in said
    assert operators.float_operators([one("conv", "Conv", "float", "float")]) == ()


def test_an_operator_of_another_provider_is_a_fallback() -> None:
    mixed = [
        one("a", "TRT", "", "", "Tensorrt"),
        one("b", "TRT", "", "", "Tensorrt"),
        one("c", "Resize", "", "", "CPU"),
    ]
    assert [found.name for found in operators.fallbacks(mixed)] == ["c"]


def test_float_island_is_found_in_a_real_profile(tmp_path: Path) -> None:
    """An operator without int8 kernel between two quantized ones: the engine leaves it in float."""
    path = tmp_path / "island.onnx"
    nodes, constants = [], []
    for name, value in (("s", np.float32(0.05)), ("z", np.uint8(128))):
        constants.append(onnx.numpy_helper.from_array(np.asarray(value), name))
    for index, (kind, source) in enumerate((("Softplus", "input"), ("Relu", "d0"))):
        made = f"m{index}"
        nodes += [
            onnx.helper.make_node(kind, [source], [made], name=f"{kind}_{index}"),
            onnx.helper.make_node("QuantizeLinear", [made, "s", "z"], [f"q{index}"]),
            onnx.helper.make_node("DequantizeLinear", [f"q{index}", "s", "z"], [f"d{index}"]),
        ]
    tensor = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        nodes, "island", [tensor("input", 1, [1, 3, 8, 8])], [tensor("d1", 1, None)], constants
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, ir_version=8, opset_imports=opset), path)
    target = create(TargetConfig(name="here", kind="local", source="test"))
    found = target.profile(model_file(path), 3, tmp_path / "jobs", Silent())
    assert "Softplus" in found.findings[0]


def test_float_model_has_no_findings(tmp_path: Path) -> None:
    target = create(TargetConfig(name="here", kind="local", source="test"))
    model = write_convolution(tmp_path / "float.onnx")
    assert target.profile(model, 3, tmp_path / "jobs", Silent()).findings == ()


def test_profiles_are_gone_on_with_and_never_mixed_with_latency() -> None:
    job = replace(a_job(), kind="profile")
    operator = readings.Operator("a", "Conv", "CPU", 5.0, "uint8", "uint8")
    state = state_of(job, [started(job), readings.Profiled("a", 3, (operator,))])
    assert set(state.profiled) == {"a"} and state.latency("a") is None
