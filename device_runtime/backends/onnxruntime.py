"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
import onnxruntime

from device_runtime.machine import u8s8_saturates
from device_runtime.ort_profile import profiled_operators

_EXACT = "session.x64quantprecision"
_PROVIDERS = ["CPUExecutionProvider"]
_WARMUP_RUNS = 3


def version() -> str:
    """Return the engine's version."""
    return str(onnxruntime.__version__)


def open_model(path: str, threads: int) -> OnnxSession:
    """Load the ONNX file `path` for `threads` threads; the engine's own errors if it cannot be."""
    session = onnxruntime.InferenceSession(path, _options(threads), providers=_PROVIDERS)
    return OnnxSession(session, "; exact u8s8, as the CPU has no VNNI" if u8s8_saturates() else "")


def profile(path: str, threads: int, runs: int) -> List[Dict[str, Any]]:
    """Return the operators as run by a session of their own; see `base`."""

    def open_session(prefix: str) -> onnxruntime.InferenceSession:
        options = _options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = prefix
        return onnxruntime.InferenceSession(path, options, providers=_PROVIDERS)

    return profiled_operators(open_session, _WARMUP_RUNS, runs)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if u8s8_saturates():
        options.add_session_config_entry(_EXACT, "1")
    return options


class OnnxSession:
    """See `base.Session`."""

    def __init__(self, session: onnxruntime.InferenceSession, note: str = "") -> None:
        inputs = session.get_inputs()
        if len(inputs) != 1 or inputs[0].type != "tensor(float)":
            raise ValueError("the model must have one float32 input")
        self.input_shape: Tuple[int, ...] = _fixed(inputs[0].shape)
        self.provider: str = session.get_providers()[0] + note
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
