"""What FINN and FINN+ are given beside a QONNX file: how each unit is folded, and how to build.

Names of units are those that FINN gives when it has lowered a network: the kind and a number, in
the order of computation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from edgenas.core.records import Layer
from edgenas.core.records.hardware import HardwareEstimate
from edgenas.hardware.pipeline import Pipeline

_UNITS = {
    "conv": "MVAU_hls",
    "linear": "MVAU_hls",
    "depthwise": "VVAU_hls",
    "add": "AddStreams_hls",
    "global_pool": "GlobalAccPool_hls",
}
_WINDOW = "ConvolutionInputGenerator_rtl"


def folding_config(layers: Sequence[Layer], estimate: HardwareEstimate) -> bytes:
    """Return folding_config.json of a network and its pipeline, of the same layers."""
    document: dict[str, Any] = {"Defaults": {}}
    numbers: Counter[str] = Counter()

    def add(unit: str, **attributes: Any) -> None:
        document[f"{unit}_{numbers[unit]}"] = attributes
        numbers[unit] += 1

    for layer, one in zip(layers, estimate.layers, strict=True):
        folding = one.folding
        if layer.kernel_size > 1:
            at_once = folding.pe if layer.kind == "depthwise" else folding.simd
            add(_WINDOW, SIMD=at_once, ram_style="auto")
        if layer.kind in ("add", "global_pool"):
            add(_UNITS[layer.kind], PE=folding.pe)
        else:
            add(_UNITS[layer.kind], PE=folding.pe, SIMD=folding.simd, ram_style="auto")
    return (json.dumps(document, indent=2) + "\n").encode()


def build_file(name: str, pipeline: Pipeline) -> bytes:
    """Return build.yaml of FINN+ for the network `name`, of its folding and its clock.

    `finn build NAME.build.yaml NAME.qonnx.onnx` then estimates, and synthesises where Vivado is.
    """
    device = pipeline.device
    lines = [
        f"# finn build {name}.build.yaml {name}.qonnx.onnx",
        f"output_dir: {name}.finn",
        f"synth_clk_period_ns: {1000 / pipeline.clock_mhz:g}",
        f"folding_config_file: {name}.folding_config.json",
        *([f"board: {device.board}"] if device.board else []),
        *([f"fpga_part: {device.part}"] if device.part else []),
        "generate_outputs:",
        *(f"  - {what}" for what in ("estimate_reports", "stitched_ip", "out_of_context_synth")),
    ]
    return ("\n".join(lines) + "\n").encode()
