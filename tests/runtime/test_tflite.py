"""The .tflite backends: float at both ends, and what really runs the operators is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from device_runtime import tflite_session
from device_runtime.backends import base
from edgenas.int8.exporters import tflite
from edgenas.int8.graph.float_reference import run
from edgenas.int8.graph.ir import Graph
from edgenas.int8.graph.lower import lower
from edgenas.int8.graph.random_weights import random_state
from edgenas.int8.graph.ranges import Ranges, calibrate
from edgenas.spaces import mbv3_tiny

pytest.importorskip("ai_edge_litert", reason="needs ai-edge-litert: pip install 'edgenas[tflite]'")


@pytest.fixture(scope="module")
def graph() -> Graph:
    space = mbv3_tiny.create(10, 3, 16)
    layers = space.layers(space.smallest())
    return lower(layers, random_state(layers, 0))


@pytest.fixture(scope="module")
def images(graph: Graph) -> np.ndarray:
    return np.random.default_rng(0).standard_normal((16, *graph.input_shape[1:]), np.float32)


@pytest.fixture(scope="module")
def ranges(graph: Graph, images: np.ndarray) -> Ranges:
    return calibrate(graph, images)


def write(folder: Path, content: bytes) -> str:
    path = folder / "model"
    path.write_bytes(content)
    return str(path)


def logits(session: Any, images: np.ndarray) -> np.ndarray:
    outputs = []
    for image in images:
        session.bind(image[None])
        session.run()
        session.run()  # the input is still there
        outputs.append(session.output())
    return np.concatenate(outputs)


@pytest.fixture(params=["litert", "litert_builtin"])
def engine(request: pytest.FixtureRequest) -> Any:
    return base.load(request.param)


@pytest.mark.parametrize("scheme", ["s8s8", "u8s8"])
def test_integer_ends_take_and_give_real_numbers(
    engine: Any, graph: Graph, images: np.ndarray, tmp_path: Path, scheme: str
) -> None:
    ranges = calibrate(graph, images)
    path = write(tmp_path, tflite.emit(graph, ranges, scheme=scheme))
    session = engine.open_model(path, 2)
    assert session.input_shape == graph.input_shape
    found, reference = logits(session, images), run(graph, images)
    assert found.dtype == np.float32
    sqnr_db = 10 * np.log10(np.square(reference).sum() / np.square(found - reference).sum())
    assert sqnr_db > 25


def test_provider_says_what_runs_the_operators(
    graph: Graph, ranges: Ranges, tmp_path: Path
) -> None:
    signed = write(tmp_path, tflite.emit(graph, ranges))
    assert base.load("litert").open_model(signed, 1).provider == "XNNPACK"
    assert base.load("litert_builtin").open_model(signed, 1).provider == "built-in kernels"
    # XNNPACK has no conversion between uint8 and int8
    mixed = write(tmp_path, tflite.emit(graph, ranges, scheme="u8s8"))
    provider = base.load("litert").open_model(mixed, 1).provider
    total = len(graph.nodes) + 3  # reshape and two conversions
    assert provider.startswith("XNNPACK; built-in kernels for 2 of ")
    assert provider.endswith(": QUANTIZE")
    assert int(provider.split(" of ")[1].split(":")[0]) >= total


def test_operators_beside_a_delegate_are_named() -> None:
    operators = [
        {"index": 0, "op_name": "CONV_2D", "inputs": [0, 1], "outputs": [2]},
        {"index": 1, "op_name": "HARD_SWISH", "inputs": [2], "outputs": [3]},
        {"index": 2, "op_name": "CONV_2D", "inputs": [3, 4], "outputs": [5]},
        {"index": 3, "op_name": "DELEGATE", "inputs": [0, 1], "outputs": [2]},
        {"index": 4, "op_name": "DELEGATE", "inputs": [3, 4], "outputs": [5]},
    ]
    assert tflite_session.describe_kernels(operators[:3]) == "built-in kernels"
    expected = "XNNPACK; built-in kernels for 1 of 3: HARD_SWISH"
    assert tflite_session.describe_kernels(operators) == expected


def test_wrong_input_and_wrong_file_are_refused(graph: Graph, tmp_path: Path) -> None:
    content = tflite.emit(graph, None)
    session = base.load("litert").open_model(write(tmp_path, content), 1)
    with pytest.raises(ValueError, match="shape"):
        session.bind(np.zeros((1, 16, 16, 3), np.float32))
    for broken in (content[: len(content) // 2], b"", b"\x1c\x00\x00\x00TFL3" + b"\xff" * 400):
        with pytest.raises(ValueError, match=r"."):
            base.load("litert").open_model(write(tmp_path, broken), 1)


def test_backends_import_neither_torch_nor_edgenas() -> None:
    code = (
        "import sys; from device_runtime.backends import litert; "
        "sys.exit(bool({'torch', 'edgenas'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
