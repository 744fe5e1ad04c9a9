"""The contract of the exporters, for every member; a new one says below how its files are run."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from edgenas.core import plugins
from edgenas.testing import ExporterContract


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


class TestOnnx(ExporterContract):
    name = "onnx"

    def run(self, model: bytes, images: np.ndarray) -> np.ndarray:
        return run_onnx(model, images)


class TestTflite(ExporterContract):
    name = "tflite"

    @pytest.fixture(autouse=True)
    def litert(self) -> None:
        pytest.importorskip("ai_edge_litert", reason="the extra 'tflite' is not installed")

    def run(self, model: bytes, images: np.ndarray) -> np.ndarray:
        return run_tflite(model, images)


def test_every_exporter_is_held_against_the_contract() -> None:
    held = {one.name for one in (TestOnnx, TestTflite)}
    assert held == set(plugins.names("exporters"))
