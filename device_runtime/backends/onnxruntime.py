"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import onnxruntime


def version() -> str:
    """Return the engine's version."""
    return str(onnxruntime.__version__)


def open_model(path: str, threads: int) -> OnnxSession:
    """Load the ONNX file `path` for `threads` threads; the engine's own errors if it cannot be."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return OnnxSession(
        onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    )


class OnnxSession:
    """See `base.Session`."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            raise ValueError("the model must have one float32 input")
        self.input_shape: Tuple[int, ...] = _fixed(inputs[0].shape)
        self.provider: str = session.get_providers()[0]
        self._session = session
        self._input = inputs[0].name
        self._binding = session.io_binding()
        self._binding.bind_output(session.get_outputs()[0].name, "cpu")

    def bind(self, values: np.ndarray) -> None:
        self._values = np.ascontiguousarray(values, np.float32)  # the binding does not own it
        self._binding.bind_cpu_input(self._input, self._values)

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def output(self) -> np.ndarray:
        return np.asarray(self._binding.copy_outputs_to_cpu()[0], np.float32)


def _fixed(shape: list) -> Tuple[int, ...]:
    rest = shape[1:]
    if any(not isinstance(size, int) for size in rest):
        raise ValueError(f"the model's input shape {shape} is not fixed")
    return (1, *rest)
