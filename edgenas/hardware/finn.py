"""What FINN and FINN+ are given beside a QONNX file: how each unit is folded, and how to build.

Names of units are those that FINN gives when it has lowered a network: the kind and a number, in
the order of computation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from edgenas.core.records import Layer
from edgenas.core.records.codec import to_json
from edgenas.core.records.hardware import Folding, HardwareEstimate
from edgenas.hardware.dataflow import UnitKind
from edgenas.hardware.pipeline import Pipeline

_UNITS: dict[str, UnitKind] = {
    "conv": "MVAU",
    "linear": "MVAU",
    "depthwise": "VVAU",
    "add": "AddStreams",
    "global_pool": "GlobalAccPool",
}
_WINDOW: UnitKind = "ConvolutionInputGenerator"


def folding_config(layers: Sequence[Layer], estimate: HardwareEstimate) -> bytes:
    """Return folding_config.json of a network and its pipeline, of the same layers.

    Units that FINN adds between those of the estimate have to keep up with them, which they do not
    with FINN's defaults of one channel at a time: padding in front of a window takes as many as the
    window, and what copies a stream for two readers as many as the faster of these. A window that
    feeds several pixels of a kernel at once is a parallel one (FINN's set_folding.py).
    """
    document: dict[str, Any] = {"Defaults": {}}
    padded = 0
    for (kind, number), index in numbered(layers).items():
        layer, folding = layers[index], estimate.layers[index].folding
        if kind == _WINDOW:
            at_once = _read_at_once(layer, folding)
            if layer.padded_before or layer.padded_after:
                document[f"FMPadding_rtl_{padded}"] = {"SIMD": at_once}
                padded += 1
            parallel = layer.kind == "depthwise" and folding.simd > 1
            attributes = {"SIMD": at_once, "parallel_window": int(parallel), "ram_style": "auto"}
            document[f"{kind}_rtl_{number}"] = attributes
        elif layer.kind in ("add", "global_pool"):
            document[f"{kind}_hls_{number}"] = {"PE": folding.pe}
        else:
            attributes = {"PE": folding.pe, "SIMD": folding.simd, "ram_style": "auto"}
            document[f"{kind}_hls_{number}"] = attributes
    for number, at_once in enumerate(_copied_at_once(layers, estimate)):
        document[f"DuplicateStreams_hls_{number}"] = {"PE": at_once}
    return (json.dumps(document, indent=2) + "\n").encode()


def _read_at_once(layer: Layer, folding: Folding) -> int:
    """Return how many channels of its input a layer reads in one cycle."""
    return folding.simd if layer.kind in ("conv", "linear") else folding.pe


def _copied_at_once(layers: Sequence[Layer], estimate: HardwareEstimate) -> Iterator[int]:
    """Yield the channels at once of each tensor that several layers read, in order."""
    for made in layers:
        rates = [
            _read_at_once(layer, of.folding)
            for layer, of in zip(layers, estimate.layers, strict=True)
            if made.name in layer.inputs
        ]
        if len(rates) > 1:
            yield max(rates)


def pipeline_file(layers: Sequence[Layer]) -> bytes:
    """Return NAME.pipeline.json: what a report of the network's synthesis is compared with."""
    return (json.dumps({"layers": to_json(tuple(layers))}, indent=1) + "\n").encode()


def numbered(layers: Sequence[Layer]) -> dict[tuple[UnitKind, int], int]:
    """Return the index of the layer that each unit is of, by its kind and number, in order."""
    numbers: Counter[UnitKind] = Counter()
    units: dict[tuple[UnitKind, int], int] = {}
    for index, layer in enumerate(layers):
        windows = [_WINDOW] if layer.kernel_size > 1 else []
        for kind in (*windows, _UNITS[layer.kind]):
            units[kind, numbers[kind]] = index
            numbers[kind] += 1
    return units


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
