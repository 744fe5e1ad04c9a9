"""edgenas roofline, on a machine whose times follow from the layers by hand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper

from edgenas.cli.main import edgenas as root
from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import RunFolder
from edgenas.core.progress import Silent
from edgenas.int8.exporters import onnx as exporter
from edgenas.int8.exporters import tflite
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import random_ranges
from edgenas.reporting.words.roofline import sentences
from edgenas.runs.config import RunConfig
from edgenas.runs.models import roofline_file
from edgenas.runs.run import RunContext
from edgenas.spaces import mbv3_tiny
from helpers import finished_run, roofline_sample
from helpers.scripted_roof import (
    CALL_US,
    GMACS,
    LAUNCH_US,
    UNIT_NS,
    layer_us,
    measuring,
    network_us,
)

SPACE = mbv3_tiny.create(10, 3, 32)
LAYERS = SPACE.layers(SPACE.sample(np.random.default_rng(8)))


def content(made_by: Any = exporter, *, int8: bool = True) -> bytes:
    graph = lower(LAYERS, random_state(LAYERS, 0))
    return made_by.emit(graph, random_ranges(graph, 0, 1) if int8 else None)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "net.onnx"
    path.write_bytes(content())
    return path


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(root, ["roofline", *map(str, arguments)])


def test_the_roof_and_every_layer_are_found_again(model: Path, tmp_path: Path) -> None:
    picture = tmp_path / "roofline.png"
    with measuring(LAYERS):
        done = run(model, "--json", "--png", picture)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout)
    roof = document["roof"]
    assert roof["gmacs_per_s"] == pytest.approx(GMACS, rel=1e-6)
    assert roof["unit_ns"] == pytest.approx(UNIT_NS, rel=1e-6)
    assert roof["launch_us"] == pytest.approx(LAUNCH_US, rel=1e-6)
    assert roof["call_us"] == pytest.approx(CALL_US, rel=1e-6)
    assert document["latency_ms"]["mean"] == pytest.approx(network_us(LAYERS) / 1e3)
    assert document["explained"] == pytest.approx(1.0, abs=1e-6)
    layers = {one["name"]: one for one in document["layers"]}
    for layer in LAYERS[:-1]:
        assert layers[layer.name]["limit_us"] == pytest.approx(layer_us(layer), rel=1e-6)
        assert layers[layer.name]["measured_us"] == pytest.approx(layer_us(layer), rel=1e-6)
        assert layers[layer.name]["of_limit"] == pytest.approx(1.0, rel=1e-6)
    assert {one["bit_operations"] for one in document["layers"]} == {None}  # all are of 8 bits
    assert sum(part["share"] for part in document["parts"]) == pytest.approx(1.0)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_sentence_says_what_the_time_is_made_of(model: Path) -> None:
    convolution_us = LAUNCH_US + UNIT_NS["started convolution"] / 1e3
    depthwise = [layer_us(layer) - convolution_us for layer in LAYERS if layer.kind == "depthwise"]
    share = sum(depthwise) / network_us(LAYERS)
    kernels = len(LAYERS) + 2
    with measuring(LAYERS):
        told = " ".join(run(model).stdout.split())
    assert (
        f"{share:.0%} is depthwise, at 100% of what this machine does on depthwise: only less of "
        "it helps"
    ) in told
    convolutions = sum(bool(layer.params) for layer in LAYERS)
    started_us = kernels * LAUNCH_US + convolutions * UNIT_NS["started convolution"] / 1e3
    started = started_us / network_us(LAYERS)
    assert f"{started:.0%} is starting {kernels} kernels" in told
    assert (
        "Starting a kernel: 3 us, a convolution or matrix 1.5 us more; a call besides: 40 us. "
        "Besides multiplying: 4 ns an output of a pointwise or dense layer, 30 ns a pixel's tap of "
        "a dense layer, 20 ns a pixel's tap of a depthwise layer, 6 ns such a tap for each channel "
        "that fills no vector of 8, 1 ns of 16."
    ) in told
    assert "The sum of all limits is" in told and "100% of the measured latency" in told


def test_an_fpga_which_is_estimated_has_no_roofline(model: Path) -> None:
    result = run(model, "--target", "pynq-z2")
    assert isinstance(result.exception, InputError)
    assert "'pynq-z2' is estimated, not measured" in str(result.exception)


def test_without_a_profiler_there_are_limits_and_no_measured_layers(model: Path) -> None:
    with measuring(LAYERS, profiles=False):
        document = json.loads(run(model, "--json").stdout)
        told = " ".join(run(model).stdout.split())
    assert {one["measured_us"] for one in document["layers"]} == {None}
    assert document["profile_missing"] == "It has no profiler. Take another engine."
    assert "by the limits alone" in told and "at 100% of what" not in told


def test_what_the_limits_leave_open_is_said_where_it_is_much() -> None:
    found = roofline_sample.sample()
    *made_of, rest = found.parts
    assert "not explained" not in sentences(found)[0]
    much = replace(found, parts=(*made_of, replace(rest, share=0.35)))
    assert sentences(much)[0].endswith("35% is not explained.")


def test_a_tflite_file_and_a_float_file_are_held_against_models_of_their_own_kind(
    tmp_path: Path,
) -> None:
    light, real = tmp_path / "net.tflite", tmp_path / "float.onnx"
    light.write_bytes(content(tflite))
    real.write_bytes(content(int8=False))
    with measuring(LAYERS):
        roofs = [json.loads(run(path, "--json").stdout)["roof"] for path in (light, real)]
    assert [(roof["engine"], roof["numbers"]) for roof in roofs] == [
        ("litert", "int8"),
        ("onnxruntime", "float32"),
    ]


def test_of_a_run_it_is_kept_and_only_for_that_file(model: Path, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(model.read_bytes()).hexdigest()
    one = finished_run.verified(finished_run.latency())
    one = replace(one, model=replace(one.model, sha256=sha256))
    folder, config = RunFolder(tmp_path / "run"), RunConfig()
    finished_run.finish(folder, one, config)
    (folder.models / "m.int8.onnx").write_bytes(model.read_bytes())
    context = RunContext(folder, config, Silent())
    assert roofline_file.stored(context) is None
    with measuring(LAYERS):
        done = run(folder.path, "--json")
    assert done.exit_code == 0, done.output
    kept = roofline_file.stored(context)
    assert kept is not None and kept.explained == pytest.approx(1.0, abs=1e-6)
    assert kept.sha256 == sha256
    other = replace(kept, sha256="0" * 64)
    roofline_file.keep(context, other)
    assert roofline_file.stored(context) == kept
    with measuring(LAYERS):  # of another engine it is told, not kept
        assert run(folder.path, "--engine", "tensorrt").exit_code == 0
    assert roofline_file.stored(context) == kept


def test_what_has_no_layers_is_refused_in_a_line(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("no model")
    assert isinstance(run(text).exception, InputError)
    adding = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    path = tmp_path / "add.onnx"
    onnx.save(helper.make_model(adding), path)
    refused = run(path)
    assert isinstance(refused.exception, InputError)
    assert "no convolution and no matrix product" in refused.exception.message
    assert isinstance(run(tmp_path / "missing").exception, InputError)
