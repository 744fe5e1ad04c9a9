"""Costs by layer as Model Explorer reads them beside a model: its node data, one file a kind.

The format is that of `GraphNodeData` in google-ai-edge/model-explorer (`node_data_builder.py`): a
value for each output tensor, and the colours from the least to the greatest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgenas.core.files.run_folder import write_json
from edgenas.core.records import Int8Layers
from edgenas.core.records.roofline import Roofline
from edgenas.runs.models import int8_layers, roofline_file
from edgenas.runs.run import RunContext

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


def of_noise(found: Int8Layers) -> dict[str, Any]:
    """Return what each layer adds to the noise that int8 brings to the logits, in percent."""
    shares = found.noise_shares
    return _document(
        {one.name: 100 * shares[one.name] for one in found.layers if one.kind != "input"}
    )


def of_time(found: Roofline) -> dict[str, Any]:
    """Return what each layer takes, in microseconds: as measured, or else its limit."""
    return _document({one.work.name: one.measured_us or one.limit_us for one in found.layers})


def _document(values: Mapping[str, float]) -> dict[str, Any]:
    return {
        "results": {name: {"value": value} for name, value in values.items()},
        "gradient": [{"stop": 0, "bgColor": _PALEST}, {"stop": 1, "bgColor": _DARKEST}],
    }
