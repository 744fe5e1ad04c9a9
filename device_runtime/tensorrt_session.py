"""ONNX Runtime sessions on TensorRT: their options, and what really ran.

Option names: onnxruntime.ai/docs/execution-providers/TensorRT-ExecutionProvider.html
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Sequence, Tuple

PROVIDER = "TensorrtExecutionProvider"
_BEHIND = ("CUDAExecutionProvider", "CPUExecutionProvider")
_NOTE = "not verified on hardware"
_REMEDY = (
    "install TensorRT (on a Jetson: sudo apt install nvidia-jetpack) and an ONNX Runtime with its "
    "provider (python3 -m pip install onnxruntime-gpu; on a Jetson the wheel that NVIDIA offers "
    "for its JetPack)"
)


def require_provider(available: Sequence[str]) -> None:
    """Raise `ImportError`, with what mends it, unless this ONNX Runtime has the provider."""
    if PROVIDER not in available:
        raise ImportError(f"this onnxruntime has no {PROVIDER}: {_REMEDY}")


def open_session(onnxruntime: Any, path: str, threads: int, profile_prefix: str = "") -> Any:
    """Return a session that runs `path` on TensorRT first; `RuntimeError` if it will not.

    onnxruntime : the module. profile_prefix : of the profile's file; empty for none.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if profile_prefix:
        options.enable_profiling = True
        options.profile_file_prefix = profile_prefix
    session = onnxruntime.InferenceSession(path, options, providers=providers(path))
    session.disable_fallback()  # an error in a run is an error, not a slower provider
    registered = session.get_providers()
    if registered[:1] != [PROVIDER]:
        raise RuntimeError(f"{PROVIDER} does not start, only {', '.join(registered)}: {_REMEDY}")
    return session


def providers(path: str) -> List[Any]:
    """Return the providers in their order, TensorRT with its options.

    int8 comes from the model's own QuantizeLinear and DequantizeLinear, without calibration table;
    what is not quantized stays float32, as on the host. Engines are kept beside the model, so that
    one is built once a job.
    """
    cache = str(Path(path).with_name(f"{Path(path).name}.engines"))
    options: Dict[str, Any] = {
        "trt_int8_enable": True,
        "trt_fp16_enable": False,
        "trt_engine_cache_enable": True,
        "trt_engine_cache_path": cache,
        "trt_timing_cache_enable": True,
        "trt_timing_cache_path": cache,
    }
    first: Tuple[str, Dict[str, Any]] = (PROVIDER, options)
    return [first, *_BEHIND]


def provider_of(operators: Sequence[Dict[str, Any]]) -> str:
    """Return what ran the operators of a profile; `RuntimeError` if TensorRT ran none."""
    others = [one for one in operators if one["provider"] != PROVIDER]
    if len(others) == len(operators):
        names = ", ".join(sorted({one["provider"] for one in operators})) or "nothing"
        raise RuntimeError(
            f"TensorRT took no operator of the model, {names} ran it: export it in the scheme "
            "s8s8-symmetric"
        )
    if not others:
        return f"{PROVIDER}; {_NOTE}"
    where = ", ".join(sorted({one["provider"] for one in others}))
    kinds = ", ".join(sorted({one["type"] for one in others}))
    return f"{PROVIDER} with {where} for {len(others)} of {len(operators)}: {kinds}; {_NOTE}"
