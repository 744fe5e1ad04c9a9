"""Logits of .tflite files in real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

REASON = "needs ai-edge-litert: pip install 'edgenas[tflite]'"
litert = pytest.importorskip("ai_edge_litert.interpreter", reason=REASON)
RESOLVERS = {
    "xnnpack": litert.OpResolverType.AUTO,
    "builtin": litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": litert.OpResolverType.BUILTIN_REF,
}


def infer(model: bytes, images: np.ndarray, engine: Any = litert, kernels: str = "xnnpack") -> Any:
    """Return the file's own outputs, in its own type; images are float [n, c, h, w]."""
    resolver = getattr(engine.OpResolverType, RESOLVERS[kernels].name)
    interpreter = engine.Interpreter(
        model_content=model, num_threads=1, experimental_op_resolver_type=resolver
    )
    interpreter.allocate_tensors()
    (entry,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    outputs = []
    for image in images.transpose(0, 2, 3, 1)[:, None]:
        interpreter.set_tensor(entry["index"], quantized(image, entry))
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(result["index"]))
    return np.concatenate(outputs)


def quantized(values: np.ndarray, tensor: dict) -> np.ndarray:
    if tensor["dtype"] == np.float32:
        return values
    scale, zero_point = tensor["quantization"]
    limits = np.iinfo(tensor["dtype"])
    steps = np.rint(values / np.float32(scale)) + zero_point
    return steps.clip(limits.min, limits.max).astype(tensor["dtype"])


def output_scale(model: bytes) -> tuple[float, int]:
    return litert.Interpreter(model_content=model).get_output_details()[0]["quantization"]


def real_logits(model: bytes, images: np.ndarray, **how: Any) -> np.ndarray:
    scale, zero_point = output_scale(model)
    outputs = infer(model, images, **how)
    return (outputs.astype(np.float32) - zero_point) * np.float32(scale) if scale else outputs
