"""What a synthesis said of a network that edgenas exported: FINN's reports, beside the formulas.

Of resources, `post_synth_resources.json` or `estimate_layer_resources_hls.json`: units by name with
"LUT", "BRAM_18K" and "BRAM_36K". Of speed, `rtlsim_performance.json`: images/s at a clock.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from edgenas.core.errors import InputError
from edgenas.core.files.run_folder import read_json
from edgenas.core.printable import printable
from edgenas.core.records import Layer
from edgenas.core.records.codec import from_json
from edgenas.hardware.dataflow import Style, UnitKind, layer_units
from edgenas.hardware.finn import numbered
from edgenas.hardware.pipeline import Factors, check_layers, queued_pixels

MOST_BYTES = 8 << 20
MOST_FILES = 200
_RESOURCES = ("post_synth_resources.json", "estimate_layer_resources_hls.json")
_SPEED = "rtlsim_performance.json"
_IMAGES_PER_S = ("stable_throughput[images/s]", "throughput[images/s]")
_TOTALS = ("(top)", "total")
_NAME = re.compile(rf"(?:\w*_)?({'|'.join(get_args(UnitKind))})(?:_hls|_rtl)?_(\d{{1,4}})")
_LAYERS, _FOLDING = ".pipeline.json", ".folding_config.json"
_AGAIN = "Give the files that FINN wrote for it: docs/how-to/fpga.md."


@dataclass(frozen=True)
class UnitReport:
    """A unit as it was synthesised, beside what the formulas say of it."""

    kind: UnitKind
    luts: float
    bram18: float
    formula_luts: float
    formula_bram18: float


@dataclass(frozen=True)
class Report:
    """What one file says.

    cycles : an image, measured over those of the formulas' slowest unit; None of resources.
    """

    network: str
    units: tuple[UnitReport, ...] = ()
    cycles: float | None = None


@dataclass(frozen=True)
class _Network:
    """An exported network with the folding that was built. foldings : pe and simd by layer."""

    name: str
    layers: tuple[Layer, ...]
    foldings: tuple[tuple[int, int], ...]


def read_reports(paths: Sequence[Path], style: Style) -> tuple[Report, ...]:
    """Return what the reports at `paths` say: files, or folders that FINN wrote.

    Each belongs to the network whose NAME.pipeline.json and NAME.folding_config.json lie beside it
    or above it.

    Raises
    ------
    EdgeNasError : a file is not there, too large, not JSON, without its fields or of another
        network.
    """
    files = [file for path in paths for file in _files(path)]
    if len(files) > MOST_FILES:
        raise InputError(f"There are {len(files)} reports; {MOST_FILES} are the most.", _AGAIN)
    return tuple(_report(file, style) for file in files)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"There is no report {path}.", _AGAIN)
        return [path]
    for folder in (path, path / "report"):
        resources = [folder / name for name in _RESOURCES if (folder / name).exists()]
        speed = [folder / _SPEED] if (folder / _SPEED).exists() else []
        if resources or speed:
            return [*resources[:1], *speed]  # what was placed tells more than what HLS counted
    raise InputError(f"The folder {path} has no {', '.join(_RESOURCES)} or {_SPEED}.", _AGAIN)


def _report(path: Path, style: Style) -> Report:
    document, network = _object(path), _exported(*_belongs_to(path))
    if "fclk[mhz]" in document or any(key in document for key in _IMAGES_PER_S):
        return Report(network.name, cycles=_cycles(document, network, style, path))
    return Report(network.name, units=_units(document, network, style, path))


def _object(path: Path) -> dict[str, Any]:
    if path.stat().st_size > MOST_BYTES:
        raise InputError(f"{path} is longer than {MOST_BYTES >> 20} MiB: no report is.", _AGAIN)
    document = read_json(path, _AGAIN)
    if not isinstance(document, dict) or not document:
        raise InputError(f"{path} is no report: it has no units by name, and no images/s.", _AGAIN)
    return document


def read_files(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return the files that `read_reports` reads, those of networks among them; raises as it."""
    found = []
    for file in (file for path in paths for file in _files(path)):
        folder, name = _belongs_to(file)
        found += [file, folder / f"{name}{_LAYERS}", folder / f"{name}{_FOLDING}"]
    return tuple(found)


def _belongs_to(report: Path) -> tuple[Path, str]:
    """Return the folder and the name of the network that a report belongs to."""
    folders = [report, *report.absolute().parents][1:4]
    for folder in folders:
        named = sorted(folder.glob(f"*{_LAYERS}"))
        names = [path.name.removesuffix(_LAYERS) for path in named]
        parts = set(report.absolute().parts)
        of_name = [name for name in names if f"{name}.finn" in parts]
        of_name = of_name or [name for name in names if report.name.startswith(f"{name}.")]
        for name in of_name or (names if len(names) == 1 else []):
            return folder, name
        if names:
            raise InputError(
                f"{report} may belong to any of {len(names)} networks in {folder}.",
                f"Call its folder {names[0]}.finn, as the build.yaml of the network does.",
            )
    raise InputError(
        f"{report} belongs to no network: no NAME{_LAYERS} is beside it or above it.",
        "Copy it there from the models of the run that exported the network.",
    )


