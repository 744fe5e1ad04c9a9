"""Which int8 scheme a target gets, where its file does not say."""

from __future__ import annotations

from typing import Literal

Scheme = Literal["u8s8", "s8s8", "s8s8-symmetric"]


def default_scheme(machine: str, engine: str) -> Scheme:
    """Return the int8 scheme (activations, weights) that suits `engine` on `machine`.

    ONNX Runtime is fastest with unsigned activations on x86, with signed ones elsewhere; TensorRT
    takes zero points of 0 only; .tflite models are signed.
    """
    if engine == "tensorrt":
        return "s8s8-symmetric"
    on_x86 = machine.lower() in ("x86_64", "amd64")
    return "u8s8" if engine == "onnxruntime" and on_x86 else "s8s8"
