"""LiteRT's own profiler, asked in C: every operator of the file, by its name, where it ran."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from device_runtime import protocol
from device_runtime.inputs import Input, random_values
from device_runtime.litert_library import DELEGATE, OPERATOR, Event, check_version
from device_runtime.litert_profile import FileOperator, named, timed
from edgenas.cli.profile import profile as command
from edgenas.core.errors import InputError, MeasurementError
from edgenas.core.progress import Silent
from edgenas.core.records import OperatorProfile
from edgenas.int8.exporters import tflite
from edgenas.int8.graph.ir import Graph, WeightedNode
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import random_ranges
from edgenas.spaces import mbv3_tiny
from edgenas.targets.config import Access, resolve
from edgenas.targets.jobs import operators
from helpers.jobs import a_job, started, state_of
from helpers.scripted_runtime import model_file

pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert: pip install 'edgenas[tflite]'")


@pytest.fixture(scope="module")
def graph() -> Graph:
    space = mbv3_tiny.create(10, 3, 32)
    layers = space.layers(space.largest())
    return lower(layers, random_state(layers, 0))


def profiled(engine: str, content: bytes, folder: Path) -> OperatorProfile:
    path = folder / "model.tflite"
    path.write_bytes(content)
    target = resolve("local", Access(), engine=engine)
    return target.profile(model_file(path), 9, folder / "jobs", Silent())  # type: ignore[attr-defined]


@pytest.mark.parametrize("engine", ["litert", "litert_builtin"])
def test_every_layer_is_timed_by_its_name(engine: str, graph: Graph, tmp_path: Path) -> None:
    found = profiled(engine, tflite.emit(graph, random_ranges(graph, 0)), tmp_path)
    names = [one.name for one in found.operators]
    layers = [node.output for node in graph.nodes[:-1]] + ["logits_map"]
    assert [name for name in names if name in layers] == layers
    assert {one.provider for one in found.operators} == {
        "XNNPACK" if engine == "litert" else "built-in kernels"
    }
    assert {one.gives for one in found.operators} == {"int8"}
    assert found.findings == ()
    heavy = [node.output for node in graph.nodes if isinstance(node, WeightedNode)]
    busy = sum(one.ms for one in found.operators if one.name in {*heavy, "logits_map"})
    assert busy > found.total_ms / 2


def test_what_falls_back_is_found_in_the_profile(graph: Graph, tmp_path: Path) -> None:
    content = tflite.emit(graph, random_ranges(graph, 0), scheme="u8s8")
    found = profiled("litert", content, tmp_path)
    outside = [one.name for one in found.operators if one.provider == "built-in kernels"]
    assert outside == ["input_int8", "logits"]
    (said,) = found.findings
    assert "2 operators are not run by the provider of the others" in said
    assert "input_int8 (QUANTIZE, built-in kernels)" in said


def test_float_model_is_told_as_such(graph: Graph, tmp_path: Path) -> None:
    found = profiled("litert", tflite.emit(graph, None), tmp_path)
    assert {one.gives for one in found.operators} == {"float"}
    assert found.findings == ()


def test_a_tflite_file_is_profiled_where_such_files_run(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(tflite.emit(graph, random_ranges(graph, 0)))
    done = CliRunner().invoke(command, [str(path), "--json", "--runs", "3"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["engine"] == "litert"
    done = CliRunner().invoke(command, [str(path), "--engine", "onnxruntime"])
    assert isinstance(done.exception, InputError)
    assert done.exception.hint == "Name an engine that does: --engine litert."


def test_operators_that_the_delegate_drops_leave_the_others_their_names() -> None:
    file = [
        FileOperator("PAD", "padded", "int8", "int8"),
        FileOperator("CONV_2D", "stem", "int8", "int8"),
        FileOperator("ADD", "sum", "int8", "int8"),
    ]
    events = [Event("Convolution (NHWC, QC8) IGEMM", DELEGATE, 5), Event("Add", DELEGATE, 1)]
    assert [about.name for about in named(events, file) if about] == ["stem", "sum"]
    assert named(list(reversed(events)), file) == [None, None]
    whole = Event("TfLiteXNNPackDelegate", OPERATOR, 6)
    invoked = Event("Invoke", 1, 7)
    assert timed([invoked, whole, *events]) == events


@pytest.mark.parametrize("version", ["2.1.0", "1.4.0", "3.0.1"])
def test_a_version_whose_interface_is_not_known_is_not_called(version: str) -> None:
    check_version("2.3.0")
    with pytest.raises(NotImplementedError, match=f"this is {version}"):
        check_version(version)


def test_an_engine_that_cannot_says_what_can() -> None:
    job = replace(a_job(), engine="tflite_runtime")
    why = "NotImplementedError: the engine tflite_runtime offers no timing by operator"
    state = state_of(
        job, [replace(started(job), engine=job.engine), protocol.Failed("a", "profile", why)]
    )
    with pytest.raises(MeasurementError, match="offers no timing by operator") as caught:
        operators.profile_of(state, "a", "kitchen")
    assert caught.value.hint.endswith("--engine litert_builtin.")


def test_random_images_are_within_the_types_limits() -> None:
    values = random_values([Input("image", (None, 8, 8, 3), "int8")], {})["image"]
    assert (values.min() < -100, values.max() > 100, values.size) == (True, True, 192)
