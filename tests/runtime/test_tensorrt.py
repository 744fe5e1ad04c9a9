"""The TensorRT backend as far as it can be tested without an NVIDIA GPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from device_runtime import tensorrt_session as session
from device_runtime.backends import base
from edgenas.core.errors import MeasurementError
from edgenas.core.progress import Silent
from edgenas.int8.engines.precheck import check_provider
from edgenas.int8.exporters import onnx as exporter
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces import mbv3_tiny
from edgenas.targets.config import TargetConfig
from edgenas.targets.local import create
from helpers.scripted_runtime import QUICK
from helpers.tiny_onnx import write_convolution

TRT, CUDA = "TensorrtExecutionProvider", "CUDAExecutionProvider"
ABSENT = TRT not in onnxruntime.get_available_providers()


def ran(*providers: str) -> list[dict[str, Any]]:
    return [{"provider": provider, "type": f"Op{n}"} for n, provider in enumerate(providers)]


def test_what_ran_is_said_and_that_it_was_never_seen_on_hardware() -> None:
    whole = session.provider_of(ran(TRT))
    assert whole == f"{TRT}; not verified on hardware"
    assert check_provider("tensorrt", whole) is None
    mixed = session.provider_of(ran(TRT, CUDA, TRT))
    assert mixed == f"{TRT} with {CUDA} for 1 of 3: Op1; not verified on hardware"
    obstacle = check_provider("tensorrt", mixed)
    assert obstacle is not None and obstacle.effect == "fallback"


@pytest.mark.parametrize("operators", [ran(CUDA, "CPUExecutionProvider"), []])
def test_a_model_that_tensorrt_does_not_take_is_an_error(operators: list) -> None:
    with pytest.raises(RuntimeError, match="s8s8-symmetric"):
        session.provider_of(operators)


def test_engines_are_kept_in_the_jobs_folder(tmp_path: Path) -> None:
    (name, options), *behind = session.providers(str(tmp_path / "models" / "net"))
    assert name == TRT and behind == [CUDA, "CPUExecutionProvider"]
    assert options["trt_int8_enable"] is True and options["trt_fp16_enable"] is False
    assert options["trt_engine_cache_path"] == str(tmp_path / "models" / "net.engines")


@pytest.mark.skipif(not ABSENT, reason="this onnxruntime has the provider")
@pytest.mark.filterwarnings("ignore:Specified provider")
def test_session_without_the_provider_is_refused(tmp_path: Path) -> None:
    path = write_convolution(tmp_path / "model.onnx").path
    with pytest.raises(RuntimeError, match="does not start, only CPUExecutionProvider"):
        session.open_session(onnxruntime, str(path), 1)


@pytest.mark.skipif(not ABSENT, reason="this onnxruntime has the provider")
def test_engine_without_the_provider_says_what_mends_it(tmp_path: Path) -> None:
    with pytest.raises(ImportError, match="pip install onnxruntime-gpu"):
        base.load("tensorrt")
    target = create(TargetConfig("here", "local", "test", engine="tensorrt"))
    model = write_convolution(tmp_path / "a.onnx")
    with pytest.raises(MeasurementError, match="has no TensorrtExecutionProvider"):
        target.measure([model], QUICK, tmp_path / "jobs", Silent())


def test_scheme_of_tensorrt_has_no_zero_points_and_no_quantized_bias() -> None:
    space = mbv3_tiny.create(10, 3, 16)
    layers = space.layers(space.smallest())
    graph = lower(layers, random_state(layers, 0))
    images = np.random.default_rng(0).standard_normal((8, *graph.input_shape[1:]), np.float32)
    content = exporter.emit(graph, calibrate(graph, images), scheme="s8s8-symmetric")
    body = onnx.load_from_string(content).graph
    constants = {item.name: numpy_helper.to_array(item) for item in body.initializer}
    for node in body.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero_point = constants[node.input[2]]
            assert zero_point.dtype == np.int8 and not zero_point.any()
        if node.op_type in ("Conv", "Gemm"):
            assert constants[node.input[2]].dtype == np.float32
