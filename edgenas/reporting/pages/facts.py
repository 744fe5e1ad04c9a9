"""What is known of each network of the trade-off plot, for other axes and colours."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean
from typing import Any

from edgenas.core.records import Architecture
from edgenas.reporting.document import ReportData
from edgenas.reporting.plots.of_report import LATENCY_AXIS, score_axis

_DIGITS = 6


def facts(data: ReportData) -> dict[str, Any]:
    """Return metrics and choices as columns, one value a network, None where it is not known.

    metrics : by label, what may go on an axis; those of the plot as it is drawn first come first.
    choices : by label, what a mark may be coloured by besides.
    """
    known = _metrics(data)
    return {
        "networks": list(map(str, known)),
        "metrics": _columns(list(known.values())),
        "choices": _columns(list(map(_choices, known))),
    }


def _metrics(data: ReportData) -> dict[Architecture, dict[str, float]]:
    facts: dict[Architecture, dict[str, float]] = {}
    score = score_axis(data)
    of_float = f"{data.score.capitalize()} of the float network (%)"
    for measured in data.measurements:
        latency, energy = measured.outcome.latency, measured.outcome.energy
        if latency is None:
            continue
        values: dict[str, float | None] = {
            LATENCY_AXIS: latency.median_ms,
            "90th percentile of the latency (ms)": latency.p90_ms,
            "Peak memory (MB)": _times(measured.outcome.peak_rss_bytes, 1e-6),
            "Model file (kB)": _times(measured.model_bytes, 1e-3),
            "Energy of an inference (mJ)": None if energy is None else energy.energy_mj,
        }
        facts[measured.architecture] = _known(values)
    for evaluated in data.evaluations:
        values = {
            score: 100 * evaluated.int8_accuracy,
            of_float: _times(evaluated.fp32_accuracy, 100),
        }
        facts[evaluated.architecture] = facts.get(evaluated.architecture, {}) | _known(values)
    for candidate in data.candidates:
        latency_ms = candidate.measured_latency_ms
        values = {
            LATENCY_AXIS: None if latency_ms is None else latency_ms.median,
            "90th percentile of the latency (ms)": None if latency_ms is None else latency_ms.p90,
            "Peak memory (MB)": _times(candidate.peak_rss_bytes, 1e-6),
            "Model file (kB)": _times(candidate.model_bytes, 1e-3),
            score: _times(candidate.device_accuracy, 100),
            of_float: _times(candidate.fp32_accuracy, 100),
        }
        architecture = candidate.predicted.architecture
        facts[architecture] = _known(values) | facts.get(architecture, {})
    return facts


def _choices(architecture: Architecture) -> dict[str, float]:
    """Return the options of a network: those of the blocks of a stage by their mean."""
    values: dict[str, float] = {"Input size (px)": architecture.resolution}
    for number, stage in enumerate(architecture.stages, start=1):
        values[f"Blocks of stage {number}"] = stage.depth
        for name, options in stage.choices.items():
            sizes = [option for option in options if not isinstance(option, str)]
            if sizes and len(sizes) == len(options):
                words = name.replace("_", " ").capitalize()
                values[f"{words}, mean of stage {number}"] = fmean(sizes)
    return values


def _columns(rows: list[dict[str, float]]) -> dict[str, list[float | None]]:
    """Return the columns in which the networks differ."""
    labels = dict.fromkeys(label for row in rows for label in row)
    columns = {label: [_short(row.get(label)) for row in rows] for label in labels}
    return {label: column for label, column in columns.items() if len({*column} - {None}) > 1}


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{_DIGITS}g}")


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else factor * value


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {label: value for label, value in values.items() if value is not None}
