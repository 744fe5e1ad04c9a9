"""TensorRT through ONNX Runtime's provider, for int8 models of the scheme s8s8-symmetric.

Not verified on hardware: no NVIDIA board was at hand, and results say so.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

import onnxruntime

from device_runtime.backends.onnxruntime import OnnxSession
from device_runtime.ort_profile import profiled_operators
from device_runtime.tensorrt_session import open_session, provider_of, require_provider

require_provider(onnxruntime.get_available_providers())

_WARMUP_RUNS = 3


def version() -> str:
    """Return the engine's version: ONNX Runtime's, as it does not tell TensorRT's."""
    return str(onnxruntime.__version__)


def open_model(path: str, threads: int) -> OnnxSession:
    """Load the ONNX file `path`; build its engine, unless it is kept beside the file already.

    Raises
    ------
    RuntimeError : TensorRT does not run the model; ONNX Runtime's own errors.
    """
    provider = provider_of(profile(path, threads, 1, {}))
    session = OnnxSession(open_session(onnxruntime, path, threads))
    session.provider = provider
    return session


def profile(
    path: str, threads: int, runs: int, shapes: Mapping[str, Sequence[int]]
) -> List[Dict[str, Any]]:
    """Return the operators as run by a session of their own; see `base`.

    What TensorRT takes is one operator, whose name begins with TRTKernel.
    """
    return profiled_operators(
        lambda prefix: open_session(onnxruntime, path, threads, prefix),
        _WARMUP_RUNS,
        runs,
        shapes,
    )
