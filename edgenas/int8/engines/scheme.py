"""Which int8 scheme a target gets, where its file does not say."""

from __future__ import annotations

from edgenas.int8.engines.facts import Scheme, engine_names, find_engine

__all__ = ["Scheme", "default_scheme"]


def default_scheme(machine: str, engine: str) -> Scheme:
    """Return the int8 scheme (activations, weights) that suits `engine` on `machine`.

    ONNX Runtime is fastest with unsigned activations on x86, with signed ones elsewhere; TensorRT
    takes zero points of 0 only; .tflite models are signed. So is what nothing is known of.
    """
    if engine not in engine_names():
        return "s8s8"
    about = find_engine(engine)
    return about.x86_scheme if machine.lower() in ("x86_64", "amd64") else about.other_scheme
