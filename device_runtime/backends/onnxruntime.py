"""ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence, Tuple

import numpy as np
import onnxruntime

from device_runtime.inputs import Input
from device_runtime.machine import u8s8_saturates
from device_runtime.ort_profile import inputs_of, profiled_operators

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


def profile(
    path: str, threads: int, runs: int, shapes: Mapping[str, Sequence[int]]
) -> List[Dict[str, Any]]:
    """Return the operators as run by a session of their own; see `base`."""

    def open_session(prefix: str) -> onnxruntime.InferenceSession:
        options = _options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = prefix
        return onnxruntime.InferenceSession(path, options, providers=_PROVIDERS)

    return profiled_operators(open_session, _WARMUP_RUNS, runs, shapes)


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
        self.inputs: Tuple[Input, ...] = inputs_of(session)
        self.provider: str = session.get_providers()[0] + note
        self._session = session
        self._binding = session.io_binding()
        self._values: Dict[str, np.ndarray] = {}  # the binding does not own them
        for output in session.get_outputs():
            self._binding.bind_output(output.name, "cpu")

    @property
    def input_shape(self) -> Tuple[int, ...]:
        if len(self.inputs) != 1 or self.inputs[0].dtype != "float32":
            raise ValueError("the model must have one float32 input")
        rest = [size for size in self.inputs[0].shape[1:] if size is not None]
        if len(rest) != len(self.inputs[0].shape) - 1:
            raise ValueError(f"the shape of the model's input {self.inputs[0].shown} is not fixed")
        return (1, *rest)

    def feed(self, values: Mapping[str, np.ndarray]) -> None:
        for name, given in values.items():
            self._values[name] = np.ascontiguousarray(given)
            self._binding.bind_cpu_input(name, self._values[name])

    def bind(self, values: np.ndarray) -> None:
        if values.shape != self.input_shape:
            raise ValueError(f"the input has shape {values.shape}, not {self.input_shape}")
        self.feed({self.inputs[0].name: np.asarray(values, np.float32)})

    def run(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def output(self) -> np.ndarray:
        return np.asarray(self._binding.copy_outputs_to_cpu()[0], np.float32)
