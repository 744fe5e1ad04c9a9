"""Reports as FINN writes them, of a synthesis whose truth is known."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from edgenas.core.records import Layer
from edgenas.hardware import finn
from edgenas.hardware.dataflow import Style, Unit, layer_units
from edgenas.hardware.pipeline import Factors, Pipeline, queued_pixels

TRUTH = {"MVAU": 1.6, "VVAU": 0.7, "ConvolutionInputGenerator": 1.2, "AddStreams": 2.0,
         "GlobalAccPool": 1.0}  # fmt: skip
NOISE = 0.1  # of the logarithm of a unit's LUTs


def units(layers: Sequence[Layer], pipeline: Pipeline) -> dict[str, Unit]:
    """Return the units of a network by FINN's names, as the formulas have them."""
    found, estimate, queued = {}, pipeline.estimate(layers), queued_pixels(layers)
    for (kind, number), index in finn.numbered(layers).items():
        folding = estimate.layers[index].folding
        every = layer_units(layers[index], folding.pe, folding.simd, Style(), queued[index])
        name = f"{kind}_rtl_{number}" if kind == "ConvolutionInputGenerator" else None
        unit = next(unit for unit in every if unit.kind == kind)
        found[name or f"{kind}_hls_{number}"] = unit
    return found


def synthesised(
    layers: Sequence[Layer], pipeline: Pipeline, rng: np.random.Generator
) -> dict[str, dict[str, Any]]:
    """Return post_synth_resources.json of a network: formulas times the truth, and noise."""
    report: dict[str, dict[str, Any]] = {"(top)": {"LUT": 1e6, "BRAM_18K": 0, "BRAM_36K": 100}}
    for name, unit in units(layers, pipeline).items():
        luts = Factors().luts(unit) * TRUTH[unit.kind] * np.exp(rng.normal(0, NOISE))
        blocks, half = divmod(2 * unit.bram18, 2)
        report[name] = {"LUT": float(luts), "FF": 1, "BRAM_36K": blocks, "BRAM_18K": half}
    return report


def export(folder: Path, name: str, layers: Sequence[Layer], pipeline: Pipeline) -> None:
    """Write what a run exports of a network."""
    folding = finn.folding_config(layers, pipeline.estimate(layers))
    (folder / f"{name}.folding_config.json").write_bytes(folding)
    (folder / f"{name}.pipeline.json").write_bytes(finn.pipeline_file(layers))


def build(
    folder: Path, name: str, report: Mapping[str, Any], speed: Mapping[str, Any] | None = None
) -> Path:
    """Write FINN's folder of a network; return it."""
    place = folder / f"{name}.finn"
    (place / "report").mkdir(parents=True)
    (place / "report" / "post_synth_resources.json").write_text(json.dumps(report), "utf-8")
    if speed is not None:
        (place / "report" / "rtlsim_performance.json").write_text(json.dumps(speed), "utf-8")
    return place