def _exported(folder: Path, name: str) -> _Network:
    path = folder / f"{name}{_LAYERS}"
    layers = from_json(_object(path).get("layers"), tuple[Layer, ...], f"The layers in {path}")
    sizes = [size for one in layers for size in (
        one.in_channels, one.out_channels, one.in_size, one.out_size, one.kernel_size,
        one.weight_bits, one.input_bits, one.output_bits)]  # fmt: skip
    if not layers or not all(1 <= size <= 1 << 20 for size in sizes):
        raise InputError(f"The layers in {path} are none of a network.", _AGAIN)
    check_layers(layers, f"The network in {path}")
    where = folder / f"{name}{_FOLDING}"
    given = {unit: value for unit, (_, value) in _by_unit(_object(where), where).items()}
    foldings = [(1, 1)] * len(layers)
    for unit, index in numbered(layers).items():
        if unit[0] == "ConvolutionInputGenerator":
            continue
        folding, layer = given.get(unit, {}), layers[index]
        pe, simd = folding.get("PE"), folding.get("SIMD", 1)
        inputs = layer.kernel_size**2 if layer.kind == "depthwise" else layer.in_channels
        if not _divides(pe, layer.out_channels) or not _divides(simd, inputs):
            raise InputError(
                f"{where} is the folding of another network: it has no {unit[0]}_{unit[1]} that "
                f"divides {layer.out_channels} outputs and {inputs} inputs.",
                _AGAIN,
            )
        foldings[index] = (cast(int, pe), cast(int, simd))
    return _Network(name, layers, tuple(foldings))


def _divides(divisor: object, number: int) -> bool:
    return type(divisor) is int and divisor > 0 and number % divisor == 0


def _by_unit(
    document: Mapping[str, Any], path: Path
) -> dict[tuple[UnitKind, int], tuple[str, dict[str, Any]]]:
    """Return the entries of units that have formulas, by kind and number, with their names."""
    units: dict[tuple[UnitKind, int], tuple[str, dict[str, Any]]] = {}
    for name, value in document.items():
        match = _NAME.fullmatch(name)
        if match is None or match[1] == "StreamingFIFO" or not isinstance(value, dict):
            continue
        unit = (cast(UnitKind, match[1]), int(match[2]))
        if unit in units:
            raise InputError(
                f"{path} has both {printable(units[unit][0])} and {printable(name)}: which layers "
                "they are of cannot be told.",
                f"Build all {match[1]} units in HLS, or all in RTL.",
            )
        units[unit] = (name, value)
    return units


def _units(
    document: dict[str, Any], network: _Network, style: Style, path: Path
) -> tuple[UnitReport, ...]:
    if all(key.isdigit() for key in document) and all(
        isinstance(value, dict) for value in document.values()
    ):  # FINN+ has a table a device
        document = {name: value for part in document.values() for name, value in part.items()}
    synthesised, known = _by_unit(document, path), numbered(network.layers)
    reported, expected = (Counter(kind for kind, _ in one) for one in (synthesised, known))
    for kind, count in reported.items():
        if count != expected[kind] or not all((kind, n) in synthesised for n in range(count)):
            raise InputError(
                f"{path} has {count} {kind} units and {network.name} has {expected[kind]}: it is a "
                "report of another network, or of one built partly in RTL.",
                _AGAIN,
            )
    if not synthesised:
        raise InputError(f"{path} has no unit of {network.name}, such as MVAU_hls_0.", _AGAIN)
    luts = {
        name: _number(value, "LUT", name, path)
        for name, value in document.items()
        if isinstance(value, dict) and name not in _TOTALS and "LUT" in value
    }
    for name, value in synthesised.values():
        _number(value, "LUT", name, path)
    # Converters, queues and thresholds of their own have no formula: each unit bears its share.
    share = sum(luts.values()) / max(sum(luts[name] for name, _ in synthesised.values()), 1.0)
    queued, factors, units = queued_pixels(network.layers), Factors(), []
    for (kind, number), (name, value) in synthesised.items():
        index = known[kind, number]
        layer, folding = network.layers[index], network.foldings[index]
        formulas = layer_units(layer, *folding, style, queued[index])
        formula = next(unit for unit in formulas if unit.kind == kind)
        blocks = _number(value, "BRAM_18K", name, path, 0.0)
        blocks += 2 * _number(value, "BRAM_36K", name, path, 0.0)
        units.append(
            UnitReport(kind, luts[name] * share, blocks, factors.luts(formula), formula.bram18)
        )
    return tuple(units)


def _cycles(document: dict[str, Any], network: _Network, style: Style, path: Path) -> float:
    known = [key for key in _IMAGES_PER_S if document.get(key) is not None]
    images_per_s = _number(document, (known or _IMAGES_PER_S)[0], "the simulation", path)
    clock_mhz = _number(document, "fclk[mhz]", "the simulation", path)
    if images_per_s <= 0 or clock_mhz <= 0:
        raise InputError(f"{path} says of the simulation that it took no image.", _AGAIN)
    slowest = max(
        layer_units(layer, *folding, style)[0].cycles
        for layer, folding in zip(network.layers, network.foldings, strict=True)
    )
    return clock_mhz * 1e6 / images_per_s / slowest


def _number(
    value: Mapping[str, Any], key: str, name: str, path: Path, missing: float | None = None
) -> float:
    """Return a count of a report, which FINN writes as a number or as text."""
    try:
        number = float(value.get(key, missing))
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not 0 <= number < 1e12:
        raise InputError(f"{path} has no number '{key}' of {printable(name)}.", _AGAIN)
    return number
