"""What every backend of the runtime promises; a new one is enrolled by its file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from device_runtime.backends import base
from device_runtime.tensorrt_session import PROVIDER
from edgenas.core import plugins
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import calibrate
from edgenas.spaces import mbv3_tiny


def write_onnx(graph: Any, ranges: Any) -> bytes:
    return plugins.load("exporters", "onnx").emit(graph, ranges)


def write_symmetric_onnx(graph: Any, ranges: Any) -> bytes:
    return plugins.load("exporters", "onnx").emit(graph, ranges, scheme="s8s8-symmetric")


def write_tflite(graph: Any, ranges: Any) -> bytes:
    return plugins.load("exporters", "tflite").emit(graph, ranges)


# backend -> what writes a model for it
WRITERS: dict[str, Callable[[Any, Any], bytes]] = {
    "onnxruntime": write_onnx,
    "litert": write_tflite,
    "litert_builtin": write_tflite,
    "tflite_runtime": write_tflite,
    "tflite_runtime_builtin": write_tflite,
    "tensorrt": write_symmetric_onnx,
}
# backend -> the package that it needs, where it may be absent
NEEDS = {
    "litert": "ai_edge_litert",
    "litert_builtin": "ai_edge_litert",
    "tflite_runtime": "tflite_runtime",  # needs numpy < 2
    "tflite_runtime_builtin": "tflite_runtime",
}


@pytest.fixture(params=base.names())
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def backend(name: str) -> Any:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"{NEEDS[name]} is not installed")
        pytest.importorskip("ai_edge_litert", reason="nothing can write .tflite files here")
    if name == "tensorrt" and PROVIDER not in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has no provider of TensorRT, which needs an NVIDIA GPU")
    return base.load(name)


@pytest.fixture(scope="module")
def graph() -> Any:
    space = mbv3_tiny.create(10, 3, 16)
    layers = space.layers(space.smallest())
    return lower(layers, random_state(layers, 0))


def test_names_itself_by_its_file_and_has_a_version(name: str, backend: Any) -> None:
    assert backend.__name__.rpartition(".")[2] == name
    assert backend.version()[0].isdigit()


def test_loads_and_computes_the_float_reference(
    name: str, backend: Any, graph: Any, tmp_path: Path
) -> None:
    path = tmp_path / "model"
    path.write_bytes(WRITERS[name](graph, None))
    session = backend.open_model(str(path), 1)
    assert session.input_shape == tuple(graph.input_shape)
    assert session.provider
    for seed in range(3):
        image = np.random.default_rng(seed).standard_normal(graph.input_shape).astype(np.float32)
        session.bind(image)
        session.run()
        logits = session.output()
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, run(graph, image), rtol=1e-4, atol=1e-4)


def test_int8_logits_come_back_as_float32(
    name: str, backend: Any, graph: Any, tmp_path: Path
) -> None:
    shape = (16, *graph.input_shape[1:])
    images = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    path = tmp_path / "model"
    path.write_bytes(WRITERS[name](graph, calibrate(graph, images)))
    session = backend.open_model(str(path), 1)
    session.bind(images[:1])
    session.run()
    assert session.output().dtype == np.float32
    assert np.isfinite(session.output()).all()


def test_garbage_is_refused(backend: Any, tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_bytes(b"this is no model" * 10)
    with pytest.raises(Exception, match=r"."):
        backend.open_model(str(path), 1)


def test_unknown_backend_is_an_import_error() -> None:
    for name in ("base", "__init__", "../protocol", "os", "nothing"):
        with pytest.raises(ImportError, match="no backend"):
            base.load(name)
