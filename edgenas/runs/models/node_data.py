"""Costs by layer as Model Explorer reads them beside a model, and as Netron shows them in one.

Node data, one file a kind, is in the format of `GraphNodeData` in google-ai-edge/model-explorer
(`node_data_builder.py`): a value for each output tensor, and the colours from the least to the
greatest. For Netron it is a copy of the exported file, as that is verified and must not change:
its nodes have the costs as their `metadata_props`, which engines do not read.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from edgenas.core.files.run_folder import write_bytes, write_json
from edgenas.core.records import Int8Layers
from edgenas.core.records.roofline import Roofline
from edgenas.runs.models import int8_layers, roofline_file
from edgenas.runs.run import RunContext

COPY_OF = "edgenas.copy_of"  # the SHA-256 of a file
_PALEST, _DARKEST = "#fdf3dc", "#e69f00"


def write(context: RunContext) -> None:
    """Write what is known of the layers of the run's winner, or of the best that failed."""
    model = int8_layers.shown(context)
    if model is None:
        return
    name = model.candidate.architecture.short_name
    noise, limits = int8_layers.stored(context), roofline_file.stored(context)
    if noise is not None:
        write_json(context.folder.noise_by_node(name), of_noise(noise))
    if limits is not None:
        write_json(context.folder.time_by_node(name), of_time(limits))
    file = context.folder.models / model.int8_file
    told = texts(noise, limits)
    if told and file.suffix == ".onnx" and file.exists():
        content = file.read_bytes()
        if hashlib.sha256(content).hexdigest() == model.sha256:
            write_bytes(context.folder.annotated(name), annotated(content, told))


def of_noise(found: Int8Layers) -> dict[str, Any]:
    """Return what each layer adds to the noise that int8 brings to the logits, in percent."""
    shares = found.noise_shares
    return _document(
        {one.name: 100 * shares[one.name] for one in found.layers if one.kind != "input"}
    )


def of_time(found: Roofline) -> dict[str, Any]:
    """Return what each layer takes, in microseconds: as measured, or else its limit."""
    return _document({one.work.name: one.measured_us or one.limit_us for one in found.layers})


def texts(noise: Int8Layers | None, limits: Roofline | None) -> dict[str, dict[str, str]]:
    """Return by layer what is known of its costs, in words by their names."""
    shares = {} if noise is None else noise.noise_shares
    told = {
        name: {"int8 noise": f"{100 * share:.2f} % of that at the logits"}
        for name, share in shares.items()
    }
    for layer in limits.layers if limits is not None else ():
        here = told.setdefault(layer.work.name, {})
        if layer.measured_us is not None:
            here["time"] = f"{layer.measured_us:.2f} us, measured"
        here["least time"] = f"{layer.limit_us:.2f} us, bound by {layer.bound_by}"
        here["multiply-accumulates"] = f"{layer.work.macs:,}"
    return told


def annotated(content: bytes, told: Mapping[str, Mapping[str, str]]) -> bytes:
    """Return an ONNX file whose nodes have texts, by the name of what they compute.

    It says of which file it is a copy, and computes the same.
    """
    import onnx

    model = onnx.load_model_from_string(content)
    model.metadata_props.add(key=COPY_OF, value=hashlib.sha256(content).hexdigest())
    for node in model.graph.node:
        for key, text in told.get(node.output[0], {}).items():
            node.metadata_props.add(key=f"edgenas: {key}", value=text)
    copied: bytes = model.SerializeToString(deterministic=True)
    return copied


def _document(values: Mapping[str, float]) -> dict[str, Any]:
    return {
        "results": {name: {"value": value} for name, value in values.items()},
        "gradient": [{"stop": 0, "bgColor": _PALEST}, {"stop": 1, "bgColor": _DARKEST}],
    }
