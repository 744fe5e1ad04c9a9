"""Which engines can be had on a target: installed there, to be sent, or why not."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from edgenas.core.errors import TargetError
from edgenas.core.records import EngineOffer
from edgenas.targets.remote import wheels
from edgenas.targets.remote.wheels import Platform

ENGINES = ("onnxruntime", "litert", "tflite_runtime", "tensorrt")
# ONNX Runtime with a provider of TensorRT, where that is there, too
WITH_TENSORRT = {"tensorrt": ["onnxruntime-gpu"]}
_OWN = '[board] packages = "own"'


def install_command(engine: str) -> str:
    """Return the command that installs `engine` on the machine where it is run."""
    names = wheels.DISTRIBUTIONS.get(engine)
    return f"python3 -m pip install {names[0] if names else engine}"


def here(installed: Mapping[str, str], tensorrt: str | None) -> dict[str, EngineOffer]:
    """Return what can be had where nothing is sent. installed : engine -> version."""
    return {
        engine: EngineOffer(installed=installed[engine])
        if engine in installed
        else EngineOffer(why_not=_how_to_have(engine, tensorrt))
        for engine in ENGINES
    }


def to_send(
    installed: Mapping[str, str], tensorrt: str | None, platform: Platform, offline: bool
) -> dict[str, EngineOffer]:
    """Return what can be had on a board that gets its engine from here.

    installed : engine -> version that the board has of its own. Asks the package index, or with
    `offline` the host's wheels only.
    """

    def offer(engine: str) -> EngineOffer:
        own = installed.get(engine, "")
        if engine not in wheels.DISTRIBUTIONS:
            return EngineOffer(own, why_not="" if own else _how_to_have(engine, tensorrt))
        try:
            return EngineOffer(own, wheels.available(engine, platform, offline))
        except TargetError as problem:
            return EngineOffer(own, why_not=problem.message)

    with ThreadPoolExecutor() as pool:
        return dict(zip(ENGINES, pool.map(offer, ENGINES), strict=True))


def _how_to_have(engine: str, tensorrt: str | None) -> str:
    if engine != "tensorrt":
        return f"not installed: {install_command(engine)}"
    if tensorrt is None:
        return (
            "no TensorRT, which takes an NVIDIA GPU; on a Jetson: sudo apt install nvidia-jetpack"
        )
    return (
        f"TensorRT {tensorrt} is there, ONNX Runtime with its provider is not: install the "
        f"onnxruntime-gpu that NVIDIA offers for its JetPack, and set {_OWN}"
    )
