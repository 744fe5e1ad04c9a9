"""What every exporter promises; a new one is enrolled by its file and needs a runner below."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import onnxruntime
import pytest

from edgenas import plugins
from edgenas.errors import ExportError
from edgenas.exporters.base import Exporter
from edgenas.graph.ir import Graph
from edgenas.graph.lower import lower
from edgenas.graph.quantize import SCHEMES
from edgenas.graph.random_state import random_state
from edgenas.graph.ranges import Ranges, calibrate
from edgenas.graph.reference import run
from edgenas.spaces import mbv3_tiny

N_IMAGES = 64


def run_onnx(model: bytes, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    one_by_one = [session.run(["logits"], {"input": image[None]})[0] for image in images]
    return np.concatenate(one_by_one)


def run_tflite(model: bytes, images: np.ndarray) -> np.ndarray:
    """Run in LiteRT; integers at the ends are converted by the scale and zero point of the file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    logits = []
    for image in images.transpose(0, 2, 3, 1):
        interpreter.set_tensor(entry["index"], stored(image[None], entry))
        interpreter.invoke()
        logits.append(real(interpreter.get_tensor(result["index"]), result))
    return np.concatenate(logits)


def stored(values: np.ndarray, tensor: dict) -> np.ndarray:
    scale, zero_point = tensor["quantization"]
    if tensor["dtype"] == np.float32:
        return values
    limits = np.iinfo(tensor["dtype"])
    steps = np.rint(values / np.float32(scale)) + zero_point
    return steps.clip(limits.min, limits.max).astype(tensor["dtype"])


def real(values: np.ndarray, tensor: dict) -> np.ndarray:
    scale, zero_point = tensor["quantization"]
    if tensor["dtype"] == np.float32:
        return values
    return (values.astype(np.float32) - zero_point) * np.float32(scale)


RUNNERS: dict[str, Callable[[bytes, np.ndarray], np.ndarray]] = {
    "onnx": run_onnx,
    "tflite": run_tflite,
}


@pytest.fixture(params=plugins.names("exporters"))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


NEEDS = {"tflite": "ai_edge_litert"}  # packages of an extra, without which a member is skipped


@pytest.fixture
def exporter(name: str) -> Exporter:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"the extra '{name}' is not installed")
    return plugins.load("exporters", name)


@dataclass(frozen=True, eq=False)
class Case:
    """A network, its calibrated ranges, images [n, 3, size, size] and what it makes of them."""

    graph: Graph
    ranges: Ranges
    images: np.ndarray
    reference: np.ndarray


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "squeeze-excite"])
def case(request: pytest.FixtureRequest) -> Case:
    space = mbv3_tiny.create(10, 3, 16)
    stages = tuple(replace(stage, squeeze_excite=request.param) for stage in space.stages)
    space = replace(space, stages=stages)
    layers = space.layers(space.sample(np.random.default_rng(4)))
    graph = lower(layers, random_state(layers, 4))
    shape = (N_IMAGES, *graph.input_shape[1:])
    images = np.random.default_rng(0).standard_normal(shape, np.float32)
    return Case(graph, calibrate(graph, images), images, run(graph, images))


def test_float_model_computes_the_reference(exporter: Exporter, name: str, case: Case) -> None:
    logits = RUNNERS[name](exporter.emit(case.graph, None), case.images)
    np.testing.assert_allclose(logits, case.reference, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_int8_model_agrees_with_the_reference(
    exporter: Exporter, name: str, case: Case, scheme: str
) -> None:
    model = exporter.emit(case.graph, case.ranges, scheme=scheme)
    logits, reference = RUNNERS[name](model, case.images), case.reference
    noise = np.square(logits - reference).sum()
    sqnr_db = 10 * np.log10(np.square(reference).sum() / noise)

    assert sqnr_db > 25
    assert (logits.argmax(1) == reference.argmax(1)).mean() >= 0.9


def test_same_graph_gives_the_same_bytes(exporter: Exporter, case: Case) -> None:
    for ranges in (None, case.ranges):
        assert exporter.emit(case.graph, ranges) == exporter.emit(case.graph, ranges)
    backwards = dict(reversed(case.ranges.items()))
    assert exporter.emit(case.graph, backwards) == exporter.emit(case.graph, case.ranges)


def test_unknown_scheme_and_missing_range_are_one_clear_line(
    exporter: Exporter, case: Case
) -> None:
    with pytest.raises(ExportError, match="no int8 scheme 's8u8'"):
        exporter.emit(case.graph, case.ranges, scheme="s8u8")
    with pytest.raises(ExportError, match="no range for the tensor 'logits'"):
        exporter.emit(case.graph, {k: v for k, v in case.ranges.items() if k != "logits"})


def test_a_model_file_has_a_suffix(exporter: Exporter) -> None:
    assert exporter.FILE_SUFFIX.startswith(".")
