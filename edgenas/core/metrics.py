"""Responses: what can be known of a network, its unit, and which direction is better.

The registry holds those of a run on a board. A table's columns are responses too: `of_column`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from edgenas.core import readings
from edgenas.core.errors import InputError, nearest
from edgenas.core.readings import Observed
from edgenas.core.records import Architecture, Evaluation, Layer, Measurement
from edgenas.core.records.goals import ROBUST, SCORE, Goal

# What explains a response: a term set of the predictors, or the layers themselves, exactly: all by
# themselves, or on the target's model of hardware.
Count = Callable[[Sequence[Layer]], float]  # an exact response, of all layers of a network
Source = Literal["physical", "choices", "size", "layers", "hardware"]

TIME = {"us": 1e-3, "ms": 1.0, "s": 1e3}
ENERGY = {"uJ": 1e-3, "mJ": 1.0, "J": 1e3}
STORAGE = {
    **{"B": 1.0, "bytes": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9},
    **{"KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30},
}
COUNT = {"k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9}
SHARE = {"%": 0.01}
PERCENT = {"%": 1.0}


@dataclass(frozen=True)
class ResponseKind:
    """One response.

    label : its name in a sentence. unit : of every number of it; "fraction" is shown in percent.
    units : what a constraint may be written in, over `unit`. aliases : other names for it.
    measured : reads it from a measurement that is ok; None where the target did not give it.
    counted : what one layer adds, for a response that follows exactly from the layers.
    """

    name: str
    label: str
    unit: str
    goal: Goal | None
    units: Mapping[str, float] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    source: Source = "physical"
    measured: Callable[[Measurement], Observed | None] | None = None
    counted: Callable[[Layer], int] | None = None

    @property
    def exact(self) -> bool:
        """Whether it follows from the layers, so that nothing is fitted to it."""
        return self.source in ("layers", "hardware")

    def count(self, layers: Iterable[Layer]) -> int:
        """Return the exact value of a network of these layers."""
        assert self.counted is not None
        return sum(map(self.counted, layers))

    def shown(self, value: float) -> str:
        """Return a value with its unit, such as "64 MB", "2.31 ms" or "90.0 %"."""
        if self.unit == "fraction":
            return f"{100 * value:.4g} %"
        for divisor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
            if self.unit in ("bytes", "") and abs(value) >= divisor:
                suffix = f"{prefix}B" if self.unit == "bytes" else prefix
                return f"{value / divisor:.4g} {suffix}"
        return f"{value:.4g} {self.unit}".rstrip()


def observed(
    kind: ResponseKind, measurements: Sequence[Measurement]
) -> dict[Architecture, Observed]:
    """Return the response of what was measured, oldest first, with its 95 % interval if known.

    Times are as of the newest job: those of an earlier one are scaled by how the anchor's latency
    changed since, so that a target that got warmer or busier does not look like slower networks,
    and what is predicted is the target as it is now.
    """
    anchors = [m.anchor_ms for m in measurements if m.anchor_ms is not None]
    reference = anchors[-1] if anchors else None
    found = {}
    for measurement in measurements:
        seen = kind.measured(measurement) if kind.measured is not None else None
        if seen is not None and measurement.outcome.status == "ok":
            scale, anchor_ms = 1.0, measurement.anchor_ms
            if kind.units is TIME and reference and anchor_ms:
                scale = reference / anchor_ms
            found[measurement.architecture] = _scaled(seen, scale)
    return found


def evaluated(name: str, evaluations: Iterable[Evaluation]) -> dict[Architecture, Observed]:
    """Return the accuracy of that name of what was evaluated, without those not looked at."""
    return {
        one.architecture: (value, None)
        for one in evaluations
        if (value := one.of(name)) is not None
    }


def _scaled(seen: Observed, scale: float) -> Observed:
    value, ci95 = seen
    return value * scale, None if ci95 is None else (ci95[0] * scale, ci95[1] * scale)


_KINDS = (
    ResponseKind(
        SCORE, "accuracy", "fraction", "max", SHARE,
        ("acc", "top1", "int8_accuracy"), "choices",
    ),
    ResponseKind(
        ROBUST, "accuracy under corruptions", "fraction", "max", SHARE,
        ("robustness", "robust"), "choices",
    ),
    ResponseKind(
        "latency_ms", "latency", "ms", "min", TIME,
        ("latency", "median_ms"), measured=readings.median_ms,
    ),
    ResponseKind(
        "latency_p90_ms", "90th percentile of latency", "ms", "min", TIME,
        ("latency_p90", "p90_ms", "p90"), measured=readings.p90_ms,
    ),
    ResponseKind(
        "peak_rss_bytes", "peak memory", "bytes", "min", STORAGE,
        ("peak_rss", "peak_memory", "memory", "rss"), measured=readings.peak_rss_bytes,
    ),
    ResponseKind(
        "energy_mj", "energy", "mJ", "min", ENERGY, ("energy",), measured=readings.energy_mj
    ),
    ResponseKind(
        "model_bytes", "model size", "bytes", "min", STORAGE, ("model_size", "size"), "size",
        measured=readings.model_bytes,
    ),
    ResponseKind(
        "params", "parameters", "", "min", COUNT, ("parameters", "weights"), "layers",
        counted=lambda layer: layer.params,
    ),
    ResponseKind(
        "macs", "multiply-accumulates", "", "min", COUNT, ("mac",), "layers",
        counted=lambda layer: layer.macs,
    ),
    ResponseKind("luts", "LUTs", "", "min", COUNT, ("lut",), "hardware"),
    ResponseKind("dsps", "DSPs", "", "min", COUNT, ("dsp",), "hardware"),
    ResponseKind("bram18", "block RAMs of 18 kbit", "", "min", COUNT, ("brams",), "hardware"),
    ResponseKind("images_per_s", "images a second", "images/s", "max",
                 {"images/s": 1.0, "fps": 1.0}, ("throughput", "fps"), "hardware"),
    ResponseKind("bops", "bit operations", "", "min", COUNT, (), "hardware"),
)  # fmt: skip
REGISTRY: dict[str, ResponseKind] = {kind.name: kind for kind in _KINDS}


def of_task(score: ResponseKind) -> Mapping[str, ResponseKind]:
    """Return the responses of a run whose task has that score."""
    return {**REGISTRY, SCORE: score}


def find(name: str, known: Mapping[str, ResponseKind] = REGISTRY) -> ResponseKind:
    """Return the response of that name or alias.

    Raises
    ------
    InputError : there is none; names the nearest.
    """
    wanted = name.strip()
    if wanted in known:
        return known[wanted]
    for kind in known.values():
        if wanted.lower() in (kind.name.lower(), *kind.aliases):
            return kind
    aliases = (alias for kind in known.values() for alias in kind.aliases)
    raise InputError(f"There is no response '{wanted}'.", _nearest(wanted, known, aliases))


def of_column(name: str, greatest: float = math.nan) -> ResponseKind:
    """Return the response that a table's column is, its unit and direction read off its name.

    greatest : greatest value of the column; an accuracy above 1 is in percent.
    """
    words = re.split(r"[^a-z0-9]+", name.lower())
    for kind in _KINDS:
        if name in (kind.name, *kind.aliases):
            return (
                _as_percent(kind, name) if _is_percent(kind, greatest) else replace(kind, name=name)
            )
    if {"accuracy", "acc", "top1"} & set(words):
        kind = replace(REGISTRY[SCORE], label=name, aliases=())
        return _as_percent(kind, name) if greatest > 1 else replace(kind, name=name)
    for suffix, unit, units in (
        ("ms", "ms", TIME),
        ("mj", "mJ", ENERGY),
        ("bytes", "bytes", STORAGE),
    ):
        if words[-1] == suffix:
            return ResponseKind(name, name, unit, "min", units)
    if set(words) & {"latency", "energy", "params", "macs", "flops", "loss", "error"}:
        return ResponseKind(name, name, "", "min", COUNT)
    return ResponseKind(name, name, "", None, COUNT)


def _is_percent(kind: ResponseKind, greatest: float) -> bool:
    return kind.unit == "fraction" and greatest > 1


def _as_percent(kind: ResponseKind, name: str) -> ResponseKind:
    return replace(kind, name=name, unit="%", units=PERCENT)


def _nearest(name: str, known: Mapping[str, ResponseKind], aliases: Iterable[str]) -> str:
    """Return the nearest name, an alias too, and the list without the aliases."""
    hint = nearest(name, {*known, *aliases})
    suggestion = hint.partition("Known:")[0]
    return f"{suggestion}Known: {', '.join(sorted(known))}."
